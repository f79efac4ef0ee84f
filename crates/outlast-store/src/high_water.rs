//! The highest epoch of a grant's record that was ever seen here, in the file of its lease: beside the
//! database, so that an older database in its place is noticed (F15). It may lag, or be missing: then less
//! is noticed.

use crate::home::Home;
use crate::note::Note;
use crate::seal::StoreId;
use outlast_core::GrantId;
use std::fmt::Write;

/// Bytes of the store's id that are written down.
const STORE_BYTES: usize = 8;

/// One grant's.
pub(crate) struct HighWater {
    note: Note,
    store: String,
}

impl HighWater {
    /// Touches nothing.
    pub(crate) fn new(home: &Home, store: StoreId, grant: &GrantId) -> Self {
        let mut name = String::new();
        for byte in &store.0[..STORE_BYTES] {
            // Writing to a string does not fail.
            let _ = write!(name, "{byte:02x}");
        }
        Self { note: Note::of_lease(home, grant), store: name }
    }

    /// The epoch; zero where nothing is known. To be read before the record it is compared with: the
    /// record is written first, and so is never older than the note.
    pub(crate) fn read(&self) -> u64 {
        self.note.peek().ok().and_then(|text| parse(&text, &self.store)).unwrap_or(0)
    }

    /// Writes it down, for the holder of the lease.
    pub(crate) fn write(&self, epoch: u64) {
        if let Err(cause) = self.note.put(&format!("{} {epoch} {epoch}\n", self.store)) {
            tracing::debug!(%cause, "the epoch of a record is not noted: a restored database may go unnoticed");
        }
    }
}

/// The number stands there twice: what was read while it was written is not taken for one.
fn parse(text: &str, store: &str) -> Option<u64> {
    let (name, epochs) = text.strip_suffix('\n')?.split_once(' ')?;
    let (one, other) = epochs.split_once(' ')?;
    (name == store && one == other).then(|| one.parse().ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_torn_or_of_another_store_says_nothing() {
        assert_eq!(parse("ab 12 12\n", "ab"), Some(12));
        for text in ["", "ab 12 12", "ab 12 1\n", "ab 12\n", "ac 12 12\n", "ab x x\n", "ab 12 12\n\n"] {
            assert_eq!(parse(text, "ab"), None, "{text:?}");
        }
    }
}
