//! Where the key that seals a store comes from.

mod file;
mod keyring;
mod passphrase;

pub(crate) use passphrase::Derivation;

use crate::home::Home;
use crate::migrate::Meta;
use crate::seal::{self, Binding, StoreId, StoreKey};
use outlast_core::{Secret, StoreError};

/// The check value lies under no grant's name.
const CHECK_NAME: &str = "";
const CHECK_VALUE: &[u8] = b"outlast";

/// Where the key comes from. A store is made with one kind and remembers which.
#[derive(Clone, Debug)]
pub enum KeySource {
    /// A file beside the data, readable by its owner alone. Keeps tokens out of casual sight, out
    /// of a database that is copied alone and out of text searches; it does not keep them from
    /// anybody who can read the whole folder.
    File,
    /// The desktop's key store (Secret Service over D-Bus). Asked for at most two seconds.
    Keyring,
    /// A passphrase, stretched with Argon2id (RFC 9106).
    Passphrase(Secret),
}

impl KeySource {
    /// The kind's name, as the store remembers it.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::File => "file",
            Self::Keyring => "keyring",
            Self::Passphrase(_) => "passphrase",
        }
    }

    /// The kind in words that promise no more than it keeps.
    pub fn describe(&self) -> &'static str {
        match self {
            Self::File => "a key file beside the data (hides tokens from casual readers, not from who has the folder)",
            Self::Keyring => "the desktop's key store",
            Self::Passphrase(_) => "a passphrase",
        }
    }
}

/// A key for a new store, and what the store has to remember of it. A key file that is there
/// already is used, never overwritten.
pub(crate) fn create(source: &KeySource, home: &Home, store: StoreId) -> Result<Meta, StoreError> {
    let (key, derivation) = match source {
        KeySource::File => (file::read_or_create(home)?, None),
        KeySource::Keyring => (keyring::create(store)?, None),
        KeySource::Passphrase(secret) => {
            let derivation = Derivation::draw()?;
            (passphrase::derive(secret, &derivation)?, Some(derivation))
        }
    };
    let key_check = seal::seal(&key, &check_binding(store), CHECK_VALUE)?;
    Ok(Meta { store, key_source: source.kind().to_owned(), key_id: key.id(), key_check, derivation })
}

/// The key of an existing store. Writes nothing, whatever is missing.
pub(crate) fn unlock(source: &KeySource, home: &Home, meta: &Meta) -> Result<StoreKey, StoreError> {
    if source.kind() != meta.key_source {
        return Err(other_kind(source, meta));
    }
    let key = match source {
        KeySource::File => file::read(home)?,
        KeySource::Keyring => keyring::read(meta.store)?,
        KeySource::Passphrase(secret) => passphrase::unlock(secret, meta)?,
    };
    if key.id() != meta.key_id {
        return Err(wrong_key(source));
    }
    seal::open(&key, &check_binding(meta.store), &meta.key_check).map_err(|_| StoreError::Corrupt {
        detail: "what the store says of itself was changed: its check value does not open".to_owned(),
    })?;
    Ok(key)
}

fn check_binding(store: StoreId) -> Binding<'static> {
    Binding { store, name: CHECK_NAME, generation: 0, epoch: 0 }
}

fn other_kind(source: &KeySource, meta: &Meta) -> StoreError {
    // Only the three known words are repeated: the rest of that column could be anybody's text.
    let made_with = ["file", "keyring", "passphrase"].into_iter().find(|kind| *kind == meta.key_source);
    match made_with {
        Some(kind) => StoreError::KeyUnavailable {
            detail: format!("the store was made with key source `{kind}`, the configuration says `{}`", source.kind()),
            mend: format!("set the key source back to `{kind}`"),
        },
        None => StoreError::Corrupt { detail: "the store names a key source that does not exist".to_owned() },
    }
}

fn wrong_key(source: &KeySource) -> StoreError {
    let (detail, mend) = match source {
        KeySource::File => {
            ("the key file is not the one the store was made with", "restore the key file from a backup")
        }
        KeySource::Keyring => {
            ("the key in the key store is not the one the store was made with", "restore the entry of the key store")
        }
        KeySource::Passphrase(_) => ("the passphrase is not the one the store was made with", "give the right one"),
    };
    StoreError::KeyUnavailable { detail: detail.to_owned(), mend: mend.to_owned() }
}
