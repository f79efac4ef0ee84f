//! Authenticated encryption of each record, bound to where it lies.
//!
//! AES-256-GCM under a key of the record's own, derived from the store key with HKDF-SHA256
//! (RFC 5869). Which store, grant, generation and epoch it is goes in as associated data, so that a
//! record that was moved, swapped or put back under another generation does not open.

use aws_lc_rs::aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};
use aws_lc_rs::hkdf;
use outlast_core::StoreError;
use zeroize::Zeroizing;

/// The newest form of a sealed record that this version writes and reads.
pub(crate) const RECORD_FORMAT: u8 = 1;
/// Length of the key that seals a store.
pub(crate) const KEY_BYTES: usize = 32;

const ALGORITHM_AES_256_GCM: u8 = 1;
const KEY_ID_BYTES: usize = 8;
const STORE_ID_BYTES: usize = 16;
/// Format, algorithm and key id.
const HEADER_BYTES: usize = 2 + KEY_ID_BYTES;
const AAD_LABEL: &[u8] = b"outlast record\0";
const KEY_ID_LABEL: &[u8] = b"outlast key id\0";
const RECORD_KEY_LABEL: &[u8] = b"outlast record key\0";

/// Tells stores apart; drawn when a store is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct StoreId(pub(crate) [u8; STORE_ID_BYTES]);

impl StoreId {
    /// A new one.
    pub(crate) fn draw() -> Result<Self, StoreError> {
        random().map(Self)
    }
}

/// Names a key without telling it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct KeyId(pub(crate) [u8; KEY_ID_BYTES]);

/// The key that seals a store.
#[derive(Clone)]
pub(crate) struct StoreKey {
    bytes: Zeroizing<[u8; KEY_BYTES]>,
    id: KeyId,
}

impl StoreKey {
    /// A new one, from the operating system's random source.
    pub(crate) fn draw() -> Result<Self, StoreError> {
        random().map(|bytes| Self::new(Zeroizing::new(bytes)))
    }

    /// The key with these bytes.
    pub(crate) fn new(bytes: Zeroizing<[u8; KEY_BYTES]>) -> Self {
        let mut id = [0; KEY_BYTES];
        derive(&[], &bytes, &[KEY_ID_LABEL], &mut id);
        let mut short = [0; KEY_ID_BYTES];
        short.copy_from_slice(&id[..KEY_ID_BYTES]);
        Self { bytes, id: KeyId(short) }
    }

    /// The bytes, for the key sources that keep them.
    pub(crate) fn bytes(&self) -> &[u8; KEY_BYTES] {
        &self.bytes
    }

    /// What it is called.
    pub(crate) fn id(&self) -> KeyId {
        self.id
    }
}

/// Where a record lies: it opens nowhere else.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Binding<'a> {
    /// In which store.
    pub(crate) store: StoreId,
    /// Under which name.
    pub(crate) name: &'a str,
    /// With which generation.
    pub(crate) generation: u64,
    /// With which epoch.
    pub(crate) epoch: u64,
}

/// Seals a record to its place.
pub(crate) fn seal(key: &StoreKey, binding: &Binding<'_>, plain: &[u8]) -> Result<Vec<u8>, StoreError> {
    let header = header(key);
    let failed = |_| StoreError::Unwritable { detail: "the record could not be sealed".to_owned() };
    let mut body = Zeroizing::new(plain.to_vec());
    let (nonce, tag) = cipher(key, binding)
        .and_then(|cipher| cipher.seal_in_place_separate_tag(Aad::from(associated(&header, binding)), &mut body))
        .map_err(failed)?;
    Ok([&header, nonce.as_ref().as_slice(), &body, tag.as_ref()].concat())
}

/// Opens a record; fails if a single bit of it, or its place, is not what it was sealed with.
pub(crate) fn open(key: &StoreKey, binding: &Binding<'_>, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, StoreError> {
    let damaged = || StoreError::Corrupt {
        detail: format!("the record of {} does not open: it was changed, cut, moved or put back", binding.name),
    };
    let (header, rest) = sealed.split_at_checked(HEADER_BYTES).ok_or_else(damaged)?;
    if header[0] > RECORD_FORMAT && header[1..] == self::header(key)[1..] {
        return Err(StoreError::TooNew { found: header[0].into(), known: RECORD_FORMAT.into() });
    }
    if header != self::header(key) {
        return Err(damaged());
    }
    let (nonce, body) = rest.split_first_chunk::<NONCE_LEN>().ok_or_else(damaged)?;
    let mut body = Zeroizing::new(body.to_vec());
    let aad = Aad::from(associated(header, binding));
    let length = cipher(key, binding)
        .and_then(|cipher| cipher.open_in_place(Nonce::assume_unique_for_key(*nonce), aad, &mut body).map(|p| p.len()))
        .map_err(|_| damaged())?;
    body.truncate(length);
    Ok(body)
}

/// What the key is called that a record says it was sealed with; none if it is too short to say.
pub(crate) fn key_id(sealed: &[u8]) -> Option<KeyId> {
    let (header, _) = sealed.split_first_chunk::<HEADER_BYTES>()?;
    header.last_chunk().copied().map(KeyId)
}

/// Random bytes from the operating system.
pub(crate) fn random<const N: usize>() -> Result<[u8; N], StoreError> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes)
        .map_err(|cause| StoreError::Unwritable { detail: format!("no random bytes to be had: {cause}") })?;
    Ok(bytes)
}

fn header(key: &StoreKey) -> [u8; HEADER_BYTES] {
    let mut header = [0; HEADER_BYTES];
    header[0] = RECORD_FORMAT;
    header[1] = ALGORITHM_AES_256_GCM;
    header[2..].copy_from_slice(&key.id().0);
    header
}

fn associated(header: &[u8], binding: &Binding<'_>) -> Vec<u8> {
    let Binding { store, name, generation, epoch } = binding;
    let numbers = [generation.to_be_bytes(), epoch.to_be_bytes()].concat();
    // The name comes last and everything before it has a fixed length: no two places give the same bytes.
    [AAD_LABEL, header, &store.0, &numbers, name.as_bytes()].concat()
}

fn cipher(key: &StoreKey, binding: &Binding<'_>) -> Result<RandomizedNonceKey, aws_lc_rs::error::Unspecified> {
    let mut own = Zeroizing::new([0; KEY_BYTES]);
    derive(&binding.store.0, &key.bytes, &[RECORD_KEY_LABEL, binding.name.as_bytes()], &mut own);
    RandomizedNonceKey::new(&AES_256_GCM, own.as_slice())
}

fn derive(salt: &[u8], key: &[u8; KEY_BYTES], info: &[&[u8]], out: &mut [u8; KEY_BYTES]) {
    hkdf::Salt::new(hkdf::HKDF_SHA256, salt)
        .extract(key)
        .expand(info, hkdf::HKDF_SHA256)
        .and_then(|okm| okm.fill(out))
        .expect("HKDF-SHA256 yields 32 bytes from any input");
}

#[cfg(test)]
mod tests {
    use super::*;

    const HERE: Binding<'static> = Binding { store: StoreId([7; 16]), name: "crm", generation: 3, epoch: 9 };

    fn key(byte: u8) -> StoreKey {
        StoreKey::new(Zeroizing::new([byte; KEY_BYTES]))
    }

    #[test]
    fn a_record_opens_where_it_was_sealed() {
        let sealed = seal(&key(1), &HERE, b"hello").unwrap();
        assert_eq!(open(&key(1), &HERE, &sealed).unwrap().as_slice(), b"hello");
    }

    #[test]
    fn f28_a_record_opens_nowhere_else() {
        let sealed = seal(&key(1), &HERE, b"hello").unwrap();
        let elsewhere = [
            Binding { store: StoreId([8; 16]), ..HERE },
            Binding { name: "crn", ..HERE },
            Binding { name: "crm2", ..HERE },
            Binding { generation: 4, ..HERE },
            Binding { epoch: 8, ..HERE },
            Binding { generation: 9, epoch: 3, ..HERE },
        ];
        for place in elsewhere {
            assert!(matches!(open(&key(1), &place, &sealed), Err(StoreError::Corrupt { .. })), "{place:?}");
        }
        assert!(open(&key(2), &HERE, &sealed).is_err());
    }

    #[test]
    fn f24_no_flipped_bit_and_no_cut_goes_unnoticed() {
        let sealed = seal(&key(1), &HERE, b"hello").unwrap();
        for bit in 0..sealed.len() * 8 {
            let mut flipped = sealed.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert!(open(&key(1), &HERE, &flipped).is_err(), "bit {bit}");
        }
        for length in 0..sealed.len() {
            assert!(open(&key(1), &HERE, &sealed[..length]).is_err(), "length {length}");
        }
    }

    #[test]
    fn f27_a_record_of_a_newer_form_is_not_called_damaged() {
        let mut sealed = seal(&key(1), &HERE, b"hello").unwrap();
        sealed[0] = RECORD_FORMAT + 1;
        assert!(matches!(open(&key(1), &HERE, &sealed), Err(StoreError::TooNew { found: 2, known: 1 })));
    }

    #[test]
    fn the_same_record_is_never_sealed_alike_twice() {
        assert_ne!(seal(&key(1), &HERE, b"hello").unwrap(), seal(&key(1), &HERE, b"hello").unwrap());
    }
}
