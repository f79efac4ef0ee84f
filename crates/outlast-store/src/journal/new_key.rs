//! The journals of tasks under another store key (F26): the beginning of each is sealed anew, and its frames stay
//! as they are. While one of the two slots opens with the old key and the other with the new one, either does.

use super::header::{HEADER_BYTES, Header, SLOT_BYTES};
use super::path::{self, Paths};
use crate::failure::unwritable;
use crate::home::{self, Home};
use crate::seal::{StoreId, StoreKey};
use outlast_core::{JournalError, StoreError, TaskId};
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;

/// How many journals there are.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Journals {
    /// Those that open.
    pub(crate) whole: usize,
    /// Those that do not, with no key that there is; they are left as they are.
    pub(crate) damaged: usize,
}

/// Seals the beginning of each with `next` too, synced: with `old` each still opens.
pub(crate) fn seal_beside(
    home: &Home,
    store: StoreId,
    old: &StoreKey,
    next: &StoreKey,
) -> Result<Journals, StoreError> {
    each(home, |beginning| {
        let Some(header) = beginning.open(store, old)? else { return Ok(false) };
        // The first slot is what opens with the old key, so that the second can be given up.
        if !beginning.slot_opens(0, store, old) {
            beginning.write(0, &header, store, old)?;
        }
        beginning.write(1, &header, store, next)?;
        Ok(true)
    })
}

/// Seals with `next` whatever is still sealed with `old`, so that nothing needs it any more.
pub(crate) fn seal_alone(
    home: &Home,
    store: StoreId,
    next: &StoreKey,
    old: Option<&StoreKey>,
) -> Result<Journals, StoreError> {
    each(home, |beginning| {
        let by_next = beginning.open(store, next)?;
        let by_old = || old.map_or(Ok(None), |old| beginning.open(store, old));
        let Some(header) = by_next.map_or_else(by_old, |header| Ok(Some(header)))? else { return Ok(false) };
        // One that opens with the new key already may be the only one that does.
        for slot in 0..2 {
            if !beginning.slot_opens(slot, store, next) {
                beginning.write(slot, &header, store, next)?;
            }
        }
        Ok(true)
    })
}

fn each(home: &Home, seal: impl Fn(&Beginning) -> Result<bool, StoreError>) -> Result<Journals, StoreError> {
    let mut journals = Journals::default();
    for task in path::tasks(&home.tasks())? {
        match Beginning::read(home, &task)? {
            None => {}
            Some(beginning) if seal(&beginning)? => journals.whole += 1,
            Some(_) => journals.damaged += 1,
        }
    }
    Ok(journals)
}

/// The beginning of one journal.
struct Beginning {
    file: File,
    path: PathBuf,
    task: TaskId,
}

impl Beginning {
    /// None if the task was deleted meanwhile.
    fn read(home: &Home, task: &TaskId) -> Result<Option<Self>, StoreError> {
        let path = Paths::new(home, task).journal();
        Ok(home::open_to_write(&path)?.map(|file| Self { file, path, task: task.clone() }))
    }

    /// None if it is cut.
    fn bytes(&self) -> Result<Option<[u8; HEADER_BYTES]>, StoreError> {
        let mut bytes = [0; HEADER_BYTES];
        match self.file.read_exact_at(&mut bytes, 0) {
            Ok(()) => Ok(Some(bytes)),
            Err(cause) if cause.kind() == std::io::ErrorKind::UnexpectedEof => Ok(None),
            Err(cause) => Err(unwritable("reading", &self.path, cause)),
        }
    }

    /// None if neither slot opens with this key.
    fn open(&self, store: StoreId, key: &StoreKey) -> Result<Option<Header>, StoreError> {
        let Some(bytes) = self.bytes()? else { return Ok(None) };
        match Header::open(&bytes, key, store, &self.task) {
            Ok(header) => Ok(Some(header)),
            Err(JournalError::TooNew { found, known, .. }) => {
                Err(StoreError::TooNew { found: found.into(), known: known.into() })
            }
            Err(_) => Ok(None),
        }
    }

    fn slot_opens(&self, slot: usize, store: StoreId, key: &StoreKey) -> bool {
        self.bytes().ok().flatten().is_some_and(|bytes| Header::slot_opens(&bytes, slot, key, store, &self.task))
    }

    fn write(&self, slot: usize, header: &Header, store: StoreId, key: &StoreKey) -> Result<(), StoreError> {
        let sealed = header.seal(key, store, &self.task)?;
        let written = self.file.write_all_at(&sealed, (slot * SLOT_BYTES) as u64).and_then(|()| self.file.sync_all());
        written.map_err(|cause| unwritable("writing", &self.path, cause))
    }
}
