//! One journal's file: opened, read, and made longer by one frame at a time.

use super::entry::Unreadable;
use super::frame::{self, Found, FrameKey};
use super::header::{HEADER_BYTES, Header};
use super::path::Paths;
use crate::failure::unwritable;
use crate::home;
use crate::seal::{StoreId, StoreKey};
use outlast_core::{JournalError, StoreError};
use std::fs::{File, TryLockError};
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// So much of a journal is zeros when it is made; it grows by as much as it has, up to the second.
const EXTENT_FIRST: u64 = 64 * 1024;
const EXTENT_MAX: u64 = 1024 * 1024;
/// How much is read at once.
const READ_BYTES: usize = 512 * 1024;
/// How often, and how far apart, the lock of an append is looked at: it is held for microseconds, and
/// longer only by a process that is stopped.
const LOOKS_MAX: usize = 4000;
const LOOK_AGAIN: Duration = Duration::from_micros(500);

/// Why a frame was not written.
#[derive(Debug)]
pub(super) enum Refused {
    /// Another runner wrote since: this one must stop.
    Fenced,
    /// The disk did not take it. Nothing of it counts, and the next may be tried.
    Unwritable(StoreError),
}

impl From<StoreError> for Refused {
    fn from(cause: StoreError) -> Self {
        Self::Unwritable(cause)
    }
}

/// Where the frames end, and what lies there.
#[derive(Debug, PartialEq, Eq)]
struct End {
    /// The next frame begins here.
    at: u64,
    /// Whether a frame was begun here and not finished.
    torn: bool,
}

/// A journal's file.
pub(super) struct Log {
    file: File,
    paths: Paths,
    header: Header,
    key: Arc<FrameKey>,
    /// Where the next frame goes.
    at: u64,
    /// Where the file ends, as far as this process made or saw it.
    length: u64,
    /// What a failed append may have left there.
    spoilt: Option<Range<u64>>,
}

impl Log {
    /// Makes the journal of a task that has none. It takes its name only when it is whole.
    pub(super) fn create(paths: &Paths, key: &StoreKey, store: StoreId) -> Result<Self, JournalError> {
        paths.create_folder()?;
        let unfinished = paths.unfinished();
        home::remove(&unfinished)?;
        // Of a task of that name that was deleted.
        paths.remove_outputs()?;
        let header = Header::draw()?;
        let slot = header.seal(key, store, paths.task())?;
        let file = home::create_file(&unfinished)?;
        let zeros = vec![0; usize::try_from(EXTENT_FIRST).unwrap_or(usize::MAX)];
        let written = file
            .write_all_at(&[slot.as_slice(), &slot].concat(), 0)
            .and_then(|()| file.write_all_at(&zeros, HEADER_BYTES as u64))
            .and_then(|()| file.sync_all());
        written.map_err(|cause| unwritable("making", &unfinished, cause))?;
        paths.publish()?;
        let length = HEADER_BYTES as u64 + EXTENT_FIRST;
        Ok(Self {
            key: Arc::new(header.key()?),
            file,
            paths: paths.clone(),
            header,
            at: HEADER_BYTES as u64,
            length,
            spoilt: None,
        })
    }

    /// Opens the journal of a task; none if there is none. Nothing of it is read beyond its beginning.
    pub(super) fn open(
        paths: &Paths,
        key: &StoreKey,
        store: StoreId,
        write: bool,
    ) -> Result<Option<Self>, JournalError> {
        let path = paths.journal();
        let opened = if write { home::open_to_write(&path)? } else { home::open_to_read(&path)? };
        let Some(file) = opened else { return Ok(None) };
        let mut first = [0; HEADER_BYTES];
        match file.read_exact_at(&mut first, 0) {
            Err(cause) if cause.kind() == io::ErrorKind::UnexpectedEof => {
                return Err(damaged(&path, 0, "it is shorter than its beginning").into());
            }
            Err(cause) => return Err(unwritable("reading", &path, cause).into()),
            Ok(()) => {}
        }
        let header = Header::open(&first, key, store, paths.task())?;
        let length = file.metadata().map_err(|cause| unwritable("looking at", &path, cause))?.len();
        let at = HEADER_BYTES as u64;
        Ok(Some(Self { key: Arc::new(header.key()?), file, paths: paths.clone(), header, at, length, spoilt: None }))
    }

    /// What tells it from every other.
    pub(super) fn identity(&self) -> [u8; 16] {
        self.header.identity
    }

    /// The key that seals it.
    pub(super) fn key(&self) -> &Arc<FrameKey> {
        &self.key
    }

    /// Reads all frames, for its runner: what was not finished is cut off, so that more can be written.
    pub(super) fn replay(
        &mut self,
        mut tell: impl FnMut(u64, &[u8]) -> Result<(), Unreadable>,
    ) -> Result<(), JournalError> {
        let _turn = self.lock()?;
        let End { at, .. } = self.scan(self.at, &mut tell)?;
        match self.torn_until(at)? {
            Some(end) => self.clear(at..end)?,
            // A runner that was killed may have left its last frame written and not synced: the power cut that
            // keeps ours and tears that one would be taken for damage.
            None => self.file.sync_data().map_err(|cause| self.failed("syncing", cause))?,
        }
        self.at = at;
        self.length = self.file_length()?;
        Ok(())
    }

    /// Reads all frames, for whoever looks on: its runner may be writing.
    pub(super) fn look(
        &mut self,
        mut tell: impl FnMut(u64, &[u8]) -> Result<(), Unreadable>,
    ) -> Result<(), JournalError> {
        let End { at, torn } = self.scan(self.at, &mut tell)?;
        self.at = at;
        if torn {
            // Perhaps it was in the middle of being written: not under the lock.
            let _turn = self.lock()?;
            self.at = self.scan(at, &mut tell)?.at;
            self.torn_until(self.at)?;
        }
        Ok(())
    }

    /// The body of the frame that begins there.
    pub(super) fn body_at(&self, at: u64) -> Result<Vec<u8>, JournalError> {
        let path = self.paths.journal();
        let failed = |cause: io::Error| unwritable("reading", &path, cause);
        let mut frame = vec![0; 4];
        self.file.read_exact_at(&mut frame, at).map_err(failed)?;
        if let Found::Needs(more) = frame::find(&frame) {
            frame.resize(more, 0);
            self.file.read_exact_at(&mut frame, at).map_err(failed)?;
        }
        let body = match frame::find(&frame) {
            Found::Whole(_) => self.key.open(at, &mut frame),
            Found::Broken | Found::Needs(_) | Found::Nothing => None,
        };
        body.map(<[u8]>::to_vec).ok_or_else(|| damaged(&path, at, "a frame does not open").into())
    }

    /// Writes one frame; returns where it begins once it survives a power cut. `headroom` bytes beyond it
    /// are there afterwards, zeros that are on the disk: what is written into them needs no space.
    pub(super) fn append(&mut self, body: &[u8], headroom: u64) -> Result<u64, Refused> {
        let frame = self.key.seal(self.at, body)?;
        let (at, length) = (self.at, frame.len() as u64);
        {
            let _turn = self.lock()?;
            self.mend()?;
            if !self.is_ours(at)? {
                return Err(Refused::Fenced);
            }
            self.make_room(at + length + headroom)?;
            self.spoilt = Some(at..at + length);
            self.file.write_all_at(&frame, at).map_err(|cause| self.failed("writing", cause))?;
        }
        // Others may look, and take the task up, meanwhile: theirs is synced after ours.
        self.file.sync_data().map_err(|cause| self.failed("syncing", cause))?;
        self.spoilt = None;
        self.at = at + length;
        Ok(at)
    }

    /// Takes back what a failed append may have left, so that it cannot count after all; nothing if there
    /// was none.
    pub(super) fn take_back(&mut self) -> Result<(), Refused> {
        if self.spoilt.is_none() {
            return Ok(());
        }
        let _turn = self.lock()?;
        self.mend()
    }

    fn mend(&mut self) -> Result<(), Refused> {
        let Some(spoilt) = self.spoilt.clone() else { return Ok(()) };
        // Somebody went on behind it: what it left is part of the journal, whether we were told or not.
        if !self.is_ours(spoilt.end)? {
            return Err(Refused::Fenced);
        }
        self.clear(spoilt)?;
        self.spoilt = None;
        Ok(())
    }

    /// Whether nothing was written at `at`, and the file still bears the task's name.
    fn is_ours(&self, at: u64) -> Result<bool, StoreError> {
        if !home::bears_the_name(&self.file, &self.paths.journal())? {
            return Ok(false);
        }
        let mut there = [0; 4];
        match self.file.read_exact_at(&mut there, at) {
            Ok(()) => Ok(there == [0; 4]),
            // The file ends here: nothing was written.
            Err(cause) if cause.kind() == io::ErrorKind::UnexpectedEof => Ok(true),
            Err(cause) => Err(self.failed("reading", cause)),
        }
    }

    /// Zeros up to `end` at least, on the disk. Under the lock, so that nobody's frames are written over.
    fn make_room(&mut self, end: u64) -> Result<(), StoreError> {
        if end <= self.length {
            return Ok(());
        }
        let length = self.file_length()?;
        let extent = length.clamp(EXTENT_FIRST, EXTENT_MAX).max(end.saturating_sub(length));
        let zeros = vec![0; usize::try_from(extent).unwrap_or(usize::MAX)];
        let grown = self.file.write_all_at(&zeros, length).and_then(|()| self.file.sync_data());
        if let Err(cause) = grown {
            // A disk that is full gets back what was taken of it.
            let _best_effort = self.file.set_len(length);
            return Err(self.failed("growing", cause));
        }
        self.length = length + extent;
        Ok(())
    }

    /// Turns a range to zeros, on the disk.
    fn clear(&self, range: Range<u64>) -> Result<(), StoreError> {
        let length = usize::try_from(range.end.saturating_sub(range.start)).unwrap_or(usize::MAX);
        let cleared = self.file.write_all_at(&vec![0; length], range.start).and_then(|()| self.file.sync_data());
        cleared.map_err(|cause| self.failed("clearing the end of", cause))
    }

    /// Tells each whole frame from `at` on.
    fn scan(
        &self,
        mut at: u64,
        tell: &mut impl FnMut(u64, &[u8]) -> Result<(), Unreadable>,
    ) -> Result<End, JournalError> {
        let mut window = Window::new(&self.file, at);
        loop {
            let bytes = window.from(at, 4).map_err(|cause| self.failed("reading", cause))?;
            let found = match frame::find(bytes) {
                Found::Needs(more) if more > bytes.len() => {
                    let bytes = window.from(at, more).map_err(|cause| self.failed("reading", cause))?;
                    frame::find(bytes)
                }
                found => found,
            };
            let whole = match found {
                Found::Nothing => return Ok(End { at, torn: false }),
                Found::Broken => return Ok(End { at, torn: true }),
                // The file ends within it.
                Found::Needs(_) => return Ok(End { at, torn: !window.is_at_end(at) }),
                Found::Whole(whole) => whole,
            };
            let bytes = window.from(at, whole).map_err(|cause| self.failed("reading", cause))?;
            let Some(body) = self.key.open(at, &mut bytes[..whole]) else { return Ok(End { at, torn: true }) };
            match tell(at, body) {
                Ok(()) => {}
                Err(Unreadable::Damaged) => {
                    return Err(damaged(&self.paths.journal(), at, "a frame opens and holds no entries").into());
                }
                Err(Unreadable::TooNew(found)) => {
                    let task = self.paths.task().clone();
                    return Err(JournalError::TooNew { task, found, known: super::entry::FORMAT });
                }
            }
            at += whole as u64;
        }
    }

    /// Where that ends which lies behind the last whole frame; nothing if there are only zeros. Refused
    /// unless it is a frame that was not finished.
    fn torn_until(&self, at: u64) -> Result<Option<u64>, JournalError> {
        let length = usize::try_from(self.file_length()?.saturating_sub(at)).unwrap_or(usize::MAX);
        let mut rest = vec![0; length];
        self.file.read_exact_at(&mut rest, at).map_err(|cause| self.failed("reading", cause))?;
        let Some(last) = rest.iter().rposition(|byte| *byte != 0) else { return Ok(None) };
        if frame::is_torn(at, &rest) {
            return Ok(Some(at + last as u64 + 1));
        }
        Err(damaged(&self.paths.journal(), at, "a frame was changed after it was written").into())
    }

    fn file_length(&self) -> Result<u64, StoreError> {
        Ok(self.file.metadata().map_err(|cause| self.failed("looking at", cause))?.len())
    }

    fn lock(&self) -> Result<Turn, StoreError> {
        let file = self.file.try_clone().map_err(|cause| self.failed("locking", cause))?;
        for _ in 0..LOOKS_MAX {
            match file.try_lock() {
                Ok(()) => return Ok(Turn(file)),
                Err(TryLockError::Error(cause)) => return Err(self.failed("locking", cause)),
                // Nobody wakes this thread; it may wake early, which only makes it look sooner.
                Err(TryLockError::WouldBlock) => std::thread::park_timeout(LOOK_AGAIN),
            }
        }
        Err(self.failed("locking", "another process has been writing to it for too long; is it stopped?"))
    }

    fn failed(&self, doing: &str, cause: impl std::fmt::Display) -> StoreError {
        unwritable(doing, &self.paths.journal(), cause)
    }
}

/// The lock of an append.
struct Turn(File);

impl Drop for Turn {
    fn drop(&mut self) {
        // Not left to closing: the file is still open.
        drop(self.0.unlock());
    }
}

/// Some bytes of a file that is read from its beginning to its end.
struct Window<'a> {
    file: &'a File,
    bytes: Vec<u8>,
    begins: u64,
}

impl<'a> Window<'a> {
    fn new(file: &'a File, begins: u64) -> Self {
        Self { file, bytes: Vec::new(), begins }
    }

    /// The bytes from `at`: `wanted` of them, or as many as the file has.
    fn from(&mut self, at: u64, wanted: usize) -> io::Result<&mut [u8]> {
        let skipped = usize::try_from(at - self.begins).unwrap_or(usize::MAX);
        if self.bytes.len() < skipped.saturating_add(wanted) {
            self.bytes.drain(..skipped.min(self.bytes.len()));
            self.begins = at;
            self.fill(wanted.max(READ_BYTES))?;
            return Ok(&mut self.bytes);
        }
        Ok(&mut self.bytes[skipped..])
    }

    fn fill(&mut self, wanted: usize) -> io::Result<()> {
        let mut have = self.bytes.len();
        self.bytes.resize(wanted.max(have), 0);
        while have < self.bytes.len() {
            match self.file.read_at(&mut self.bytes[have..], self.begins + have as u64) {
                Ok(0) => break,
                Ok(read) => have += read,
                Err(cause) if cause.kind() == io::ErrorKind::Interrupted => {}
                Err(cause) => return Err(cause),
            }
        }
        self.bytes.truncate(have);
        Ok(())
    }

    /// Whether the file ends at `at`, or has only zeros up to its end.
    fn is_at_end(&self, at: u64) -> bool {
        let skipped = usize::try_from(at - self.begins).unwrap_or(usize::MAX);
        self.bytes.get(skipped..).is_none_or(|rest| rest.iter().all(|byte| *byte == 0))
    }
}

fn damaged(path: &Path, at: u64, what: &str) -> StoreError {
    StoreError::Corrupt {
        detail: format!(
            "{} at byte {at}: {what}. What lies before is whole, and nothing was changed; put the file back from a \
             backup, or delete the task",
            path.display()
        ),
    }
}
