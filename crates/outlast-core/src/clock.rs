//! Moments, and the port that tells the present one.

use crate::BoxFuture;
use std::fmt;
use std::time::Duration;

/// A moment in wall-clock time, in milliseconds since 1970-01-01T00:00:00Z.
///
/// Deadlines are kept in wall-clock time because they must mean the same in another process and
/// after a restart; arithmetic saturates, so that no server's number can overflow it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Timestamp(u64);

impl Timestamp {
    /// The moment that many milliseconds after the epoch.
    pub const fn from_millis(millis: u64) -> Self {
        Self(millis)
    }

    /// The moment that many seconds after the epoch.
    pub const fn from_secs(secs: u64) -> Self {
        Self(secs.saturating_mul(1000))
    }

    /// Milliseconds since the epoch.
    pub const fn as_millis(self) -> u64 {
        self.0
    }

    /// Whole seconds since the epoch.
    pub const fn as_secs(self) -> u64 {
        self.0 / 1000
    }

    /// The moment `after` this one; the end of time where that would overflow.
    #[must_use]
    pub fn plus(self, after: Duration) -> Self {
        Self(self.0.saturating_add(millis(after)))
    }

    /// The moment `before` this one; the epoch where that would underflow.
    #[must_use]
    pub fn minus(self, before: Duration) -> Self {
        Self(self.0.saturating_sub(millis(before)))
    }

    /// How long after `earlier` this moment is; zero if it is not after it.
    pub fn since(self, earlier: Timestamp) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0))
    }

    /// How long from this moment until `later`; zero if that has passed.
    pub fn until(self, later: Timestamp) -> Duration {
        later.since(self)
    }
}

/// As RFC 3339 has it, in UTC and to the second: whoever reads it is to look something up that happened then.
impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let secs = self.as_secs().min(SECS_MAX);
        let ((year, month, day), second) = (date(secs / DAY_SECS), secs % DAY_SECS);
        let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
        write!(f, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
    }
}

const DAY_SECS: u64 = 86_400;

/// The last second of the year 9999: RFC 3339 knows no year of five digits.
const SECS_MAX: u64 = 253_402_300_799;

/// Year, month and day, so many days after 1970-01-01. Counted in years that begin in March, so that a leap day
/// is the last of its year, from 0000-03-01 on.
fn date(days: u64) -> (u64, u64, u64) {
    let days = days + 719_468;
    let (era, day) = (days / 146_097, days % 146_097);
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let is_new_year = month >= 10;
    (400 * era + year + u64::from(is_new_year), if is_new_year { month - 9 } else { month + 3 }, day)
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// Tells the time and waits. Within one boot, `now` advances with the boot clock, which runs
/// through suspend and does not jump when somebody sets the wall clock.
pub trait Clock: Send + Sync {
    /// The present moment.
    fn now(&self) -> Timestamp;
    /// Waits for `at_most` this long, counted by [`Clock::now`]; may return early, never late by
    /// more than two seconds after a suspend.
    fn sleep(&self, at_most: Duration) -> BoxFuture<'_, ()>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_is_shown_in_utc_as_people_read_it() {
        for (secs, shown) in [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_399, "2000-02-28T23:59:59Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
            (951_868_800, "2000-03-01T00:00:00Z"),
            (1_795_658_400, "2026-11-26T02:00:00Z"),
            (1_798_761_599, "2026-12-31T23:59:59Z"),
            (1_798_761_600, "2027-01-01T00:00:00Z"),
            (4_107_542_400, "2100-03-01T00:00:00Z"),
            (253_402_300_799, "9999-12-31T23:59:59Z"),
            (253_402_300_800, "9999-12-31T23:59:59Z"),
            (u64::MAX, "9999-12-31T23:59:59Z"),
        ] {
            assert_eq!(Timestamp::from_secs(secs).to_string(), shown, "{secs}");
        }
        assert_eq!(Timestamp::from_millis(1999).to_string(), "1970-01-01T00:00:01Z");
    }
}
