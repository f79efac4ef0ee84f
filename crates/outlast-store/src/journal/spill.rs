//! Outputs that are too large for a frame: a sealed file each, named after what is in it, and on the disk
//! before the journal tells of it (F84).

use super::frame::FrameKey;
use super::path::Paths;
use crate::failure::unwritable;
use crate::home;
use aws_lc_rs::digest::{SHA256, digest};
use outlast_core::task::{Digest, Output, Place};
use outlast_core::{JournalError, StoreError};
use std::io::{Read, Write};

/// Larger outputs lie in a file of their own.
pub(super) const INLINE_BYTES_MAX: usize = 32 * 1024;
/// Larger ones are refused.
pub(super) const OUTPUT_BYTES_MAX: u64 = 64 * 1024 * 1024;

/// The SHA-256 digest of some bytes.
pub fn sha256(bytes: &[u8]) -> Digest {
    let mut found = [0; 32];
    found.copy_from_slice(digest(&SHA256, bytes).as_ref());
    Digest(found)
}

/// Puts an output where it belongs: aside if it is large.
pub(super) fn put(paths: &Paths, key: &FrameKey, output: Output) -> Result<Output, JournalError> {
    let Place::Here(bytes) = &output.place else { return Ok(output) };
    let length = bytes.len() as u64;
    if length > OUTPUT_BYTES_MAX {
        return Err(JournalError::OutputTooLarge { length, most: OUTPUT_BYTES_MAX });
    }
    if bytes.len() <= INLINE_BYTES_MAX {
        return Ok(output);
    }
    let name = sha256(bytes);
    let sealed = key.seal_output(name, bytes)?;
    paths.create_outputs()?;
    let (path, unfinished) = (paths.output(name), paths.outputs().join(format!(".{name}.new")));
    home::remove(&unfinished)?;
    let mut file = home::create_file(&unfinished)?;
    let written = file.write_all(&sealed).and_then(|()| file.sync_all());
    if let Err(cause) = written {
        // A disk that is full gets back what was taken of it.
        let _best_effort = home::remove(&unfinished);
        return Err(unwritable("writing", &unfinished, cause).into());
    }
    home::replace_in(&paths.outputs(), &unfinished, &path)?;
    Ok(Output { exit: output.exit, length, place: Place::Apart(name) })
}

/// Reads an output that is kept apart.
pub(super) fn read(paths: &Paths, key: &FrameKey, name: Digest) -> Result<Vec<u8>, StoreError> {
    let path = paths.output(name);
    let damaged = |what| StoreError::Corrupt { detail: format!("the output {}: {what}", path.display()) };
    let mut file = home::open_to_read(&path)?.ok_or_else(|| damaged("it is not there any more"))?;
    let mut sealed = Vec::new();
    file.read_to_end(&mut sealed).map_err(|cause| unwritable("reading", &path, cause))?;
    key.open_output(name, sealed).ok_or_else(|| damaged("it was changed after it was written"))
}
