//! A key from a passphrase: Argon2id (RFC 9106) with salt and parameters kept in the store.

use crate::migrate::Meta;
use crate::seal::{KEY_BYTES, StoreKey, random};
use argon2::{Algorithm, Argon2, Params, Version};
use outlast_core::{Secret, StoreError};
use zeroize::Zeroizing;

const SALT_BYTES: usize = 16;
/// RFC 9106 section 4, second recommended option, with one lane: one thread derives.
const MEMORY_KIB: u32 = 64 * 1024;
const PASSES: u32 = 3;
const LANES: u32 = 1;
/// Parameters come from the disk: what is larger than this is not ours and is not tried.
const MEMORY_KIB_MAX: u32 = 1024 * 1024;
const PASSES_MAX: u32 = 64;
const LANES_MAX: u32 = 16;

/// How a key is derived from a passphrase.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Derivation {
    /// Random, one for each store.
    pub(crate) salt: [u8; SALT_BYTES],
    /// Memory, in KiB.
    pub(crate) memory_kib: u32,
    /// Passes over it.
    pub(crate) passes: u32,
    /// Lanes.
    pub(crate) lanes: u32,
}

impl Derivation {
    /// For a new store.
    pub(crate) fn draw() -> Result<Self, StoreError> {
        Ok(Self { salt: random()?, memory_kib: MEMORY_KIB, passes: PASSES, lanes: LANES })
    }

    fn is_bounded(&self) -> bool {
        self.memory_kib <= MEMORY_KIB_MAX && self.passes <= PASSES_MAX && self.lanes <= LANES_MAX
    }
}

/// The key of an existing store, or of somebody else's: the caller compares.
pub(crate) fn unlock(secret: &Secret, meta: &Meta) -> Result<StoreKey, StoreError> {
    let derivation = meta.derivation.filter(Derivation::is_bounded).ok_or_else(|| StoreError::Corrupt {
        detail: "the store does not say, or says absurdly, how its key is derived".to_owned(),
    })?;
    derive(secret, &derivation)
}

/// Stretches a passphrase.
pub(crate) fn derive(secret: &Secret, derivation: &Derivation) -> Result<StoreKey, StoreError> {
    if secret.is_empty() {
        return Err(unavailable("the passphrase is empty"));
    }
    let Derivation { salt, memory_kib, passes, lanes } = derivation;
    let parameters = Params::new(*memory_kib, *passes, *lanes, Some(KEY_BYTES));
    let mut key = Zeroizing::new([0; KEY_BYTES]);
    parameters
        .and_then(|parameters| {
            let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, parameters);
            argon2.hash_password_into(secret.expose().as_bytes(), salt, key.as_mut())
        })
        .map_err(|cause| unavailable(&format!("no key can be derived from the passphrase: {cause}")))?;
    Ok(StoreKey::new(key))
}

fn unavailable(detail: &str) -> StoreError {
    StoreError::KeyUnavailable { detail: detail.to_owned(), mend: "give the passphrase of the store".to_owned() }
}
