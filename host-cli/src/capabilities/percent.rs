//! Percent-encoding, as addresses have it ([RFC 3986, 2.1](https://www.rfc-editor.org/rfc/rfc3986#section-2.1)).

/// Undoes it; a `%` that begins none stands for itself.
pub(crate) fn decode(text: &str) -> Vec<u8> {
    let mut decoded = Vec::new();
    let mut rest = text.as_bytes();
    while let [first, after @ ..] = rest {
        let code = match rest {
            [b'%', high, low, ..] => digit(*high).zip(digit(*low)),
            _ => None,
        };
        match code {
            Some((high, low)) => {
                decoded.push(high << 4 | low);
                rest = &after[2..];
            }
            None => {
                decoded.push(*first);
                rest = after;
            }
        }
    }
    decoded
}

fn digit(byte: u8) -> Option<u8> {
    char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percent_encoding_is_undone() {
        for (text, decoded) in [("a%40b%3a%2F", "a@b:/"), ("%", "%"), ("%4", "%4"), ("%zz%41", "%zzA"), ("é", "é")] {
            assert_eq!(decode(text), decoded.as_bytes(), "{text}");
        }
    }
}
