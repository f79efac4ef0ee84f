//! The key of a store that is open, while it may be changed by another process (F26).

use crate::home::Home;
use crate::key::{self, KeySource, UNLOCKS_MAX};
use crate::reader::Reader;
use crate::seal::{self, Binding, StoreId, StoreKey};
use outlast_core::{GrantId, StoreError};
use std::sync::{Mutex, PoisonError};
use zeroize::Zeroizing;

/// Opens and seals the records of one store, with whatever key is the store's now.
pub(crate) struct Vault {
    home: Home,
    source: KeySource,
    store: StoreId,
    key: Mutex<StoreKey>,
}

/// A record that was opened.
pub(crate) struct Opened {
    /// Its generation.
    pub(crate) generation: u64,
    /// What was sealed in it.
    pub(crate) plain: Zeroizing<Vec<u8>>,
}

impl Vault {
    /// With the key that was found when the store was opened.
    pub(crate) fn new(home: Home, source: KeySource, store: StoreId, key: StoreKey) -> Self {
        Self { home, source, store, key: Mutex::new(key) }
    }

    /// Which store it is.
    pub(crate) fn store(&self) -> StoreId {
        self.store
    }

    /// The record of a grant, opened; none if there is none.
    pub(crate) fn load(&self, reader: &mut Reader, id: &GrantId) -> Result<Option<Opened>, StoreError> {
        let (mut looks, mut key) = (1, self.key());
        loop {
            let Some(raw) = reader.load(id)? else { return Ok(None) };
            // What names another key was sealed anew since we were opened, or is damaged.
            if raw.key_id() == Some(key.id()) || looks == UNLOCKS_MAX {
                let plain = raw.open(&key, self.store, id)?;
                return Ok(Some(Opened { generation: raw.generation, plain }));
            }
            key = self.unlock_again(reader)?;
            looks += 1;
        }
    }

    /// Seals a record to its place.
    pub(crate) fn seal(&self, name: &GrantId, numbers: (u64, u64), plain: &[u8]) -> Result<Vec<u8>, StoreError> {
        let (generation, epoch) = numbers;
        let binding = Binding { store: self.store, name: name.as_str(), generation, epoch };
        seal::seal(&self.key(), &binding, plain)
    }

    /// The store's key, if it is another by now. May take as long as the source of keys does.
    pub(crate) fn unlock_again(&self, reader: &mut Reader) -> Result<StoreKey, StoreError> {
        let (held, meta) = (self.key(), reader.meta()?);
        if meta.store != self.store {
            return Err(StoreError::Corrupt { detail: "another store was put in the place of this one".to_owned() });
        }
        if meta.key_id == held.id() {
            return Ok(held);
        }
        let (unlocked, ..) = key::unlock(&self.source, &self.home, || Ok((reader.meta()?, ())))?;
        tracing::info!("the key of the store was changed by another process; the new one is used");
        self.key.lock().unwrap_or_else(PoisonError::into_inner).clone_from(&unlocked.key);
        Ok(unlocked.key)
    }

    /// The key as it was found last.
    pub(crate) fn key(&self) -> StoreKey {
        self.key.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
