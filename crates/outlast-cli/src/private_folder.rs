//! A folder for one process: open to its owner alone, gone when dropped. What a process left behind that
//! was killed is removed by the next one: access tokens may lie in it.

use crate::env;
use crate::exit::Fault;
use outlast::{Clock, Code, SystemClock};
use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// What the name of every such folder begins with.
const NAMED: &str = "outlast-";
/// The file in it that its owner holds locked; the kernel lets go of it with the process.
const IN_USE: &str = "in-use";
/// How many folders of others are looked at.
const LEFT_BEHIND_MAX: usize = 1000;
/// Bits of a folder's mode that let others in.
const OTHERS: u32 = 0o077;
/// How many names are tried before giving up: each is taken only if somebody is at work on purpose.
const NAMES_MAX: u32 = 16;

/// A folder that nobody else can look into. Removed with everything in it when dropped.
#[derive(Debug)]
pub(crate) struct PrivateFolder {
    path: PathBuf,
    /// Held until the folder is gone.
    _in_use: File,
}

impl PrivateFolder {
    /// Makes one, named after what it is for.
    pub(crate) fn create(purpose: &str) -> Result<Self, Fault> {
        let base = env::temporary_folder();
        remove_what_was_left_behind(&base);
        let (process, now) = (std::process::id(), SystemClock::new().now().as_millis());
        let mut last = None;
        for attempt in 0..NAMES_MAX {
            let path = base.join(format!("{NAMED}{purpose}-{process}-{now:x}-{attempt}"));
            // Not recursive: a folder that is there already, and might be somebody else's, is an error.
            match std::fs::DirBuilder::new().mode(0o700).create(&path).and_then(|()| hold(&path)) {
                Ok(in_use) => return Ok(Self { path, _in_use: in_use }),
                Err(cause) => last = Some(cause),
            }
        }
        let why = last.map_or_else(String::new, |cause| format!(": {cause}"));
        Err(Fault::new(Code::StoreUnwritable, format!("no private folder could be made in {}{why}", base.display()))
            .mend("make that folder writable, or set TMPDIR to one that is"))
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

fn hold(folder: &Path) -> io::Result<File> {
    let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(folder.join(IN_USE))?;
    file.lock()?;
    // Somebody who cleaned up may have come before the lock, and have taken this for left behind.
    if file.metadata()?.nlink() == 0 {
        return Err(io::ErrorKind::NotFound.into());
    }
    Ok(file)
}

/// Removes the folders that are ours and in use by nobody. What cannot be removed stays, for whoever comes
/// next.
fn remove_what_was_left_behind(base: &Path) {
    let Ok(entries) = std::fs::read_dir(base) else { return };
    let named =
        |path: &PathBuf| path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(NAMED.as_bytes()));
    for folder in entries.flatten().map(|entry| entry.path()).filter(named).take(LEFT_BEHIND_MAX) {
        let Ok(about) = std::fs::symlink_metadata(&folder) else { continue };
        let ours = about.uid() == rustix::process::geteuid().as_raw() && about.mode() & OTHERS == 0;
        // Without such a file it is another's, or is being made just now.
        let Ok(file) = File::open(folder.join(IN_USE)) else { continue };
        if about.is_dir() && ours && file.try_lock().is_ok() {
            let _ = std::fs::remove_dir_all(&folder);
        }
    }
}

impl Drop for PrivateFolder {
    fn drop(&mut self) {
        // What is left behind if this fails is readable by its owner alone.
        let _ = std::fs::remove_dir_all(&self.path);
    }
}
