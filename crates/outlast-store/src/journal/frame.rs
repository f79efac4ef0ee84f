//! The frames of a journal's file: each holds the entries that were written with one sync, sealed.
//!
//! ```text
//! length  u32 LE   of the whole frame, a multiple of 16
//! nonce   12 bytes
//! body    format, entries, zeros; sealed with AES-256-GCM; associated data: where the frame begins
//! tag     16 bytes
//! length  u32 LE   the same, all bits turned over: never zero
//! ```
//!
//! What follows the last frame is zeros. A frame is written with one call and synced before the next
//! begins, by the next runner where its own was killed, so that only the last can be torn. A process that
//! dies while it writes leaves zeros behind what it wrote; a power cut tears along sectors, and a part of the
//! frame that was not written is still zeros. As frames begin and end at multiples of 16, no such part is
//! shorter than that, and none that was written is zeros by chance. A frame that does not open, has its end
//! and no part of zeros was damaged later, and is never taken for one that was not finished.
//!
//! Where a frame begins names it: journals only grow. A number beside it would guard nothing more.

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use outlast_core::StoreError;
use outlast_core::task::Digest;
use std::ops::Range;

/// Largest frame, with its lengths.
pub(super) const FRAME_BYTES_MAX: usize = 256 * 1024;
/// The smallest unit that a disk writes whole.
const SECTOR_BYTES: usize = 512;
/// Frames begin and end at multiples of this.
pub(super) const ALIGNMENT: usize = 16;
const LENGTH_BYTES: usize = 4;
const TAG_BYTES: usize = 16;
/// What a frame has beside its body.
pub(super) const FRAME_OVERHEAD: usize = 2 * LENGTH_BYTES + NONCE_LEN + TAG_BYTES;

/// The key that seals the frames of one journal.
pub(super) struct FrameKey(LessSafeKey);

impl FrameKey {
    pub(super) fn new(bytes: &[u8]) -> Result<Self, StoreError> {
        let unusable = |_| StoreError::Corrupt { detail: "the key of a journal has the wrong length".to_owned() };
        UnboundKey::new(&AES_256_GCM, bytes).map(|key| Self(LessSafeKey::new(key))).map_err(unusable)
    }

    /// A frame of these entries, to be written at `at`; it opens nowhere else.
    pub(super) fn seal(&self, at: u64, body: &[u8]) -> Result<Vec<u8>, StoreError> {
        let failed = || StoreError::Unwritable { detail: "an entry of a journal could not be sealed".to_owned() };
        let nonce: [u8; NONCE_LEN] = crate::seal::random()?;
        let whole = (body.len() + FRAME_OVERHEAD).next_multiple_of(ALIGNMENT);
        let length = u32::try_from(whole).ok().filter(|_| whole <= FRAME_BYTES_MAX).ok_or_else(failed)?;
        let mut frame = Vec::with_capacity(whole);
        frame.extend(length.to_le_bytes());
        frame.extend(nonce);
        frame.extend(body);
        frame.resize(whole - TAG_BYTES - LENGTH_BYTES, 0);
        let tag = self
            .0
            .seal_in_place_separate_tag(
                Nonce::assume_unique_for_key(nonce),
                Aad::from(at.to_le_bytes()),
                &mut frame[LENGTH_BYTES + NONCE_LEN..],
            )
            .map_err(|_| failed())?;
        frame.extend(tag.as_ref());
        frame.extend((!length).to_le_bytes());
        Ok(frame)
    }

    /// Opens a whole frame in its place: its body, with zeros at its end.
    pub(super) fn open<'a>(&self, at: u64, frame: &'a mut [u8]) -> Option<&'a [u8]> {
        let end = frame.len().checked_sub(LENGTH_BYTES)?;
        let (nonce, body) = frame.get_mut(LENGTH_BYTES..end)?.split_at_mut_checked(NONCE_LEN)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
        self.0.open_in_place(nonce, Aad::from(at.to_le_bytes()), body).ok().map(|body| &*body)
    }

    /// Seals an output that is kept apart, under its name: nonce, body, tag.
    pub(super) fn seal_output(&self, name: Digest, output: &[u8]) -> Result<Vec<u8>, StoreError> {
        let failed = |_| StoreError::Unwritable { detail: "an output could not be sealed".to_owned() };
        let nonce: [u8; NONCE_LEN] = crate::seal::random()?;
        let mut sealed = Vec::with_capacity(NONCE_LEN + output.len() + TAG_BYTES);
        sealed.extend(nonce);
        sealed.extend(output);
        let (nonce, body) = (Nonce::assume_unique_for_key(nonce), &mut sealed[NONCE_LEN..]);
        let tag = self.0.seal_in_place_separate_tag(nonce, Aad::from(name.0), body).map_err(failed)?;
        sealed.extend(tag.as_ref());
        Ok(sealed)
    }

    /// Opens it.
    pub(super) fn open_output(&self, name: Digest, mut sealed: Vec<u8>) -> Option<Vec<u8>> {
        let (nonce, body) = sealed.split_at_mut_checked(NONCE_LEN)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
        let length = self.0.open_in_place(nonce, Aad::from(name.0), body).ok()?.len();
        sealed.drain(..NONCE_LEN);
        sealed.truncate(length);
        Some(sealed)
    }
}

/// What lies at the beginning of some bytes of a journal.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// Not a frame by its lengths.
    Broken,
    /// Zeros: nothing was written here.
    Nothing,
    /// More bytes are needed to tell: so many.
    Needs(usize),
    /// A frame of so many bytes, which may still not open.
    Whole(usize),
}

/// Looks at the lengths alone.
pub(super) fn find(bytes: &[u8]) -> Found {
    let Some(length) = word(bytes, 0) else { return Found::Needs(LENGTH_BYTES) };
    let whole = length as usize;
    match length {
        0 => Found::Nothing,
        _ if !is_length(whole) => Found::Broken,
        _ if bytes.len() < whole => Found::Needs(whole),
        _ if word(bytes, whole - LENGTH_BYTES) == Some(!length) => Found::Whole(whole),
        _ => Found::Broken,
    }
}

/// Whether the bytes from `at` to the end of the file can be a frame that was not finished, with nothing
/// behind it: some part of a sector within what was written is still zeros. `rest` is all that follows.
pub(super) fn is_torn(at: u64, rest: &[u8]) -> bool {
    let Some(last) = rest.iter().rposition(|byte| *byte != 0) else { return true };
    let end = (last + 1).next_multiple_of(ALIGNMENT);
    if end > FRAME_BYTES_MAX {
        return false;
    }
    // Where its end is missing, only its beginning tells how long it was to be; where neither is there,
    // its beginning is zeros, and that is torn enough.
    let claimed = word(rest, 0).unwrap_or(0) as usize;
    let length = match length_before(rest, end) {
        Some(length) if length == end => end,
        // Another frame lies behind it, whatever it says of its own length: it had been synced by then.
        Some(length) if word(rest, end - length) == u32::try_from(length).ok() => return false,
        Some(_) | None if claimed == 0 => end,
        Some(_) | None if is_length(claimed) && claimed >= end => claimed,
        Some(_) | None => return false,
    };
    // A process that died in the middle of its write leaves zeros from there on, wherever in a sector.
    let has_end = rest.get(length - 1).is_some_and(|last| *last != 0);
    !has_end || parts(at, length).any(|part| rest.get(part).is_none_or(|part| part.iter().all(|byte| *byte == 0)))
}

/// What the frame that ends at `end`, if one does, says of its length.
fn length_before(rest: &[u8], end: usize) -> Option<usize> {
    let length = !word(rest, end - LENGTH_BYTES)? as usize;
    (is_length(length) && length <= end).then_some(length)
}

fn is_length(whole: usize) -> bool {
    whole.is_multiple_of(ALIGNMENT) && (FRAME_OVERHEAD..=FRAME_BYTES_MAX).contains(&whole)
}

fn word(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..)?.first_chunk::<LENGTH_BYTES>().map(|bytes| u32::from_le_bytes(*bytes))
}

/// The parts of `length` bytes at `at` that lie in one sector each, counted from `at`.
fn parts(at: u64, length: usize) -> impl Iterator<Item = Range<usize>> {
    let first = SECTOR_BYTES - usize::try_from(at % SECTOR_BYTES as u64).unwrap_or(0);
    std::iter::once(0).chain((first..length).step_by(SECTOR_BYTES)).map(move |from| {
        let to = if from == 0 { first } else { from + SECTOR_BYTES };
        from..to.min(length)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const AT: u64 = 304;

    fn key() -> FrameKey {
        FrameKey::new(&[7; 32]).unwrap()
    }

    fn sealed(length: usize) -> Vec<u8> {
        key().seal(AT, &vec![b'x'; length]).unwrap()
    }

    #[test]
    fn a_frame_opens_in_its_place_and_nowhere_else() {
        let frame = sealed(100);
        assert_eq!(find(&frame), Found::Whole(frame.len()));
        assert_eq!(key().open(AT, &mut frame.clone()).unwrap()[..100], [b'x'; 100]);
        assert!(key().open(AT + 16, &mut frame.clone()).is_none());
        assert!(FrameKey::new(&[8; 32]).unwrap().open(AT, &mut frame.clone()).is_none());
    }

    #[test]
    fn f24_no_flipped_bit_opens_and_none_is_taken_for_an_unfinished_frame() {
        let frame = sealed(1500);
        for bit in 0..frame.len() * 8 {
            let mut flipped = frame.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            let whole = matches!(find(&flipped), Found::Whole(length) if length == flipped.len());
            assert!(!whole || key().open(AT, &mut flipped.clone()).is_none(), "bit {bit}");
            flipped.resize(4096, 0);
            assert!(!is_torn(AT, &flipped), "bit {bit}");
        }
    }

    #[test]
    fn whatever_sectors_were_not_written_the_frame_is_unfinished() {
        let frame = sealed(1500);
        let places: Vec<Range<usize>> = parts(AT, frame.len()).collect();
        assert_eq!(places.len(), 4);
        assert_eq!(places.iter().map(ExactSizeIterator::len).sum::<usize>(), frame.len());
        for written in 0..(1 << places.len()) - 1 {
            let mut file = vec![0; 8192];
            for (_, place) in places.iter().enumerate().filter(|(n, _)| written & (1 << n) != 0) {
                file[place.clone()].copy_from_slice(&frame[place.clone()]);
            }
            assert!(is_torn(AT, &file), "written: {written:04b}");
        }
    }

    #[test]
    fn whatever_byte_a_write_stopped_at_the_frame_is_unfinished() {
        let frame = sealed(1500);
        for written in 1..frame.len() {
            let mut file = frame[..written].to_vec();
            file.resize(8192, 0);
            assert!(is_torn(AT, &file), "{written} bytes");
        }
    }

    #[test]
    fn a_broken_frame_with_another_behind_it_is_damage() {
        let mut file = sealed(1500);
        file[600..1100].fill(0);
        let next = file.len() as u64;
        file.extend(key().seal(AT + next, b"next").unwrap());
        file.resize(8192, 0);
        assert!(!is_torn(AT, &file));
    }

    #[test]
    fn a_length_that_was_changed_does_not_make_the_frames_behind_it_unfinished() {
        let mut file = sealed(100);
        let next = file.len() as u64;
        file.extend(key().seal(AT + next, b"next").unwrap());
        file.resize(8192, 0);
        for bit in 0..8 * LENGTH_BYTES {
            let mut flipped = file.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert!(!is_torn(AT, &flipped), "bit {bit}");
        }
    }

    #[test]
    fn a_frame_past_the_limit_is_refused() {
        let most = FRAME_BYTES_MAX - FRAME_OVERHEAD;
        assert!(key().seal(0, &vec![0; most]).is_ok());
        assert!(key().seal(0, &vec![0; most + 1]).is_err());
    }
}
