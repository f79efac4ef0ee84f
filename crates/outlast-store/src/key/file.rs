//! A key file beside the data: 32 random bytes, for their owner alone.

use super::{Beside, Both};
use crate::failure::unwritable;
use crate::home::{self, Home};
use crate::seal::{KEY_BYTES, StoreKey, random};
use outlast_core::StoreError;
use std::io::{Read, Write};
use std::path::Path;
use zeroize::Zeroizing;

/// The key of an existing store, and the one that a change of it left.
pub(crate) fn read(home: &Home) -> Both {
    let missing = || StoreError::KeyUnavailable {
        detail: format!("{} is missing", home.key().display()),
        mend: "put the key file back from a backup; a new one would not open what is there".to_owned(),
    };
    let beside = match read_if_there(&home.next_key()) {
        Ok(None) => Beside::Nothing,
        Ok(Some(key)) => Beside::Key(key),
        // Cut, for one: its writer died.
        Err(_) => Beside::NoKey,
    };
    Both { own: read_if_there(&home.key()).and_then(|key| key.ok_or_else(missing)), beside }
}

/// A new key beside the store's, on disk when this returns.
pub(crate) fn draw_beside(home: &Home) -> Result<StoreKey, StoreError> {
    let (key, path) = (StoreKey::draw()?, home.next_key());
    let mut file = home::create_file(&path)?;
    let written = file.write_all(key.bytes()).and_then(|()| file.sync_all());
    written.map_err(|cause| unwritable("writing", &path, cause))?;
    home::sync(home)?;
    Ok(key)
}

/// Gives the key beside the store's its place. One step: the one before has no name after it.
pub(crate) fn promote(home: &Home) -> Result<(), StoreError> {
    home::replace(home, &home.next_key(), &home.key())
}

/// Removes what lies beside the store's key.
pub(crate) fn discard(home: &Home) -> Result<(), StoreError> {
    home::remove(&home.next_key())?;
    home::sync(home)
}

/// The key for a new store: the one that lies there, or a new one.
pub(crate) fn read_or_create(home: &Home) -> Result<StoreKey, StoreError> {
    if let Some(key) = read_if_there(&home.key())? {
        return Ok(key);
    }
    let key = StoreKey::draw()?;
    // Under another name first: a key file that is there is always whole.
    let suffix: [u8; 8] = random()?;
    let unfinished = home.folder().join(format!(".key-{:016x}", u64::from_be_bytes(suffix)));
    let mut file = home::create_file(&unfinished)?;
    let written = file.write_all(key.bytes()).and_then(|()| file.sync_all());
    let published = written
        .map_err(|cause| unwritable("writing", &unfinished, cause))
        .and_then(|()| home::publish(home, &unfinished, &home.key()));
    if published.is_err() {
        // Nothing depends on the leftover; the failure itself is what the caller must hear.
        drop(std::fs::remove_file(&unfinished));
    }
    published.map(|()| key)
}

fn read_if_there(path: &Path) -> Result<Option<StoreKey>, StoreError> {
    let Some(mut file) = home::open_to_read(path)? else { return Ok(None) };
    let mut bytes = Zeroizing::new([0; KEY_BYTES + 1]);
    let length = read_up_to(&mut file, bytes.as_mut()).map_err(|cause| unwritable("reading", path, cause))?;
    if length != KEY_BYTES {
        return Err(StoreError::KeyUnavailable {
            detail: format!("{} is not {KEY_BYTES} bytes long", path.display()),
            mend: "put the key file back from a backup".to_owned(),
        });
    }
    let mut key = Zeroizing::new([0; KEY_BYTES]);
    key.copy_from_slice(&bytes[..KEY_BYTES]);
    Ok(Some(StoreKey::new(key)))
}

fn read_up_to(file: &mut impl Read, bytes: &mut [u8]) -> std::io::Result<usize> {
    let mut length = 0;
    while length < bytes.len() {
        match file.read(&mut bytes[length..])? {
            0 => break,
            more => length += more,
        }
    }
    Ok(length)
}
