//! A token set that the server has rotated to and the store refuses, or does not finish writing (F20): what memory holds is the only
//! copy, whatever the store's trouble is.

use crate::at_disk::HANGING_AFTER;
use crate::keeper::{Entry, Keeper};
use outlast_core::{Code, Generation, Grant, Lease, StoreError};
use std::sync::atomic::Ordering;
use std::time::Duration;

/// Pauses between attempts to write it down.
const PERSIST_AGAIN: [Duration; 6] = [
    Duration::from_secs(1),
    Duration::from_secs(2),
    Duration::from_secs(5),
    Duration::from_secs(10),
    Duration::from_secs(20),
    Duration::from_secs(60),
];

impl Keeper {
    /// Commits a token set that the server has rotated to. A disk that hangs keeps nobody waiting: after a
    /// while it is served from memory, as if the disk had refused it, and the write goes on.
    pub(crate) async fn write_down(
        &self,
        entry: &Entry,
        lease: &Lease,
        expected: Generation,
        next: &Grant,
    ) -> Result<(), StoreError> {
        let mut writing = self.parts().store.commit(lease, expected, next);
        tokio::select! {
            // The write first: while it is quick, nothing else is done (F04).
            biased;
            persisted = &mut writing => return persisted,
            () = self.parts().clock.sleep(HANGING_AFTER) => {}
        }
        tracing::error!(grant = %next.id, code = %Code::StoreUnwritable, "a renewed token set waits for the disk");
        entry.unpersisted.store(true, Ordering::Release);
        self.publish(entry, next.clone());
        let persisted = writing.await;
        if matches!(persisted, Ok(()) | Err(StoreError::Fenced { .. })) {
            entry.unpersisted.store(false, Ordering::Release);
        }
        persisted
    }

    /// Serves `next`, and goes on trying to write it down, while the lease keeps every other process away.
    pub(crate) async fn serve_from_memory(
        &self,
        entry: &Entry,
        lease: &Lease,
        expected: Generation,
        next: Grant,
    ) -> Result<(), StoreError> {
        entry.unpersisted.store(true, Ordering::Release);
        self.publish(entry, next.clone());
        let settled = self.persist(lease, expected, &next).await;
        entry.unpersisted.store(false, Ordering::Release);
        settled
    }

    async fn persist(&self, lease: &Lease, expected: Generation, next: &Grant) -> Result<(), StoreError> {
        let mut pauses = PERSIST_AGAIN.into_iter().chain(std::iter::repeat(PERSIST_AGAIN[PERSIST_AGAIN.len() - 1]));
        loop {
            tracing::error!(grant = %next.id, code = %Code::StoreUnwritable, "a renewed token set is not on disk yet");
            self.parts().clock.sleep(pauses.next().unwrap_or(PERSIST_AGAIN[0])).await;
            let persisted = self.parts().store.commit(lease, expected, next).await;
            // Fenced: the write that failed was made all the same (F23), or somebody signed in meanwhile.
            if matches!(persisted, Ok(()) | Err(StoreError::Fenced { .. })) {
                return persisted;
            }
        }
    }
}
