//! A clock that follows the runtime's time, which tests pause and let run ahead.

use outlast_core::{BoxFuture, Clock, Timestamp};
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

/// Tells the time of a paused tokio runtime: waiting costs nothing, and every run is the same.
#[derive(Debug)]
pub struct SimulatedClock {
    start: tokio::time::Instant,
    jump_millis: AtomicI64,
}

impl SimulatedClock {
    /// When simulated time begins.
    pub const START: Timestamp = Timestamp::from_secs(1_800_000_000);

    /// Starts at [`SimulatedClock::START`]; must be made inside a runtime.
    #[expect(clippy::disallowed_methods, reason = "simulated time is the runtime's time")]
    pub fn new() -> Self {
        Self { start: tokio::time::Instant::now(), jump_millis: AtomicI64::new(0) }
    }

    /// Moves the clock without letting timers run, as a suspend does.
    pub fn suspend(&self, asleep: Duration) {
        let millis = i64::try_from(asleep.as_millis()).unwrap_or(i64::MAX);
        self.jump_millis.fetch_add(millis, Ordering::Relaxed);
    }

    /// Sets the clock back, as a person does, or a machine that finds out what time it is.
    pub fn set_back(&self, by: Duration) {
        let millis = i64::try_from(by.as_millis()).unwrap_or(i64::MAX);
        self.jump_millis.fetch_sub(millis, Ordering::Relaxed);
    }
}

impl Default for SimulatedClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for SimulatedClock {
    fn now(&self) -> Timestamp {
        let ran = Self::START.plus(self.start.elapsed());
        Timestamp::from_millis(ran.as_millis().saturating_add_signed(self.jump_millis.load(Ordering::Relaxed)))
    }

    fn sleep(&self, at_most: Duration) -> BoxFuture<'_, ()> {
        Box::pin(tokio::time::sleep(at_most))
    }
}
