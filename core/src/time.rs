//! Times as text.

use jiff::Timestamp;

/// Milliseconds since 1970 as RFC 3339 in UTC, always with three decimals so that the texts sort as the times do.
pub fn format(milliseconds: u64) -> String {
    let timestamp = i64::try_from(milliseconds).ok().and_then(|ms| Timestamp::from_millisecond(ms).ok());
    format!("{:.3}", timestamp.unwrap_or(Timestamp::MAX))
}

/// The reverse of [`format`]; none when the text is no time.
pub fn parse(text: &str) -> Option<u64> {
    let timestamp: Timestamp = text.parse().ok()?;
    u64::try_from(timestamp.as_millisecond()).ok()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn formats_in_utc_with_milliseconds() {
        assert_eq!(format(0), "1970-01-01T00:00:00.000Z");
        assert_eq!(format(1_795_472_940_120), "2026-11-23T22:29:00.120Z");
    }

    proptest! {
        #[test]
        fn parses_what_it_formats(ms in 0u64..=253_402_207_200_000) {
            prop_assert_eq!(parse(&format(ms)), Some(ms));
        }
    }
}
