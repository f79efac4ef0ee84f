//! The beginning of a journal's file: the key of its frames, sealed under the key of the store, twice.
//!
//! ```text
//! magic   "OUTLtask"
//! format  u8
//! length  u16 LE   of what is sealed
//! sealed  key (32), identity (16); as the record of the name "task NAME", generation 0, epoch 0
//! zeros   to 512 bytes
//! ```
//!
//! Two slots of 512 bytes, of which one has to open: a new store key is put into one after the other, so
//! that the journal opens under the old key or the new at every moment.

use super::frame::FrameKey;
use crate::seal::{self, Binding, StoreId, StoreKey};
use outlast_core::{JournalError, StoreError, TaskId};
use zeroize::Zeroizing;

/// Where the frames begin.
pub(super) const HEADER_BYTES: usize = 2 * SLOT_BYTES;
/// The newest format of a journal's file that this version writes and reads.
const FORMAT: u8 = 1;
/// One of two.
pub(super) const SLOT_BYTES: usize = 512;
const MAGIC: &[u8; 8] = b"OUTLtask";
const SEALED_AT: usize = 11;
const KEY_BYTES: usize = 32;

/// What tells a journal from every other, and opens it.
pub(super) struct Header {
    /// Random; a task that was deleted and made anew has another.
    pub(super) identity: [u8; 16],
    bytes: Zeroizing<Vec<u8>>,
}

impl Header {
    /// A new one.
    pub(super) fn draw() -> Result<Self, StoreError> {
        let key: Zeroizing<[u8; KEY_BYTES]> = Zeroizing::new(seal::random()?);
        let identity: [u8; 16] = seal::random()?;
        Ok(Self { identity, bytes: Zeroizing::new([key.as_slice(), &identity].concat()) })
    }

    /// The key of the frames.
    pub(super) fn key(&self) -> Result<FrameKey, StoreError> {
        FrameKey::new(&self.bytes[..KEY_BYTES])
    }

    /// One slot.
    pub(super) fn seal(&self, key: &StoreKey, store: StoreId, task: &TaskId) -> Result<Vec<u8>, StoreError> {
        let sealed = seal::seal(key, &binding(store, &name(task)), &self.bytes)?;
        let length = u16::try_from(sealed.len()).unwrap_or(u16::MAX);
        let mut slot = [MAGIC.as_slice(), &[FORMAT], &length.to_le_bytes(), &sealed].concat();
        slot.resize(SLOT_BYTES, 0);
        Ok(slot)
    }

    /// Reads the slots.
    pub(super) fn open(
        bytes: &[u8; HEADER_BYTES],
        key: &StoreKey,
        store: StoreId,
        task: &TaskId,
    ) -> Result<Self, JournalError> {
        let (first, second) = bytes.split_at(SLOT_BYTES);
        open_slot(first, key, store, task).or_else(|refused| open_slot(second, key, store, task).map_err(|_| refused))
    }

    /// Whether one of the slots opens by itself.
    pub(super) fn slot_opens(
        bytes: &[u8; HEADER_BYTES],
        slot: usize,
        key: &StoreKey,
        store: StoreId,
        task: &TaskId,
    ) -> bool {
        let slot = bytes.chunks_exact(SLOT_BYTES).nth(slot);
        slot.is_some_and(|slot| open_slot(slot, key, store, task).is_ok())
    }
}

fn open_slot(slot: &[u8], key: &StoreKey, store: StoreId, task: &TaskId) -> Result<Header, JournalError> {
    let damaged = || {
        let detail = format!("the beginning of the journal of task {task} was changed, or was sealed with another key");
        JournalError::Store(StoreError::Corrupt { detail })
    };
    if !slot.starts_with(MAGIC) {
        return Err(damaged());
    }
    let found = slot[MAGIC.len()];
    if found > FORMAT {
        return Err(JournalError::TooNew { task: task.clone(), found, known: FORMAT });
    }
    let length = usize::from(u16::from_le_bytes([slot[SEALED_AT - 2], slot[SEALED_AT - 1]]));
    let sealed = slot.get(SEALED_AT..SEALED_AT + length).ok_or_else(damaged)?;
    let bytes = seal::open(key, &binding(store, &name(task)), sealed).map_err(|cause| match cause {
        StoreError::Corrupt { .. } => damaged(),
        cause => cause.into(),
    })?;
    let identity = bytes.get(KEY_BYTES..).and_then(|rest| rest.try_into().ok()).ok_or_else(damaged)?;
    Ok(Header { identity, bytes })
}

/// No grant's name has a blank.
fn name(task: &TaskId) -> String {
    format!("task {task}")
}

fn binding(store: StoreId, name: &str) -> Binding<'_> {
    Binding { store, name, generation: 0, epoch: 0 }
}
