//! Names for messages: the nearest to a mistyped one, lists of them, and words of commands.

use crate::value;

/// At most 20 names in backquotes, and the number of the others.
pub(crate) fn enumerate(names: &[&str]) -> String {
    const MOST: usize = 20;
    let shown: Vec<String> = names.iter().take(MOST).map(|name| format!("`{}`", value::excerpt(name))).collect();
    match names.len().saturating_sub(MOST) {
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}

/// The known name nearest to a mistyped one, if any is near.
pub(crate) fn nearest<'a>(name: &str, known: &[&'a str]) -> Option<&'a str> {
    let folded = |name: &str| name.to_ascii_lowercase().replace('-', "_").chars().collect::<Vec<_>>();
    let name = folded(name);
    let near = (name.len() / 3).clamp(1, 3);
    known
        .iter()
        .filter_map(|known| {
            let other = folded(known);
            // The lengths alone rule most names out, whatever their number.
            (other.len().abs_diff(name.len()) <= near).then(|| (distance(&name, &other), *known))
        })
        .filter(|(distance, _)| *distance <= near)
        .min()
        .map(|(_, known)| known)
}

/// Insertions, deletions, replacements and swaps of neighbours that lead from one to the other.
fn distance(a: &[char], b: &[char]) -> usize {
    let mut before: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=b.len()).collect();
    for i in 1..=a.len() {
        let mut row = vec![i];
        for j in 1..=b.len() {
            let replaced = last[j - 1] + usize::from(a[i - 1] != b[j - 1]);
            let mut least = replaced.min(last[j] + 1).min(row[j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                least = least.min(before[j - 2] + 1);
            }
            row.push(least);
        }
        before = std::mem::replace(&mut last, row);
    }
    last.last().copied().unwrap_or_default()
}

/// A word for a command that people copy into a shell.
pub(crate) fn word(text: &str) -> String {
    let plain = |c: char| c.is_alphanumeric() || "-._/:=@%+,~".contains(c);
    if !text.is_empty() && text.chars().all(plain) && !text.starts_with('~') {
        return text.to_owned();
    }
    format!("'{}'", text.replace('\'', "'\\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_names_are_found() {
        let known = ["lr", "batch_size", "epochs"];
        assert_eq!(nearest("lrr", &known), Some("lr"));
        assert_eq!(nearest("rl", &known), Some("lr"));
        assert_eq!(nearest("LR", &known), Some("lr"));
        assert_eq!(nearest("batchsize", &known), Some("batch_size"));
        assert_eq!(nearest("epoch", &known), Some("epochs"));
        assert_eq!(nearest("momentum", &known), None);
    }

    #[test]
    fn words_are_quoted_where_a_shell_would_split_or_read_them() {
        assert_eq!(word("src/a-b.py"), "src/a-b.py");
        assert_eq!(word("a b"), "'a b'");
        assert_eq!(word("it's $HOME"), r"'it'\''s $HOME'");
        assert_eq!(word(""), "''");
    }

    #[test]
    fn distances() {
        let distance = |a: &str, b: &str| distance(&a.chars().collect::<Vec<_>>(), &b.chars().collect::<Vec<_>>());
        assert_eq!(distance("", ""), 0);
        assert_eq!(distance("", "abc"), 3);
        assert_eq!(distance("kitten", "sitting"), 3);
        assert_eq!(distance("ab", "ba"), 1);
    }
}
