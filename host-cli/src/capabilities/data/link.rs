//! Links within data.

/// Whether a link leads to somewhere within the folder that its path is relative to: judged by the words alone, seen
/// from the link's own folder. A link that passes through other links may still lead elsewhere; nothing here follows
/// any.
pub(super) fn stays_within(path: &str, target: &[u8]) -> bool {
    if target.is_empty() || target.starts_with(b"/") || target.contains(&0) {
        return false;
    }
    let mut depth = path.matches('/').count();
    for part in target.split(|byte| *byte == b'/') {
        match part {
            b"" | b"." => {}
            b".." => match depth.checked_sub(1) {
                Some(above) => depth = above,
                None => return false,
            },
            _ => depth += 1,
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_stay_within_their_folder() {
        for (path, target) in
            [("a", "b"), ("a", "."), ("a", "b/../c"), ("a/b", ".."), ("a/b/c", "../../x"), ("a", "b//")]
        {
            assert!(stays_within(path, target.as_bytes()), "{path} -> {target}");
        }
        for (path, target) in [("a", ".."), ("a", ""), ("a", "/a"), ("a/b", "../.."), ("a", "b/../../c"), ("a", "x\0")]
        {
            assert!(!stays_within(path, target.as_bytes()), "{path} -> {target}");
        }
    }
}
