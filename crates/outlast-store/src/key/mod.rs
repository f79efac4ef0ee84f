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
/// How often store and key are looked at until they fit: a change of the key comes between two looks once.
pub(crate) const UNLOCKS_MAX: usize = 3;

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

/// A key that opens the store.
pub(crate) struct Unlocked {
    /// The key.
    pub(crate) key: StoreKey,
    /// Whether a change of the key is under way, or left something (F26).
    pub(crate) is_changing: bool,
}

/// The key of an existing store, and what `look` read of the store when it fitted. Writes nothing, whatever
/// is missing.
pub(crate) fn unlock<T>(
    source: &KeySource,
    home: &Home,
    mut look: impl FnMut() -> Result<(Meta, T), StoreError>,
) -> Result<(Unlocked, Meta, T), StoreError> {
    let (mut meta, mut seen) = look()?;
    for _ in 1..UNLOCKS_MAX {
        if let Some(unlocked) = try_unlock(source, home, &meta)? {
            return Ok((unlocked, meta, seen));
        }
        // The key may have been changed between the look at the store and the one at the key.
        let before = meta.key_id;
        (meta, seen) = look()?;
        // A passphrase is nowhere but in hand, and takes long to try.
        if meta.key_id == before && matches!(source, KeySource::Passphrase(_)) {
            return Err(wrong_key(source));
        }
    }
    match try_unlock(source, home, &meta)? {
        Some(unlocked) => Ok((unlocked, meta, seen)),
        None => Err(wrong_key(source)),
    }
}

/// None if what the source has is not the key that the store names now.
fn try_unlock(source: &KeySource, home: &Home, meta: &Meta) -> Result<Option<Unlocked>, StoreError> {
    let Both { own, beside } = both(source, home, meta)?;
    let is_changing = !matches!(beside, Beside::Nothing);
    let key = match (own, beside) {
        (Ok(own), _) if own.id() == meta.key_id => own,
        // Its records were sealed anew, and the key did not get its place yet (F26).
        (_, Beside::Key(next)) if next.id() == meta.key_id => next,
        (own, _) => return own.map(|_| None),
    };
    check(&key, meta)?;
    Ok(Some(Unlocked { key, is_changing }))
}

/// What a source has for a store.
pub(crate) struct Both {
    /// The store's key, in its place.
    pub(crate) own: Result<StoreKey, StoreError>,
    /// What lies beside it.
    pub(crate) beside: Beside,
}

/// What lies beside the key of a store: while it is changed, and after a change that was cut off.
pub(crate) enum Beside {
    /// The next key, or one that was to be.
    Key(StoreKey),
    /// Something that is no key.
    NoKey,
    /// Nothing.
    Nothing,
}

/// What the source has, which need not fit.
pub(crate) fn both(source: &KeySource, home: &Home, meta: &Meta) -> Result<Both, StoreError> {
    if source.kind() != meta.key_source {
        return Err(other_kind(source, meta));
    }
    Ok(match source {
        KeySource::File => file::read(home),
        KeySource::Keyring => keyring::read(meta.store),
        KeySource::Passphrase(secret) => Both { own: Ok(passphrase::unlock(secret, meta)?), beside: Beside::Nothing },
    })
}

/// A new key beside the store's, kept for good when this returns, and what the store will say of itself. A
/// passphrase stays the same, and the key that is derived from it becomes another.
pub(crate) fn draw_beside(source: &KeySource, home: &Home, meta: &Meta) -> Result<(StoreKey, Meta), StoreError> {
    let (key, derivation) = match source {
        KeySource::File => (file::draw_beside(home)?, None),
        KeySource::Keyring => (keyring::draw_beside(meta.store)?, None),
        KeySource::Passphrase(secret) => {
            let derivation = Derivation::draw()?;
            (passphrase::derive(secret, &derivation)?, Some(derivation))
        }
    };
    let key_check = seal::seal(&key, &check_binding(meta.store), CHECK_VALUE)?;
    let meta = Meta { key_id: key.id(), key_check, derivation, ..meta.clone() };
    Ok((key, meta))
}

/// Gives the key beside the store's its place, which erases the one before.
pub(crate) fn promote(source: &KeySource, home: &Home, store: StoreId) -> Result<(), StoreError> {
    match source {
        KeySource::File => file::promote(home),
        KeySource::Keyring => keyring::promote(store),
        KeySource::Passphrase(_) => Ok(()),
    }
}

/// Removes what lies beside the store's key.
pub(crate) fn discard(source: &KeySource, home: &Home, store: StoreId) -> Result<(), StoreError> {
    match source {
        KeySource::File => file::discard(home),
        KeySource::Keyring => keyring::discard(store),
        KeySource::Passphrase(_) => Ok(()),
    }
}

/// Whether the key is the one that the store was sealed with, beyond its name.
pub(crate) fn check(key: &StoreKey, meta: &Meta) -> Result<(), StoreError> {
    let opened = seal::open(key, &check_binding(meta.store), &meta.key_check);
    opened.map(drop).map_err(|_| StoreError::Corrupt {
        detail: "what the store says of itself was changed: its check value does not open".to_owned(),
    })
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
