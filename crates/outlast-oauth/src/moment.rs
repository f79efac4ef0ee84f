//! Moments as tools write them.

use outlast_core::Timestamp;
use serde_json::Value;

/// Numbers beyond this are milliseconds: in seconds it would be the year 5138.
const SECONDS_MAX: f64 = 1e11;
/// Later moments are mistakes: in milliseconds it is the year 33658.
const MILLIS_END: f64 = 1e15;

/// What a moment without a zone is taken for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Zone {
    /// The time of this machine.
    Local,
    /// UTC, as some languages write it by themselves.
    Utc,
}

/// A moment: seconds or milliseconds since 1970, as number or text, or RFC 3339, also with a blank
/// for its `T` and without a zone.
pub fn moment(value: &Value, zone: Zone) -> Option<Timestamp> {
    let number = match value {
        Value::Number(number) => number.as_f64(),
        Value::String(text) => match text.trim().parse::<f64>() {
            Ok(number) => Some(number),
            Err(_) => return written(text.trim(), zone),
        },
        Value::Array(_) | Value::Bool(_) | Value::Null | Value::Object(_) => None,
    }?;
    let millis = if number.abs() > SECONDS_MAX { number } else { number * 1000.0 };
    let sane = millis.is_finite() && (0.0..MILLIS_END).contains(&millis);
    sane.then(|| Timestamp::from_millis(millis.round() as u64))
}

fn written(text: &str, zone: Zone) -> Option<Timestamp> {
    let with_zone = || text.parse::<jiff::Timestamp>().ok();
    let without = || {
        let civil: jiff::civil::DateTime = text.parse().ok()?;
        let zone = match zone {
            Zone::Local => jiff::tz::TimeZone::system(),
            Zone::Utc => jiff::tz::TimeZone::UTC,
        };
        zone.to_timestamp(civil).ok()
    };
    let found = with_zone().or_else(without)?;
    u64::try_from(found.as_millisecond()).ok().map(Timestamp::from_millis)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_moment_is_read_however_it_is_written() {
        let wanted = Some(Timestamp::from_secs(1_800_003_600));
        for value in [
            json!(1_800_003_600),
            json!(1_800_003_600_000_u64),
            json!("1800003600"),
            json!(" 1800003600.0 "),
            json!("2027-01-15T09:00:00Z"),
            json!("2027-01-15T10:00:00+01:00"),
            json!("2027-01-15T09:00:00"),
            json!("2027-01-15 09:00:00.000000"),
        ] {
            assert_eq!(moment(&value, Zone::Utc), wanted, "{value}");
        }
        for value in
            [json!(-1), json!("soon"), json!(null), json!([]), json!({}), json!(true), json!("NaN"), json!(1e300)]
        {
            assert_eq!(moment(&value, Zone::Utc), None, "{value}");
        }
    }

    #[test]
    fn local_time_is_the_machines() {
        let here = jiff::tz::TimeZone::system();
        let civil = jiff::civil::datetime(2027, 1, 15, 9, 0, 0, 0);
        let wanted = here.to_timestamp(civil).unwrap().as_second();
        let found = moment(&json!("2027-01-15 09:00:00.000000"), Zone::Local).unwrap();
        assert_eq!(found.as_secs(), u64::try_from(wanted).unwrap());
    }
}
