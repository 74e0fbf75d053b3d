//! Names and texts come from records that anyone may have written. None of them may move the cursor, recolour the
//! terminal, turn the direction of writing or look like another.

use std::borrow::Cow;
use std::fmt::Write;

/// The text with each character that could deceive spelled out, as `\n` or `\u{202e}`.
pub(crate) fn text(text: &str) -> Cow<'_, str> {
    escape(text, deceives, |out, character| match character {
        '\n' => out.push_str("\\n"),
        '\r' => out.push_str("\\r"),
        '\t' => out.push_str("\\t"),
        _ => _ = write!(out, "\\u{{{:x}}}", u32::from(character)),
    })
}

/// The same for a line of what a program printed, which may have tabs in it.
pub(crate) fn line(text: &str) -> Cow<'_, str> {
    escape(
        text,
        |character| deceives(character) && character != '\t',
        |out, character| _ = write!(out, "\\u{{{:x}}}", u32::from(character)),
    )
}

/// The same for JSON, which stays the same value: such characters stand in its strings alone, line breaks and tabs also
/// between its tokens, where they are let through.
pub(crate) fn json(json: &str) -> Cow<'_, str> {
    let deceives = |character| deceives(character) && !matches!(character, '\n' | '\r' | '\t');
    escape(json, deceives, |out, character| {
        for unit in character.encode_utf16(&mut [0; 2]) {
            _ = write!(out, "\\u{unit:04x}");
        }
    })
}

fn escape(text: &str, deceives: impl Fn(char) -> bool, spell: impl Fn(&mut String, char)) -> Cow<'_, str> {
    if !text.contains(&deceives) {
        return text.into();
    }
    let mut out = String::with_capacity(text.len() + 16);
    for character in text.chars() {
        if deceives(character) { spell(&mut out, character) } else { out.push(character) }
    }
    out.into()
}

fn deceives(character: char) -> bool {
    character.is_control()
        || matches!(character,
            // Direction of writing.
            '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}'
            // Ends of lines that are no control characters.
            | '\u{2028}' | '\u{2029}'
            // No width, or a width with nothing to see: joiners, fillers, variation selectors, annotations, tags.
            | '\u{ad}' | '\u{34f}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{180b}'..='\u{180f}'
            | '\u{200b}'..='\u{200d}' | '\u{2060}'..='\u{2065}' | '\u{206a}'..='\u{206f}' | '\u{2800}' | '\u{3164}'
            | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}'
            | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}')
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    #[test]
    fn ordinary_text_is_not_copied() {
        for ordinary in ["lr", "größe", "学習率", "e\u{301}", "C:\\x", "🙂"] {
            assert!(matches!(text(ordinary), Cow::Borrowed(same) if same == ordinary), "{ordinary}");
        }
    }

    #[test]
    fn what_could_deceive_is_spelled_out() {
        for (deceiving, spelled) in [
            ("\x1b[31mred", "\\u{1b}[31mred"),
            ("a\nb\tc\r", "a\\nb\\tc\\r"),
            ("\u{9b}2J", "\\u{9b}2J"),
            ("a\u{202e}b", "a\\u{202e}b"),
            ("a\u{200b}b", "a\\u{200b}b"),
            ("\u{feff}", "\\u{feff}"),
            ("\u{e0041}", "\\u{e0041}"),
            ("\0\x7f", "\\u{0}\\u{7f}"),
        ] {
            assert_eq!(text(deceiving), spelled);
        }
    }

    #[test]
    fn escaped_json_is_the_same_value() {
        let value = serde_json::json!({ "a\u{202e}\u{9b}\u{7f}": "\u{e0041}\n", "n": [1, 2] });
        for written in [value.to_string(), serde_json::to_string_pretty(&value).unwrap()] {
            let escaped = json(&written);
            assert!(!escaped.chars().any(|character| deceives(character) && character != '\n'), "{escaped}");
            assert_eq!(serde_json::from_str::<serde_json::Value>(&escaped).unwrap(), value);
        }
    }
}
