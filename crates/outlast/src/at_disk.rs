//! Since when the renewal of a grant waits for the disk: whoever gives up waiting for it is told so.

use outlast_core::{StoreError, Timestamp};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// After this, an operation that neither ends nor fails is one that the disk may never finish.
pub(crate) const HANGING_AFTER: Duration = Duration::from_secs(5);

/// The operation at the store that the renewal aloft is in, if it is in one.
#[derive(Debug, Default)]
pub(crate) struct AtDisk(Mutex<Option<Timestamp>>);

/// Ends the note when the operation does, or is dropped.
struct Noted<'a>(&'a AtDisk);

impl Drop for Noted<'_> {
    fn drop(&mut self) {
        *self.0.since() = None;
    }
}

impl AtDisk {
    /// Carries an operation of the renewal out, begun at `now`.
    pub(crate) async fn during<T>(&self, now: Timestamp, operation: impl Future<Output = T>) -> T {
        *self.since() = Some(now);
        let _noted = Noted(self);
        operation.await
    }

    /// What to tell whoever waited until `now`, where the disk is what kept the renewal.
    pub(crate) fn trouble(&self, now: Timestamp) -> Option<StoreError> {
        let waited = now.since((*self.since())?);
        (waited >= HANGING_AFTER).then(|| unanswered(waited))
    }

    fn since(&self) -> MutexGuard<'_, Option<Timestamp>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The trouble of a disk that has not answered for so long.
pub(crate) fn unanswered(waited: Duration) -> StoreError {
    let detail = format!("the disk has not answered for {} s; what was begun goes on", waited.as_secs());
    StoreError::Unwritable { detail }
}
