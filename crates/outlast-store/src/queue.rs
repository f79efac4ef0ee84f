//! Turns at the database, so that writers of several processes do not starve one another.
//!
//! SQLite's own lock is what keeps the data safe; but its waiters poll, and one that commits in a
//! loop takes the lock again before they look. Here the next in line holds a second lock, the
//! turnstile, while it waits: whoever has just finished has to stand behind it.

use crate::failure::unwritable;
use crate::home::{self, Home};
use crate::lease::jittered;
use outlast_core::StoreError;
use std::fs::{File, TryLockError};
use std::path::Path;
use std::time::Duration;

/// For how long a turn is waited for. A commit takes milliseconds; a holder that is stopped for
/// longer than this is reported instead of waited for.
pub(crate) const TURN_PATIENCE: Duration = Duration::from_secs(10);
const LOOK_FIRST: Duration = Duration::from_micros(100);
const LOOK_LAST: Duration = Duration::from_millis(5);

/// The two lock files, open.
#[derive(Debug)]
pub(crate) struct Queue {
    turnstile: File,
    writer: File,
}

/// The right to write, until dropped.
#[derive(Debug)]
pub(crate) struct Turn<'a>(&'a File);

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        // If this fails the lock is released when the file is closed.
        drop(self.0.unlock());
    }
}

impl Queue {
    /// Opens the lock files.
    pub(crate) fn open(home: &Home) -> Result<Self, StoreError> {
        let turnstile = home::open_lock_file(home, &home.own_lock("turnstile"))?;
        let writer = home::open_lock_file(home, &home.own_lock("writer"))?;
        Ok(Self { turnstile, writer })
    }

    /// Waits for our turn; none if it does not come within [`TURN_PATIENCE`].
    pub(crate) fn turn(&self, home: &Home) -> Result<Option<Turn<'_>>, StoreError> {
        let mut patience = TURN_PATIENCE;
        if !wait(&self.turnstile, home.folder(), &mut patience)? {
            return Ok(None);
        }
        let through = Turn(&self.turnstile);
        let ours = wait(&self.writer, home.folder(), &mut patience)?;
        drop(through);
        Ok(ours.then_some(Turn(&self.writer)))
    }
}

fn wait(lock: &File, folder: &Path, patience: &mut Duration) -> Result<bool, StoreError> {
    let mut pause = LOOK_FIRST;
    loop {
        match lock.try_lock() {
            Ok(()) => return Ok(true),
            Err(TryLockError::Error(cause)) => return Err(unwritable("locking in", folder, cause)),
            Err(TryLockError::WouldBlock) if patience.is_zero() => return Ok(false),
            Err(TryLockError::WouldBlock) => {}
        }
        let nap = jittered(pause)?.min(*patience);
        // Nobody wakes this thread; it may wake early, which only makes it look sooner.
        std::thread::park_timeout(nap);
        *patience -= nap;
        pause = (pause * 2).min(LOOK_LAST);
    }
}
