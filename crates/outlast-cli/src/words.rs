//! Times, durations and names as people write and read them.

use outlast::Timestamp;
use std::time::Duration;

/// The units of a duration, longest first.
const UNITS: [(&str, u64); 5] = [("ms", 1), ("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1000)];

/// Reads a duration such as `5m`, `1h30m`, `90s`, `500ms`, or seconds without a unit.
pub(crate) fn parse_duration(text: &str) -> Result<Duration, String> {
    let wrong = || format!("{text:?} is no duration; write for example 30s, 5m or 1h30m");
    if let Ok(secs) = text.parse::<u64>() {
        return Ok(Duration::from_secs(secs));
    }
    let (mut rest, mut millis) = (text, 0_u64);
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit()).ok_or_else(wrong)?;
        let number: u64 = rest[..digits].parse().map_err(|_| wrong())?;
        let (unit, each) = UNITS.into_iter().find(|(unit, _)| rest[digits..].starts_with(unit)).ok_or_else(wrong)?;
        millis = number.checked_mul(each).and_then(|more| millis.checked_add(more)).ok_or_else(wrong)?;
        rest = &rest[digits + unit.len()..];
    }
    if text.is_empty() { Err(wrong()) } else { Ok(Duration::from_millis(millis)) }
}

/// A duration in the two units that matter, such as `4m 05s` or `3d 02h`.
pub(crate) fn duration(span: Duration) -> String {
    let secs = span.as_secs();
    match secs {
        0..=9 => format!("{}.{}s", secs, span.subsec_millis() / 100),
        10..=59 => format!("{secs}s"),
        60..=3599 => format!("{}m {:02}s", secs / 60, secs % 60),
        3600..=86_399 => format!("{}h {:02}m", secs / 3600, secs % 3600 / 60),
        86_400.. => format!("{}d {:02}h", secs / 86_400, secs % 86_400 / 3600),
    }
}

/// A moment seen from `now`, such as `in 4m 05s` or `12s ago`.
pub(crate) fn seen_from(now: Timestamp, at: Timestamp) -> String {
    if at > now { format!("in {}", duration(now.until(at))) } else { format!("{} ago", duration(now.since(at))) }
}

/// A moment as RFC 3339 in UTC, to the second.
pub(crate) fn rfc3339(at: Timestamp) -> String {
    at.to_string()
}

/// A grant's name as part of an environment variable: upper case, everything but letters and
/// digits as `_`.
pub(crate) fn variable_part(grant: &str) -> String {
    grant.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_as_people_write_them() {
        let table =
            [("5m", 300_000), ("1h30m", 5_400_000), ("90s", 90_000), ("500ms", 500), ("7", 7000), ("1d", 86_400_000)];
        for (text, millis) in table {
            assert_eq!(parse_duration(text), Ok(Duration::from_millis(millis)), "{text}");
        }
        for text in ["", "m", "5x", "5m3", "-5m", "5 m", "99999999999999999999s", "1.5h"] {
            assert!(parse_duration(text).is_err(), "{text}");
        }
    }

    #[test]
    fn moments_are_shown_from_where_the_reader_stands() {
        let now = Timestamp::from_secs(1000);
        assert_eq!(seen_from(now, Timestamp::from_secs(1245)), "in 4m 05s");
        assert_eq!(seen_from(now, Timestamp::from_secs(988)), "12s ago");
        assert_eq!(rfc3339(Timestamp::from_secs(0)), "1970-01-01T00:00:00Z");
    }

    #[test]
    fn every_day_until_2400_is_written_as_the_calendar_has_it() {
        for day in 0..157_100_u32 {
            let secs = i64::from(day) * 86_400 + i64::from(day % 86_400);
            let calendar = jiff::Timestamp::from_second(secs).unwrap().strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
            assert_eq!(rfc3339(Timestamp::from_secs(secs.unsigned_abs())), calendar);
        }
    }

    #[test]
    fn variable_names_hold_nothing_but_letters_digits_and_underscores() {
        assert_eq!(variable_part("gh-app.v2"), "GH_APP_V2");
    }
}
