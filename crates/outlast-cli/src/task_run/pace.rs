//! How fast a server wants to be asked: a pause that one step is told of holds for all steps of that origin.

use outlast::{Clock, Timestamp};
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// Longest pause that a server is believed.
const PAUSE_MAX: Duration = Duration::from_secs(24 * 3600);

/// Until when each origin wants to be left alone.
#[derive(Debug, Default)]
pub(super) struct Pace(Mutex<HashMap<String, Timestamp>>);

impl Pace {
    /// The origin wants a pause. Until when.
    pub(super) fn slow_down(&self, origin: &str, pause: Duration, now: Timestamp) -> Timestamp {
        let until = now.plus(pause.min(PAUSE_MAX));
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let latest = known.entry(origin.to_owned()).or_insert(until);
        // A later answer may allow less; the longest pause that was asked for is kept.
        *latest = until.max(*latest);
        *latest
    }

    /// Waits until the origin may be asked.
    pub(super) async fn wait(&self, origin: &str, clock: &dyn Clock) {
        loop {
            let until = self.0.lock().unwrap_or_else(PoisonError::into_inner).get(origin).copied();
            let now = clock.now();
            match until {
                Some(until) if until > now => clock.sleep(now.until(until)).await,
                Some(_) | None => return,
            }
        }
    }
}
