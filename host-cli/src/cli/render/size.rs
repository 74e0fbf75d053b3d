//! Bytes and counts, as people read them.

/// Bytes in binary units: `512 B`, `3.8 MiB`.
#[expect(clippy::cast_precision_loss, reason = "two digits are shown, and a double has fifteen")]
pub(crate) fn bytes(bytes: u64) -> String {
    const UNITS: [&str; 6] = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
    if bytes < 1024 {
        return format!("{bytes} B");
    }
    let mut size = bytes as f64 / 1024.0;
    let mut units = UNITS.iter();
    let mut unit = units.next();
    // What would be rounded up to 1024 of a unit is 1 of the next.
    while size >= 1023.5 {
        let Some(larger) = units.next() else { break };
        (size, unit) = (size / 1024.0, Some(larger));
    }
    let unit = unit.copied().unwrap_or_default();
    if size < 99.95 { format!("{size:.1} {unit}") } else { format!("{size:.0} {unit}") }
}

/// A number of things: `1 file`, `3 files`.
pub(crate) fn count(count: u64, one: &str) -> String {
    if count == 1 { format!("1 {one}") } else { format!("{count} {one}s") }
}

/// How long ago something was: `2 hours ago`.
pub(crate) fn ago(milliseconds: u64) -> String {
    const UNITS: [(u64, &str); 4] = [(60, "second"), (60, "minute"), (24, "hour"), (u64::MAX, "day")];
    let mut number = milliseconds / 1000;
    for (next, unit) in UNITS {
        if number < next {
            return format!("{} ago", count(number, unit));
        }
        number /= next;
    }
    String::new()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_digits_and_a_unit() {
        for (size, text) in [
            (0, "0 B"),
            (1023, "1023 B"),
            (1024, "1.0 KiB"),
            (3_974_305, "3.8 MiB"),
            (102_348, "99.9 KiB"),
            (102_349, "100 KiB"),
            (1_048_063, "1023 KiB"),
            (1_048_064, "1.0 MiB"),
            (1 << 40, "1.0 TiB"),
            (u64::MAX, "16.0 EiB"),
        ] {
            assert_eq!(bytes(size), text, "{size}");
        }
    }

    #[test]
    fn ages_are_told_in_their_largest_unit() {
        for (age, text) in [(0, "0 seconds ago"), (61_000, "1 minute ago"), (86_400_000 * 40, "40 days ago")] {
            assert_eq!(ago(age), text);
        }
    }

    #[test]
    fn one_is_no_plural() {
        assert_eq!(count(0, "file"), "0 files");
        assert_eq!(count(1, "file"), "1 file");
        assert_eq!(count(2, "file"), "2 files");
    }
}
