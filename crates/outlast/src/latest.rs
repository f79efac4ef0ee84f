//! The latest record of a grant in one process, and a bell for those who wait for another.

use crate::sync::{ArcSwapOption, Guard, Mutex, Notify};
use std::sync::{Arc, PoisonError};

/// What one generation of a grant is told by.
pub(crate) trait Dated {
    /// Its generation.
    fn generation(&self) -> u64;
}

/// Read without lock or IO; never goes back to an earlier generation.
pub(crate) struct Latest<T> {
    current: ArcSwapOption<T>,
    replacing: Mutex<()>,
    changed: Notify,
}

impl<T> Default for Latest<T> {
    fn default() -> Self {
        Self { current: ArcSwapOption::empty(), replacing: Mutex::default(), changed: Notify::new() }
    }
}

impl<T> Latest<T> {
    /// The record, borrowed.
    pub(crate) fn load(&self) -> Guard<T> {
        self.current.load()
    }

    /// The record.
    pub(crate) fn load_full(&self) -> Option<Arc<T>> {
        self.current.load_full()
    }

    /// Ends when a record is published after this call, whether it is waited for by then or not.
    pub(crate) fn changed(&self) -> impl Future<Output = ()> {
        self.changed.notified()
    }

    /// Waits until the record is another than `known`, which it may be already.
    pub(crate) async fn other_than(&self, known: &Arc<T>) {
        loop {
            // Before the look at the record: what is published between the two is heard of too.
            let changed = self.changed.notified();
            if self.load_full().is_none_or(|current| !Arc::ptr_eq(&current, known)) {
                return;
            }
            changed.await;
        }
    }
}

impl<T: Dated> Latest<T> {
    /// Publishes what `make` makes of the record there is, unless that is of a later generation (S3);
    /// and says what is published then.
    pub(crate) fn publish(&self, generation: u64, make: impl FnOnce(Option<&Arc<T>>) -> Arc<T>) -> Arc<T> {
        let replacing = self.replacing.lock().unwrap_or_else(PoisonError::into_inner);
        let current = self.current.load_full();
        if let Some(current) = current.as_ref().filter(|current| current.generation() > generation) {
            return Arc::clone(current);
        }
        let next = make(current.as_ref());
        if current.is_some_and(|current| Arc::ptr_eq(&current, &next)) {
            return next;
        }
        self.current.store(Some(Arc::clone(&next)));
        drop(replacing);
        self.changed.notify_waiters();
        next
    }
}
