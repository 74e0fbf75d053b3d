//! Words of commands that people copy into a shell.

use std::borrow::Cow;

/// The word as a shell reads it, quoted where it would split it or read more into it.
pub(crate) fn word(word: &str) -> Cow<'_, str> {
    let plain = |character: char| character.is_alphanumeric() || "-._/:=@%+,~".contains(character);
    if !word.is_empty() && word.chars().all(plain) && !word.starts_with('~') {
        return word.into();
    }
    format!("'{}'", word.replace('\'', r"'\''")).into()
}

/// Words with blanks between.
pub(crate) fn words<'a>(words: impl IntoIterator<Item = &'a str>) -> String {
    words.into_iter().map(word).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_quoted_where_a_shell_would_change_them() {
        for (plain, quoted) in [
            ("src/a-b.py", "src/a-b.py"),
            ("rate=0.1", "rate=0.1"),
            ("a b", "'a b'"),
            ("it's $HOME", r"'it'\''s $HOME'"),
            ("~/a", "'~/a'"),
            ("", "''"),
        ] {
            assert_eq!(word(plain), quoted);
        }
        assert_eq!(words(["a", "b c"]), "a 'b c'");
    }
}
