//! Small notes that all processes share: a file each, in the lock that guards it. Not sealed, for
//! they hold numbers and no secret; not synced, for what a power cut takes of them is found out anew.

use crate::failure::unwritable;
use crate::home::{self, Home};
use outlast_core::{GrantId, StoreError};
use std::fs::{File, TryLockError};
use std::io::{self, Read, Seek, Write};
use std::path::PathBuf;
use std::time::Duration;

/// Longest content that is one of ours.
const BYTES_MAX: u64 = 128;
/// How often, and how far apart, a lock that somebody holds is looked at.
const LOOKS_MAX: usize = 20;
const LOOK_AGAIN: Duration = Duration::from_micros(500);

/// One note.
pub(crate) struct Note {
    home: Home,
    path: PathBuf,
}

impl Note {
    /// The note of that name; touches nothing.
    pub(crate) fn new(home: &Home, name: &str) -> Self {
        Self { home: home.clone(), path: home.own_lock(name) }
    }

    /// The note in the lease of a grant, for its holder to write; touches nothing.
    pub(crate) fn of_lease(home: &Home, grant: &GrantId) -> Self {
        Self { home: home.clone(), path: home.lease(grant) }
    }

    /// What it says, looked at without the lock: a torn answer is possible. Empty if there is none.
    pub(crate) fn peek(&self) -> Result<String, StoreError> {
        let file = home::open_to_read(&self.path)?;
        file.map_or(Ok(String::new()), |mut file| read(&mut file)).map_err(|cause| self.failed(cause))
    }

    /// Puts `change` of what it says in its place, as one step over all processes. Nothing is made
    /// where nothing comes in the place of nothing.
    pub(crate) fn change(&self, mut change: impl FnMut(&str) -> String) -> Result<(), StoreError> {
        if !home::check_file(&self.path)? && change("").is_empty() {
            return Ok(());
        }
        let mut file = home::open_lock_file(&self.home, &self.path)?;
        lock(&file).map_err(|cause| self.failed(cause))?;
        let changed = rewrite(&mut file, change).map_err(|cause| self.failed(cause));
        file.unlock().map_err(|cause| self.failed(cause))?;
        changed
    }

    /// Writes it, for whoever holds its lock already. None is made where there is none: a lease whose file
    /// was cleaned away is not ours any more.
    pub(crate) fn put(&self, text: &str) -> Result<(), StoreError> {
        if !home::check_file(&self.path)? {
            return Ok(());
        }
        let mut file = home::open_lock_file(&self.home, &self.path)?;
        rewrite(&mut file, |_| text.to_owned()).map_err(|cause| self.failed(cause))
    }

    fn failed(&self, cause: io::Error) -> StoreError {
        unwritable("keeping a note in", &self.path, cause)
    }
}

/// Held for a read and a write by each holder; one that was stopped in between is not waited for.
fn lock(file: &File) -> io::Result<()> {
    for _ in 0..LOOKS_MAX {
        match file.try_lock() {
            Ok(()) => return Ok(()),
            Err(TryLockError::Error(cause)) => return Err(cause),
            // Nobody wakes this thread; it may wake early, which only makes it look sooner.
            Err(TryLockError::WouldBlock) => std::thread::park_timeout(LOOK_AGAIN),
        }
    }
    Err(io::ErrorKind::WouldBlock.into())
}

fn rewrite(file: &mut File, mut change: impl FnMut(&str) -> String) -> io::Result<()> {
    let before = read(file)?;
    let next = change(&before);
    if next == before {
        return Ok(());
    }
    file.set_len(0)?;
    file.rewind()?;
    file.write_all(next.as_bytes())
}

/// Bytes that are no text were not written by us and say nothing.
fn read(file: &mut File) -> io::Result<String> {
    let mut bytes = Vec::new();
    file.rewind()?;
    file.take(BYTES_MAX).read_to_end(&mut bytes)?;
    Ok(String::from_utf8(bytes).unwrap_or_default())
}
