//! Dates, times, ages and durations.

use std::cmp::Ordering;

use jiff::civil::{Date, DateTime, Time};
use jiff::tz::Offset;

const SECOND: u64 = 1000;
const MINUTE: u64 = 60 * SECOND;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;

/// A stretch of time, as long as it was written exactly: `2026-11-24` is a whole day. What lies within equals it, and what is less
/// lies before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment {
    start: i64,
    /// The first millisecond after it.
    end: i64,
}

impl Moment {
    /// How a time lies towards it.
    pub(super) fn compare(self, time: u64) -> Ordering {
        let time = i64::try_from(time).unwrap_or(i64::MAX);
        if time < self.start {
            Ordering::Less
        } else if time >= self.end {
            Ordering::Greater
        } else {
            Ordering::Equal
        }
    }

    fn lasting(start: i64, milliseconds: u64) -> Self {
        Self { start, end: start.saturating_add_unsigned(milliseconds) }
    }

    /// `2d ago`, `today`, `yesterday`; none if it is no age.
    pub(super) fn of_age(text: &str, now: u64) -> Option<Self> {
        let now = i64::try_from(now).ok()?;
        let today = now - now.rem_euclid(DAY.cast_signed());
        match text.to_ascii_lowercase().as_str() {
            "now" => return Some(Self::lasting(now, 1)),
            "today" => return Some(Self::lasting(today, DAY)),
            "yesterday" => return Some(Self::lasting(today - DAY.cast_signed(), DAY)),
            _ => {}
        }
        let lower = text.to_ascii_lowercase();
        let age = duration(lower.strip_suffix("ago")?.trim_end())?;
        #[expect(clippy::cast_possible_truncation, reason = "beyond the range it is the end of the range")]
        Some(Self::lasting(now.saturating_sub(age.round() as i64), 1))
    }

    /// `2026`, `2026-11`, `2026-11-24`, `2026-11-24T10:00`, with seconds and parts of them, and a zone (`Z`, `+01:00`); without
    /// one it is UTC. None if it is none of these.
    pub(super) fn of_date(text: &str) -> Option<Self> {
        let (date, time) = match text.find(['T', 't', ' ']) {
            Some(at) => (&text[..at], Some(&text[at + 1..])),
            None => (text, None),
        };
        let mut numbers = date.split('-');
        let year = digits(numbers.next()?, 4)?;
        let month = numbers.next().map(|text| digits(text, 2));
        let day = numbers.next().map(|text| digits(text, 2));
        if numbers.next().is_some() {
            return None;
        }
        let at = |year, month: i64, day: i64, time| {
            let date = Date::new(i16::try_from(year).ok()?, i8::try_from(month).ok()?, i8::try_from(day).ok()?).ok()?;
            milliseconds(DateTime::from_parts(date, time))
        };
        let start = |year, month, day| at(year, month, day, Time::midnight());
        match (month, day, time) {
            (None, _, None) => Some(Self { start: start(year, 1, 1)?, end: start(year + 1, 1, 1)? }),
            (Some(month), None, None) => {
                let month = month?;
                let (next_year, next) = if month == 12 { (year + 1, 1) } else { (year, month + 1) };
                Some(Self { start: start(year, month, 1)?, end: start(next_year, next, 1)? })
            }
            (Some(month), Some(day), None) => Some(Self::lasting(start(year, month?, day?)?, DAY)),
            (Some(month), Some(day), Some(time)) => {
                let (time, offset) = zone(time)?;
                let (time, length) = time_of_day(time)?;
                Some(Self::lasting(at(year, month?, day?, time)? - offset, length))
            }
            _ => None,
        }
    }
}

fn milliseconds(civil: DateTime) -> Option<i64> {
    Some(Offset::UTC.to_timestamp(civil).ok()?.as_millisecond())
}

/// A number of exactly so many digits.
fn digits(text: &str, count: usize) -> Option<i64> {
    (text.len() == count && text.bytes().all(|byte| byte.is_ascii_digit())).then(|| text.parse().ok())?
}

/// The time of day, and how many milliseconds a clock that shows it goes on showing it.
fn time_of_day(text: &str) -> Option<(Time, u64)> {
    let mut parts = text.split(':');
    let hour = digits(parts.next()?, 2)?;
    let minute = parts.next().map(|text| digits(text, 2));
    let second = parts.next();
    if parts.next().is_some() {
        return None;
    }
    let time = |minute: i64, second: i64, milliseconds: i64| {
        let nanoseconds = i32::try_from(milliseconds * 1_000_000).ok()?;
        Time::new(hour.try_into().ok()?, minute.try_into().ok()?, second.try_into().ok()?, nanoseconds).ok()
    };
    match (minute, second) {
        (None, _) => Some((time(0, 0, 0)?, HOUR)),
        (Some(minute), None) => Some((time(minute?, 0, 0)?, MINUTE)),
        (Some(minute), Some(second)) => {
            let Some((second, part)) = second.split_once('.') else {
                return Some((time(minute?, digits(second, 2)?, 0)?, SECOND));
            };
            if part.is_empty() || !part.bytes().all(|byte| byte.is_ascii_digit()) {
                return None;
            }
            let shown: String = part.chars().chain("00".chars()).take(3).collect();
            let length = [100, 10, 1][part.len().min(3) - 1];
            Some((time(minute?, digits(second, 2)?, digits(&shown, 3)?)?, length))
        }
    }
}

/// The time without its zone, and by how many milliseconds the zone is ahead of UTC.
fn zone(text: &str) -> Option<(&str, i64)> {
    if let Some(time) = text.strip_suffix(['Z', 'z']) {
        return Some((time, 0));
    }
    let Some(at) = text.rfind(['+', '-']) else { return Some((text, 0)) };
    let (time, offset) = text.split_at(at);
    let (hours, minutes) = match &offset[1..] {
        short if short.len() == 2 => (short, "00"),
        long => long.split_once(':').or_else(|| long.split_at_checked(2))?,
    };
    let (hours, minutes) = (digits(hours, 2)?, digits(minutes, 2)?);
    if hours > 23 || minutes > 59 {
        return None;
    }
    let ahead = hours * HOUR.cast_signed() + minutes * MINUTE.cast_signed();
    Some((time, if offset.starts_with('-') { -ahead } else { ahead }))
}

/// `90s`, `1.5h`, `1h30m`, `2 days`: milliseconds. None if it is no duration.
pub(super) fn duration(text: &str) -> Option<f64> {
    let mut rest = text.trim();
    if rest.is_empty() {
        return None;
    }
    let mut total = 0.0;
    while !rest.is_empty() {
        let number = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
        let (count, after) = rest.split_at(number);
        let after = after.trim_start();
        let letters = after.find(|c: char| !c.is_alphabetic()).unwrap_or(after.len());
        let (name, after) = after.split_at(letters);
        total += count.parse::<f64>().ok()? * unit(name)?;
        rest = after.trim_start();
    }
    Some(total)
}

/// Milliseconds of a unit.
#[expect(clippy::cast_precision_loss, reason = "a week is well below 2^53 milliseconds")]
pub(super) fn unit(name: &str) -> Option<f64> {
    let unit = match name.to_ascii_lowercase().as_str() {
        "ms" | "millisecond" | "milliseconds" => 1,
        "s" | "sec" | "secs" | "second" | "seconds" => SECOND,
        "m" | "min" | "mins" | "minute" | "minutes" => MINUTE,
        "h" | "hr" | "hrs" | "hour" | "hours" => HOUR,
        "d" | "day" | "days" => DAY,
        "w" | "week" | "weeks" => 7 * DAY,
        _ => return None,
    };
    Some(unit as f64)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::time;

    fn stretch(text: &str) -> (String, String) {
        let moment = Moment::of_date(text).unwrap_or_else(|| panic!("{text} is a date"));
        let shown = |ms: i64| time::format(u64::try_from(ms).unwrap()).replace(".000Z", "Z");
        (shown(moment.start), shown(moment.end))
    }

    #[test]
    fn a_date_is_as_long_as_it_was_written_exactly() {
        for (text, start, end) in [
            ("2026", "2026-01-01T00:00:00Z", "2027-01-01T00:00:00Z"),
            ("2026-12", "2026-12-01T00:00:00Z", "2027-01-01T00:00:00Z"),
            ("2024-02-29", "2024-02-29T00:00:00Z", "2024-03-01T00:00:00Z"),
            ("2026-11-24T10", "2026-11-24T10:00:00Z", "2026-11-24T11:00:00Z"),
            ("2026-11-24T10:00", "2026-11-24T10:00:00Z", "2026-11-24T10:01:00Z"),
            ("2026-11-24 10:00", "2026-11-24T10:00:00Z", "2026-11-24T10:01:00Z"),
            ("2026-11-24T10:00:07Z", "2026-11-24T10:00:07Z", "2026-11-24T10:00:08Z"),
            ("2026-11-24T10:00:07.5Z", "2026-11-24T10:00:07.500Z", "2026-11-24T10:00:07.600Z"),
            ("2026-11-24T10:00+01:00", "2026-11-24T09:00:00Z", "2026-11-24T09:01:00Z"),
            ("2026-11-24T23:30-0130", "2026-11-25T01:00:00Z", "2026-11-25T01:01:00Z"),
            ("2026-11-24T10:00+05", "2026-11-24T05:00:00Z", "2026-11-24T05:01:00Z"),
        ] {
            assert_eq!(stretch(text), (start.to_owned(), end.to_owned()), "{text}");
        }
        for text in [
            "",
            "7d",
            "26-11-24",
            "2026-13",
            "2026-02-30",
            "2026-11-24T",
            "2026-11-24T25:00",
            "2026T10:00",
            "é",
            "2026-1-1",
        ] {
            assert_eq!(Moment::of_date(text), None, "{text}");
        }
    }

    #[test]
    fn ages_count_back_from_now() {
        let now = time::parse("2026-11-24T10:00:00Z").unwrap();
        let start = |text: &str| time::format(u64::try_from(Moment::of_age(text, now).unwrap().start).unwrap());
        assert_eq!(start("2d ago"), "2026-11-22T10:00:00.000Z");
        assert_eq!(start("36 hours ago"), "2026-11-22T22:00:00.000Z");
        assert_eq!(start("1h30m ago"), "2026-11-24T08:30:00.000Z");
        assert_eq!(start("Today"), "2026-11-24T00:00:00.000Z");
        assert_eq!(start("yesterday"), "2026-11-23T00:00:00.000Z");
        assert_eq!(Moment::of_age("2d", now), None);
        assert_eq!(Moment::of_age("ago", now), None);
    }

    #[test]
    fn durations_add_up() {
        for (text, ms) in [
            ("90s", 90_000.0),
            ("1.5h", 5_400_000.0),
            ("1h30m", 5_400_000.0),
            ("2 days", 172_800_000.0),
            ("250ms", 250.0),
        ] {
            assert_eq!(duration(text), Some(ms), "{text}");
        }
        for text in ["", "90", "h", "1x", "1..5s", "-1s", "é"] {
            assert_eq!(duration(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_text_is_too_strange(text in any::<String>(), dateish in "[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9:.Z+é-]{0,12}") {
            for text in [text, dateish] {
                let _ = (Moment::of_date(&text), Moment::of_age(&text, 0), duration(&text));
            }
        }

        #[test]
        fn a_time_is_before_within_or_after(ms in 0u64..4_000_000_000_000) {
            let text = time::format(ms);
            prop_assert_eq!(Moment::of_date(&text).unwrap().compare(ms), Ordering::Equal);
            prop_assert_eq!(Moment::of_date(&text).unwrap().compare(ms + 1), Ordering::Greater);
            prop_assert_eq!(Moment::of_date(&text[..10]).unwrap().compare(ms), Ordering::Equal);
        }
    }
}
