//! A folder for one process: open to its owner alone, gone when dropped.

use crate::env;
use crate::exit::Fault;
use outlast::{Clock, Code, SystemClock};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

/// How many names are tried before giving up: each is taken only if somebody is at work on purpose.
const NAMES_MAX: u32 = 16;

/// A folder that nobody else can look into. Removed with everything in it when dropped.
#[derive(Debug)]
pub(crate) struct PrivateFolder(PathBuf);

impl PrivateFolder {
    /// Makes one, named after what it is for.
    pub(crate) fn create(purpose: &str) -> Result<Self, Fault> {
        let base = env::temporary_folder();
        let (process, now) = (std::process::id(), SystemClock::new().now().as_millis());
        let mut last = None;
        for attempt in 0..NAMES_MAX {
            let path = base.join(format!("outlast-{purpose}-{process}-{now:x}-{attempt}"));
            // Not recursive: a folder that is there already, and might be somebody else's, is an error.
            match std::fs::DirBuilder::new().mode(0o700).create(&path) {
                Ok(()) => return Ok(Self(path)),
                Err(cause) => last = Some(cause),
            }
        }
        let why = last.map_or_else(String::new, |cause| format!(": {cause}"));
        Err(Fault::new(Code::StoreUnwritable, format!("no private folder could be made in {}{why}", base.display()))
            .mend("make that folder writable, or set TMPDIR to one that is"))
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for PrivateFolder {
    fn drop(&mut self) {
        // What is left behind if this fails is readable by its owner alone.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
