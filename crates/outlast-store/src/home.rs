//! The folder a store lies in: its paths, how they are made, and who may see them.

use crate::failure::unwritable;
use crate::file_system;
use outlast_core::{GrantId, StoreError};
use rustix::fs::{FileType, Mode, OFlags, Stat};
use rustix::io::Errno;
use std::fs::File;
use std::path::{Path, PathBuf};

const FILE_MODE: u32 = 0o600;
const FOLDER_MODE: u32 = 0o700;
const FOREIGN_BITS: u32 = 0o077;
/// Zeros that are written at a time.
const BLANK_BYTES: usize = 64 * 1024;

/// The folder of one store.
#[derive(Clone, Debug)]
pub(crate) struct Home(PathBuf);

impl Home {
    /// Names the folder; touches nothing.
    pub(crate) fn new(folder: &Path) -> Self {
        Self(folder.to_owned())
    }

    /// The folder itself.
    pub(crate) fn folder(&self) -> &Path {
        &self.0
    }

    /// The database.
    pub(crate) fn database(&self) -> PathBuf {
        self.0.join("outlast.db")
    }

    /// Where a database is built before it takes its name.
    pub(crate) fn unfinished_database(&self) -> PathBuf {
        self.0.join("outlast.db.new")
    }

    /// The database as it was before it was brought up to date from this schema.
    pub(crate) fn backup(&self, schema: u32) -> PathBuf {
        self.0.join(format!("outlast.db.schema-{schema}"))
    }

    /// The journal beside the database.
    pub(crate) fn journal(&self) -> PathBuf {
        self.0.join("outlast.db-journal")
    }

    /// The key file of [`crate::KeySource::File`].
    pub(crate) fn key(&self) -> PathBuf {
        self.0.join("key-beside-data")
    }

    /// Where the next key lies while the store's is changed, and until the one before is erased.
    pub(crate) fn next_key(&self) -> PathBuf {
        self.0.join("key-beside-data.new")
    }

    /// The file whose lock is the lease of a grant.
    pub(crate) fn lease(&self, grant: &GrantId) -> PathBuf {
        self.locks().join(format!("{grant}.lock"))
    }

    /// A file of our own among the locks: no grant's name starts with a dot.
    pub(crate) fn own_lock(&self, name: &str) -> PathBuf {
        self.locks().join(format!(".{name}.lock"))
    }

    /// The folder of the journals of tasks.
    pub(crate) fn tasks(&self) -> PathBuf {
        self.0.join("tasks")
    }

    /// Makes that folder, and makes it survive a power cut.
    pub(crate) fn create_tasks(&self) -> Result<(), StoreError> {
        if check_folder(&self.tasks())? {
            return Ok(());
        }
        make_folder(&self.tasks())?;
        sync(self)
    }

    fn locks(&self) -> PathBuf {
        self.0.join("locks")
    }

    /// Makes the folder and the one for locks, each open to its owner alone.
    pub(crate) fn create(&self) -> Result<(), StoreError> {
        make_folder(&self.0)?;
        self.check()?;
        make_folder(&self.locks())
    }

    /// Refuses a folder on a file system that other machines may use as well (F14): their locks may not be
    /// ours, and a lease that does not keep others away is none. Looks at the nearest folder that is there.
    pub(crate) fn refuse_network(&self) -> Result<(), StoreError> {
        let there = self.0.ancestors().find(|folder| folder.exists());
        let Some(kind) = there.and_then(file_system::network) else { return Ok(()) };
        Err(StoreError::Remote {
            detail: format!(
                "{} lies on a network file system or a folder shared with another machine ({kind}), where a lock may \
                 not keep others away",
                self.0.display()
            ),
            mend:
                "set OUTLAST_HOME to a folder on a disk of this machine; each machine needs a store and a sign-in of \
                   its own"
                    .to_owned(),
        })
    }

    /// Refuses a folder that others may look into, or that belongs to somebody else; false if
    /// there is none. A link to a folder of ours is fine.
    pub(crate) fn check(&self) -> Result<bool, StoreError> {
        check_folder(&self.0)
    }

    /// The same for everything in it that is there, for those who have the time.
    pub(crate) fn check_all(&self) -> Result<(), StoreError> {
        check_folder(&self.locks())?;
        for path in [self.database(), self.journal(), self.key(), self.next_key()] {
            check_file(&path)?;
        }
        Ok(())
    }
}

/// Refuses a folder on the same grounds as [`Home::check`]; false if there is none.
pub(crate) fn check_folder(path: &Path) -> Result<bool, StoreError> {
    match rustix::fs::stat(path) {
        Err(Errno::NOENT) => Ok(false),
        Err(cause) => Err(unwritable("looking at", path, cause)),
        Ok(found) => check(path, &found, FileType::Directory).map(|()| true),
    }
}

/// Refuses a file that others may read, that belongs to somebody else, or that is a link; false if
/// there is none.
pub(crate) fn check_file(path: &Path) -> Result<bool, StoreError> {
    match rustix::fs::lstat(path) {
        Err(Errno::NOENT) => Ok(false),
        Err(cause) => Err(unwritable("looking at", path, cause)),
        Ok(found) => check(path, &found, FileType::RegularFile).map(|()| true),
    }
}

/// Refuses an open file on the same grounds as [`check_file`].
pub(crate) fn check_open_file(path: &Path, file: &File) -> Result<Stat, StoreError> {
    let found = rustix::fs::fstat(file).map_err(|cause| unwritable("looking at", path, cause))?;
    check(path, &found, FileType::RegularFile)?;
    Ok(found)
}

/// Makes a file that must not be there yet, for its owner alone whatever the umask.
pub(crate) fn create_file(path: &Path) -> Result<File, StoreError> {
    let file =
        open(path, OFlags::RDWR | OFlags::CREATE | OFlags::EXCL).map_err(|cause| unwritable("making", path, cause))?;
    restrict(path, &file)?;
    Ok(file)
}

/// Opens a file for locking, making it if it is not there, and its folder if that has gone.
pub(crate) fn open_lock_file(home: &Home, path: &Path) -> Result<File, StoreError> {
    let create = || open(path, OFlags::RDWR | OFlags::CREATE | OFlags::EXCL);
    let mut made = create();
    if made.as_ref().is_err_and(|cause| *cause == Errno::NOENT) {
        make_folder(&home.locks())?;
        made = create();
    }
    match made {
        Ok(file) => restrict(path, &file).map(|()| file),
        Err(Errno::EXIST) => open_existing(path),
        Err(cause) => Err(unwritable("making", path, cause)),
    }
}

/// What tells the file of that name from another that is put in its place; none if there is none.
pub(crate) fn mark(path: &Path) -> Option<(u64, u64)> {
    rustix::fs::lstat(path).ok().map(|found| (found.st_dev, found.st_ino))
}

/// Removes a file that may not be there.
pub(crate) fn remove(path: &Path) -> Result<(), StoreError> {
    match std::fs::remove_file(path) {
        Err(cause) if cause.kind() != std::io::ErrorKind::NotFound => Err(unwritable("removing", path, cause)),
        Ok(()) | Err(_) => Ok(()),
    }
}

/// Overwrites a file with zeros, as long as it is, and syncs it; one that is not there is left so.
pub(crate) fn blank(path: &Path) -> Result<(), StoreError> {
    use std::io::Write;
    if !check_file(path)? {
        return Ok(());
    }
    let mut file = open_existing(path)?;
    let blanked = file.metadata().and_then(|found| {
        let zeros = vec![0; BLANK_BYTES];
        let mut left = found.len();
        while left > 0 {
            let next = left.min(BLANK_BYTES as u64);
            file.write_all(&zeros[..usize::try_from(next).unwrap_or(BLANK_BYTES)])?;
            left -= next;
        }
        file.sync_all()
    });
    blanked.map_err(|cause| unwritable("blanking", path, cause))
}

/// Opens a file for reading; none if it is not there.
pub(crate) fn open_to_read(path: &Path) -> Result<Option<File>, StoreError> {
    match open(path, OFlags::RDONLY) {
        Ok(file) => check_open_file(path, &file).map(|_| Some(file)),
        Err(Errno::NOENT) => Ok(None),
        Err(Errno::LOOP) => Err(is_link(path)),
        Err(cause) => Err(unwritable("opening", path, cause)),
    }
}

/// Opens a file for reading and writing; none if it is not there.
pub(crate) fn open_to_write(path: &Path) -> Result<Option<File>, StoreError> {
    match open(path, OFlags::RDWR) {
        Ok(file) => check_open_file(path, &file).map(|_| Some(file)),
        Err(Errno::NOENT) => Ok(None),
        Err(Errno::LOOP) => Err(is_link(path)),
        Err(cause) => Err(unwritable("opening", path, cause)),
    }
}

/// Whether an open file still bears that name: a cleaner may have removed it, and another been put there.
pub(crate) fn bears_the_name(file: &File, path: &Path) -> Result<bool, StoreError> {
    let opened = check_open_file(path, file)?;
    Ok(rustix::fs::lstat(path).is_ok_and(|named| (named.st_dev, named.st_ino) == (opened.st_dev, opened.st_ino)))
}

/// Gives a finished file its name, which nothing may bear yet, and makes that survive a power cut.
pub(crate) fn publish(home: &Home, from: &Path, to: &Path) -> Result<(), StoreError> {
    publish_in(home.folder(), from, to)
}

/// The same in another folder than the store's own.
pub(crate) fn publish_in(folder: &Path, from: &Path, to: &Path) -> Result<(), StoreError> {
    let failed = |cause: Errno| unwritable("naming", to, cause);
    rustix::fs::renameat_with(rustix::fs::CWD, from, rustix::fs::CWD, to, rustix::fs::RenameFlags::NOREPLACE)
        .map_err(failed)?;
    sync_folder(folder)
}

/// The same for a name that something may bear already: it is replaced in one step.
pub(crate) fn replace(home: &Home, from: &Path, to: &Path) -> Result<(), StoreError> {
    replace_in(home.folder(), from, to)
}

/// The same in another folder than the store's own.
pub(crate) fn replace_in(folder: &Path, from: &Path, to: &Path) -> Result<(), StoreError> {
    rustix::fs::rename(from, to).map_err(|cause| unwritable("naming", to, cause))?;
    sync_folder(folder)
}

/// Makes what was done to names in the folder survive a power cut.
pub(crate) fn sync(home: &Home) -> Result<(), StoreError> {
    sync_folder(home.folder())
}

/// The same for another folder than the store's own.
pub(crate) fn sync_folder(folder: &Path) -> Result<(), StoreError> {
    let failed = |cause: Errno| unwritable("syncing", folder, cause);
    let opened = rustix::fs::open(folder, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())
        .map_err(failed)?;
    rustix::fs::fsync(opened).map_err(failed)
}

/// The word as a shell reads it back.
pub(crate) fn quoted(path: &Path) -> String {
    format!("'{}'", path.to_string_lossy().replace('\'', r"'\''"))
}

fn open_existing(path: &Path) -> Result<File, StoreError> {
    let file = open(path, OFlags::RDWR).map_err(|cause| match cause {
        Errno::LOOP => is_link(path),
        cause => unwritable("opening", path, cause),
    })?;
    check_open_file(path, &file)?;
    Ok(file)
}

fn open(path: &Path, flags: OFlags) -> Result<File, Errno> {
    let flags = flags | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    rustix::fs::open(path, flags, Mode::from_raw_mode(FILE_MODE)).map(File::from)
}

fn restrict(path: &Path, file: &File) -> Result<(), StoreError> {
    rustix::fs::fchmod(file, Mode::from_raw_mode(FILE_MODE)).map_err(|cause| unwritable("restricting", path, cause))
}

/// Makes a folder for its owner alone, whatever the umask.
pub(crate) fn make_folder(path: &Path) -> Result<(), StoreError> {
    use std::os::unix::fs::DirBuilderExt;
    if path.is_dir() {
        return Ok(());
    }
    let made = std::fs::DirBuilder::new().recursive(true).mode(FOLDER_MODE).create(path);
    made.map_err(|cause| unwritable("making", path, cause))?;
    rustix::fs::chmod(path, Mode::from_raw_mode(FOLDER_MODE)).map_err(|cause| unwritable("restricting", path, cause))
}

fn check(path: &Path, found: &Stat, wanted: FileType) -> Result<(), StoreError> {
    let (kind, mode) = (FileType::from_raw_mode(found.st_mode), found.st_mode & 0o7777);
    let ours = rustix::process::geteuid().as_raw();
    if kind == FileType::Symlink {
        return Err(is_link(path));
    }
    if kind != wanted {
        let detail = format!("{} is not a {}", path.display(), if wanted.is_dir() { "folder" } else { "file" });
        return Err(StoreError::Insecure { detail, mend: move_aside(path) });
    }
    if found.st_uid != ours {
        let detail = format!("{} belongs to user {}, this process runs as {ours}", path.display(), found.st_uid);
        return Err(StoreError::Insecure { detail, mend: format!("chown {ours} {}", quoted(path)) });
    }
    if mode & FOREIGN_BITS != 0 {
        let detail = format!("{} is open to others (mode {mode:04o})", path.display());
        let right = if wanted.is_dir() { "700" } else { "600" };
        return Err(StoreError::Insecure { detail, mend: format!("chmod {right} {}", quoted(path)) });
    }
    Ok(())
}

fn is_link(path: &Path) -> StoreError {
    let detail = format!("{} is a symbolic link, which could lead anywhere", path.display());
    StoreError::Insecure { detail, mend: move_aside(path) }
}

fn move_aside(path: &Path) -> String {
    format!("mv {0} {0}.aside", quoted(path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn f29_a_mend_is_one_word_to_the_shell_whatever_the_path() {
        assert_eq!(quoted(Path::new("/a b/$(id)")), "'/a b/$(id)'");
        assert_eq!(quoted(Path::new("/it's")), r"'/it'\''s'");
    }
}
