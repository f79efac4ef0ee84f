//! The control socket's file: in a folder of ours alone, owned by whoever holds the lock beside it.

use std::fs::File;
use std::io;
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use tokio::net::UnixListener;

/// Bits of a folder's mode that let others in.
const OTHERS: u32 = 0o077;

/// A socket that is removed when it is dropped, if it is still the same one.
#[derive(Debug)]
pub(crate) struct ControlSocket {
    path: PathBuf,
    inode: u64,
    /// Held for as long as the socket is: the kernel gives it back when the process dies.
    _lock: File,
}

impl ControlSocket {
    /// Listens at `path`.
    ///
    /// # Errors
    /// If the folder lets others in, or another sidecar has the socket.
    pub(crate) fn open(path: &Path) -> io::Result<(Self, UnixListener)> {
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        prepare(folder)?;
        let lock = lock(path)?;
        clear(path)?;
        let listener = UnixListener::bind(path)?;
        // Until this line the folder's mode alone keeps others out.
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))?;
        let inode = std::fs::symlink_metadata(path)?.ino();
        Ok((Self { path: path.to_owned(), inode, _lock: lock }, listener))
    }
}

impl Drop for ControlSocket {
    fn drop(&mut self) {
        let same = std::fs::symlink_metadata(&self.path).is_ok_and(|about| about.ino() == self.inode);
        if same {
            // Whoever comes next replaces what could not be removed.
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

fn prepare(folder: &Path) -> io::Result<()> {
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    let about = std::fs::metadata(folder)?;
    let shown = folder.display();
    if !ours(&about) {
        return Err(refused(format!("the folder {shown} of the control socket belongs to another user; name another")));
    }
    if about.permissions().mode() & OTHERS != 0 {
        return Err(refused(format!(
            "the folder {shown} of the control socket is open to others; run: chmod 700 {shown}"
        )));
    }
    Ok(())
}

fn lock(path: &Path) -> io::Result<File> {
    let mut name = path.as_os_str().to_owned();
    name.push(".lock");
    let file = File::options().create(true).truncate(false).write(true).mode(0o600).open(PathBuf::from(name))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(std::fs::TryLockError::WouldBlock) => Err(in_use(path)),
        Err(std::fs::TryLockError::Error(error)) => Err(error),
    }
}

/// Removes what a sidecar that died has left behind; nothing else.
fn clear(path: &Path) -> io::Result<()> {
    let about = match std::fs::symlink_metadata(path) {
        Ok(about) => about,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    if !about.file_type().is_socket() || !ours(&about) {
        let detail = format!("{} is there and is no socket of ours; move it away or name another", path.display());
        return Err(io::Error::new(io::ErrorKind::AlreadyExists, detail));
    }
    match std::os::unix::net::UnixStream::connect(path) {
        Ok(_) => Err(in_use(path)),
        Err(_) => std::fs::remove_file(path),
    }
}

fn ours(about: &std::fs::Metadata) -> bool {
    about.uid() == rustix::process::geteuid().as_raw()
}

fn refused(detail: String) -> io::Error {
    io::Error::new(io::ErrorKind::PermissionDenied, detail)
}

fn in_use(path: &Path) -> io::Error {
    let detail = format!("another sidecar answers at {}; use that one, or stop it first", path.display());
    io::Error::new(io::ErrorKind::AddrInUse, detail)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::disallowed_methods, reason = "a test prepares files as it likes")]
    use super::*;

    fn folder() -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o700)).unwrap();
        folder
    }

    #[tokio::test]
    async fn the_socket_is_for_its_owner_alone_and_goes_when_it_is_dropped() {
        let folder = folder();
        let path = folder.path().join("sub/outlast.sock");
        let (socket, listener) = ControlSocket::open(&path).unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(std::fs::metadata(path.parent().unwrap()).unwrap().permissions().mode() & 0o777, 0o700);
        drop((socket, listener));
        assert!(!path.exists());
    }

    #[tokio::test]
    async fn a_second_sidecar_does_not_take_the_socket_of_a_living_one() {
        let folder = folder();
        let path = folder.path().join("outlast.sock");
        let _held = ControlSocket::open(&path).unwrap();
        assert_eq!(ControlSocket::open(&path).unwrap_err().kind(), io::ErrorKind::AddrInUse);
        assert!(path.exists());
    }

    #[tokio::test]
    async fn what_a_dead_sidecar_left_behind_is_replaced() {
        let folder = folder();
        let path = folder.path().join("outlast.sock");
        drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
        assert!(path.exists());
        assert!(ControlSocket::open(&path).is_ok());
    }

    #[tokio::test]
    async fn a_listener_without_our_lock_is_not_replaced_either() {
        let folder = folder();
        let path = folder.path().join("outlast.sock");
        let _other = std::os::unix::net::UnixListener::bind(&path).unwrap();
        assert_eq!(ControlSocket::open(&path).unwrap_err().kind(), io::ErrorKind::AddrInUse);
    }

    #[tokio::test]
    async fn a_file_that_is_no_socket_is_kept() {
        let folder = folder();
        let path = folder.path().join("outlast.sock");
        std::fs::write(&path, "precious").unwrap();
        assert!(ControlSocket::open(&path).is_err());
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "precious");
    }

    #[tokio::test]
    async fn a_folder_that_others_can_enter_is_refused_with_the_command_that_mends_it() {
        let folder = folder();
        std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o750)).unwrap();
        let error = ControlSocket::open(&folder.path().join("outlast.sock")).unwrap_err();
        assert!(error.to_string().contains("chmod 700"), "{error}");
    }
}
