//! How long a server asks us to wait, in every form that occurs.

use crate::clock::Timestamp;
use std::time::Duration;

/// The longest wait that a server's word is taken for; ten years means an hour (F31).
pub const RETRY_AFTER_MAX: Duration = Duration::from_secs(3600);

/// Longest text that is looked at, in bytes.
const TEXT_BYTES_MAX: usize = 64;

/// Reads a `Retry-After` value (RFC 9110 10.2.3): whole seconds, seconds with a fraction, or an
/// HTTP date. A date needs `reference`, the moment the reply was made: its own `Date` field, or
/// the present. At most [`RETRY_AFTER_MAX`]; `None` for anything else, which means ordinary
/// back-off.
pub fn read_retry_after(value: &[u8], reference: Option<Timestamp>) -> Option<Duration> {
    let text = text_of(value)?;
    if let Some(wait) = seconds(text) {
        return Some(wait);
    }
    let until = read_http_date(text.as_bytes())?;
    Some(reference?.until(until).min(RETRY_AFTER_MAX))
}

/// Reads a number of seconds, with or without a fraction or a trailing `s` (`30`, `1.5`, `30s`).
pub fn read_seconds(value: &[u8]) -> Option<Duration> {
    seconds(text_of(value)?)
}

/// Reads a number of milliseconds, as `retry-after-ms` and Matrix send it.
pub fn read_milliseconds(value: &[u8]) -> Option<Duration> {
    let text = text_of(value)?;
    let whole = text.split_once('.').map_or(text, |(whole, _)| whole);
    if whole.is_empty() || !whole.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    Some(Duration::from_millis(whole.parse().unwrap_or(u64::MAX)).min(RETRY_AFTER_MAX))
}

/// Reads when a limit is lifted: seconds from now, or seconds since the epoch, which need
/// `reference` (`RateLimit-Reset` and its relatives send either).
pub fn read_reset(value: &[u8], reference: Option<Timestamp>) -> Option<Duration> {
    /// Larger numbers are moments: nobody asks for eleven days.
    const SECONDS_FROM_NOW_MAX: u64 = 1_000_000;
    let number: u64 = text_of(value)?.parse().ok()?;
    if number <= SECONDS_FROM_NOW_MAX {
        return Some(Duration::from_secs(number).min(RETRY_AFTER_MAX));
    }
    Some(reference?.until(Timestamp::from_secs(number)).min(RETRY_AFTER_MAX))
}

fn text_of(value: &[u8]) -> Option<&str> {
    let value = value.trim_ascii();
    if value.is_empty() || value.len() > TEXT_BYTES_MAX {
        return None;
    }
    std::str::from_utf8(value).ok()
}

/// Digits, at most one point, and nothing else: `f64`'s own parser would take `inf` and `1e9`.
fn seconds(text: &str) -> Option<Duration> {
    let text = text.strip_suffix('s').unwrap_or(text);
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || !digits(whole) || !digits(fraction) {
        return None;
    }
    // More digits than a u64 holds is a wait without end, and those are capped.
    let whole = whole.parse::<u64>().unwrap_or(u64::MAX);
    let milliseconds =
        fraction.bytes().chain(*b"000").take(3).fold(0_u64, |sum, digit| sum * 10 + u64::from(digit - b'0'));
    Some(Duration::from_secs(whole).saturating_add(Duration::from_millis(milliseconds)).min(RETRY_AFTER_MAX))
}

/// Reads an HTTP date in the preferred form and both obsolete ones (RFC 9110 5.6.7).
pub fn read_http_date(value: &[u8]) -> Option<Timestamp> {
    let text = text_of(value)?;
    let mut words = [""; 8];
    for (place, word) in text.split([' ', ',', '-']).filter(|word| !word.is_empty()).enumerate() {
        *words.get_mut(place)? = word;
    }
    // `Sun, 06 Nov 1994 08:49:37 GMT`, `Sunday, 06-Nov-94 08:49:37 GMT`, `Sun Nov  6 08:49:37 1994`
    let (day, month, year, time) = match words[1].as_bytes().first()? {
        b'0'..=b'9' => (words[1], words[2], words[3], words[4]),
        _ => (words[2], words[1], words[4], words[3]),
    };
    moment(year_of(year)?, month_of(month)?, day.parse().ok()?, time)
}

fn year_of(text: &str) -> Option<u64> {
    let year: u64 = text.parse().ok()?;
    match text.len() {
        // RFC 9110 5.6.7: two digits; nothing we read lies before 1970.
        2 if year < 70 => Some(2000 + year),
        2 => Some(1900 + year),
        4 => Some(year),
        _ => None,
    }
}

fn month_of(text: &str) -> Option<u64> {
    const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let place = MONTHS.iter().position(|month| text.eq_ignore_ascii_case(month))?;
    u64::try_from(place + 1).ok()
}

fn moment(year: u64, month: u64, day: u64, time: &str) -> Option<Timestamp> {
    let mut parts = time.split(':').map(|part| part.parse::<u64>().ok());
    let (hour, minute, second) = (parts.next()??, parts.next()??, parts.next()??);
    if !(1970..=9999).contains(&year) || !(1..=31).contains(&day) || hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    // Days from the civil calendar, counted from March so that the leap day comes last.
    let (year, shifted) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let days = 365 * year + year / 4 - year / 100 + year / 400 + (153 * shifted + 2) / 5 + day - 1;
    const DAYS_TO_EPOCH: u64 = 719_468;
    let days = days.checked_sub(DAYS_TO_EPOCH)?;
    Some(Timestamp::from_secs(days * 86_400 + hour * 3600 + minute * 60 + second))
}

#[cfg(test)]
mod tests {
    use super::*;

    const MADE: &[u8] = b"Sun, 06 Nov 1994 08:49:37 GMT";

    fn read(value: &str) -> Option<Duration> {
        read_retry_after(value.as_bytes(), read_http_date(MADE))
    }

    #[test]
    fn f31_seconds_fractions_and_dates_are_read_and_an_hour_is_the_most() {
        let seconds = |s: u64| Some(Duration::from_secs(s));
        let table = [
            ("0", seconds(0)),
            ("120", seconds(120)),
            (" 7 ", seconds(7)),
            ("30s", seconds(30)),
            ("1.5", Some(Duration::from_millis(1500))),
            ("0.0005", Some(Duration::ZERO)),
            ("315360000", seconds(3600)),
            ("99999999999999999999999999", seconds(3600)),
            ("Sun, 06 Nov 1994 08:50:37 GMT", seconds(60)),
            ("Sunday, 06-Nov-94 08:50:37 GMT", seconds(60)),
            ("Sun Nov  6 08:50:37 1994", seconds(60)),
            ("Sun, 06 Nov 2094 08:50:37 GMT", seconds(3600)),
            ("Sun, 06 Nov 1993 08:50:37 GMT", seconds(0)),
            ("", None),
            ("-5", None),
            ("1e9", None),
            ("inf", None),
            ("NaN", None),
            ("soon", None),
            ("1.2.3", None),
            ("Sun, 99 Nov 1994 08:50:37 GMT", None),
            ("Sun, 06 Foo 1994 08:50:37 GMT", None),
            ("Sun, 06 Nov 1994 25:50:37 GMT", None),
            ("a b c d e f g h i j k l", None),
        ];
        for (value, expected) in table {
            assert_eq!(read(value), expected, "{value:?}");
        }
    }

    #[test]
    fn a_date_without_a_reference_is_ordinary_back_off() {
        assert_eq!(read_retry_after(MADE, None), None);
    }

    #[test]
    fn a_date_is_the_moment_it_names() {
        assert_eq!(read_http_date(MADE).map(Timestamp::as_secs), Some(784_111_777));
        let leap = read_http_date(b"Thu, 29 Feb 2024 00:00:00 GMT").map(Timestamp::as_secs);
        assert_eq!(leap, Some(1_709_164_800));
    }

    #[test]
    fn a_reset_is_seconds_from_now_or_a_moment() {
        let now = Some(Timestamp::from_secs(1_700_000_000));
        assert_eq!(read_reset(b"30", None), Some(Duration::from_secs(30)));
        assert_eq!(read_reset(b"1700000042", now), Some(Duration::from_secs(42)));
        assert_eq!(read_reset(b"1700000042", None), None);
        assert_eq!(read_reset(b"x", now), None);
    }

    #[test]
    fn milliseconds_are_thousandths_and_capped() {
        assert_eq!(read_milliseconds(b"1500"), Some(Duration::from_millis(1500)));
        assert_eq!(read_milliseconds(b"600000.5"), Some(Duration::from_secs(600)));
        assert_eq!(read_milliseconds(b"99999999999"), Some(RETRY_AFTER_MAX));
        assert_eq!(read_milliseconds(b"soon"), None);
    }
}
