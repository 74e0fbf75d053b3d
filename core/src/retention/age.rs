//! How long ago, and since when: `14d`, `36h`, `2026-11-01`.

use crate::error::{Failure, FailureKind, Result};
use crate::ports::Ports;
use crate::time;

/// Milliseconds of a day.
pub const DAY: u64 = 24 * 60 * 60 * 1000;
/// How long a removed experiment can be brought back, and what nothing names any more is kept, unless told otherwise.
pub const GRACE: u64 = 30 * DAY;
/// The setting that tells otherwise.
pub const GRACE_SETTING: &str = "aurum.gc.grace";

/// A number and a unit: `90min`, `36h`, `14d`, `2w`, `1y`; `0` needs none.
///
/// # Errors
/// `InvalidValue`.
pub fn parse(text: &str) -> Result<u64> {
    let text = text.trim();
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let unit = match unit.trim() {
        "s" | "sec" => Some(1000),
        "min" => Some(60 * 1000),
        "h" => Some(60 * 60 * 1000),
        "d" | "day" | "days" => Some(DAY),
        "w" | "week" | "weeks" => Some(7 * DAY),
        "y" | "year" | "years" => Some(365 * DAY),
        "" if number.bytes().all(|digit| digit == b'0') => Some(1),
        _ => None,
    };
    let length = number.parse::<u64>().ok().zip(unit).and_then(|(number, unit)| number.checked_mul(unit));
    length.ok_or_else(|| {
        Failure::new(FailureKind::InvalidValue, format!("`{}` is no length of time", text.escape_debug()))
            .hint("Give a number and a unit: `90min`, `36h`, `14d`, `2w`, `1y`")
    })
}

/// A moment: a date such as `2026-11-01`, a time in RFC 3339, or an age, which is so long before now.
///
/// # Errors
/// `InvalidValue`.
pub fn parse_moment(text: &str, now: u64) -> Result<u64> {
    let text = text.trim();
    let date = |text: &str| time::parse(&format!("{text}T00:00:00Z"));
    if let Some(moment) = date(text).or_else(|| time::parse(text)) {
        return Ok(moment);
    }
    parse(text).map(|age| now.saturating_sub(age)).map_err(|_| {
        Failure::new(FailureKind::InvalidValue, format!("`{}` is neither a date nor an age", text.escape_debug()))
            .hint("Give a date such as `2026-11-01`, or an age such as `30d`")
    })
}

/// How long things are kept: what was given, else the setting, else [`GRACE`].
///
/// # Errors
/// `InvalidValue` for either; when git's settings can't be read.
pub fn grace(ports: &Ports, given: Option<&str>) -> Result<u64> {
    if let Some(given) = given {
        return parse(given);
    }
    match ports.repository.setting(GRACE_SETTING)? {
        None => Ok(GRACE),
        Some(set) => parse(&set).map_err(|failure| {
            let message = format!("The setting `{GRACE_SETTING}` can't be read: {}", failure.message);
            Failure { message, ..failure }
        }),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn ages_have_a_unit() {
        for (text, age) in
            [("14d", 14 * DAY), ("2w", 14 * DAY), ("24h", DAY), ("1440min", DAY), ("0", 0), (" 1 d ", DAY)]
        {
            assert_eq!(parse(text).unwrap(), age, "{text}");
        }
        for text in ["", "d", "14", "-1d", "1.5d", "14 fortnights", "99999999999999999999y", "18446744073709551615y"] {
            assert_eq!(parse(text).unwrap_err().kind, FailureKind::InvalidValue, "{text}");
        }
    }

    #[test]
    fn moments_are_dates_or_ages() {
        let now = time::parse("2026-11-24T12:00:00Z").unwrap();
        for (text, moment) in [
            ("2026-11-01", "2026-11-01T00:00:00Z"),
            ("2d", "2026-11-22T12:00:00Z"),
            ("2026-11-01T10:00:00+02:00", "2026-11-01T08:00:00Z"),
        ] {
            assert_eq!(parse_moment(text, now).unwrap(), time::parse(moment).unwrap(), "{text}");
        }
        assert!(parse_moment("2026-13-01", now).unwrap_err().message.contains("neither a date nor an age"));
    }
}
