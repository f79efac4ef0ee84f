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

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:03}", self.0 / 1000, self.0 % 1000)
    }
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
