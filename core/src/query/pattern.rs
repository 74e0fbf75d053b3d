//! Text match: a part of the text in any case, or with `*` and `?` all of it.

/// What `~` looks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern {
    pieces: Vec<Piece>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    /// A character in lower case.
    Character(char),
    /// `?`
    One,
    /// `*`
    Any,
}

impl Pattern {
    /// A backslash makes plain characters of `*` and `?`, and stands for itself before anything else.
    pub fn new(text: &str) -> Self {
        let (mut pieces, mut whole) = (Vec::new(), false);
        let mut characters = text.chars().peekable();
        while let Some(c) = characters.next() {
            match c {
                '*' | '?' => {
                    whole = true;
                    pieces.push(if c == '*' { Piece::Any } else { Piece::One });
                }
                '\\' if matches!(characters.peek(), Some('*' | '?')) => {
                    pieces.extend(characters.next().map(Piece::Character));
                }
                c => pieces.extend(c.to_lowercase().map(Piece::Character)),
            }
        }
        if !whole {
            pieces.insert(0, Piece::Any);
            pieces.push(Piece::Any);
        }
        Self { pieces }
    }

    /// Whether the text fits. Takes at most as many steps as the text and the pattern have when multiplied.
    pub fn matches(&self, text: &str) -> bool {
        let text: Vec<char> = text.chars().flat_map(char::to_lowercase).collect();
        let (mut at, mut piece) = (0, 0);
        // Where the last `*` stands, and where what follows it was tried.
        let mut retry: Option<(usize, usize)> = None;
        while at < text.len() {
            match self.pieces.get(piece) {
                Some(Piece::Any) => {
                    retry = Some((piece, at));
                    piece += 1;
                }
                Some(Piece::One) => (at, piece) = (at + 1, piece + 1),
                Some(Piece::Character(c)) if *c == text[at] => (at, piece) = (at + 1, piece + 1),
                _ => match &mut retry {
                    Some((star, from)) => {
                        *from += 1;
                        (at, piece) = (*from, *star + 1);
                    }
                    None => return false,
                },
            }
        }
        self.pieces[piece..].iter().all(|piece| *piece == Piece::Any)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn matches(pattern: &str, text: &str) -> bool {
        Pattern::new(pattern).matches(text)
    }

    #[test]
    fn without_wildcards_a_part_is_enough_in_any_case() {
        for (pattern, text) in
            [("Base", "my BASELINE"), ("größe", "GRÖSSE GRÖßE"), ("", ""), ("", "x"), (r"a\b", r"A\B")]
        {
            assert!(matches(pattern, text), "{pattern} {text}");
        }
        assert!(!matches("base", "bas"));
    }

    #[test]
    fn with_wildcards_the_whole_text_has_to_fit() {
        for (pattern, text) in [
            ("*.py", "src/Train.PY"),
            ("run-?", "run-7"),
            ("*", ""),
            ("a*b*c", "aXbXbXc"),
            ("??", "é7"),
            (r"*\**", "a*b"),
        ] {
            assert!(matches(pattern, text), "{pattern} {text}");
        }
        for (pattern, text) in [("*.py", "a.pyc"), ("run-?", "run-10"), ("?", ""), (r"*\*", "ab"), ("a*b", "ab c")] {
            assert!(!matches(pattern, text), "{pattern} {text}");
        }
        assert!(matches(r"what\?", "so WHAT? indeed"));
    }

    /// By the definition, without a thought for time.
    fn fits(pieces: &[Piece], text: &[char]) -> bool {
        match (pieces.split_first(), text.split_first()) {
            (None, None) => true,
            (None, Some(_)) => false,
            (Some((Piece::Any, more)), _) => (0..=text.len()).any(|skipped| fits(more, &text[skipped..])),
            (Some((piece, more)), Some((c, rest))) => {
                (*piece == Piece::One || *piece == Piece::Character(*c)) && fits(more, rest)
            }
            (Some(_), None) => false,
        }
    }

    proptest! {
        #[test]
        fn agrees_with_the_definition(pattern in "[ab*?\\\\]{0,8}", text in "[ab*]{0,10}") {
            let pattern = Pattern::new(&pattern);
            let characters: Vec<char> = text.chars().collect();
            prop_assert_eq!(pattern.matches(&text), fits(&pattern.pieces, &characters));
        }
    }

    #[test]
    fn many_wildcards_end_soon() {
        assert!(!matches(&"*a".repeat(500), &"a".repeat(499)));
    }
}
