//! What is known of each authorization server's outage, for all processes: a small file each, in
//! the lock that guards it. Not sealed, for it holds a count and a moment; not synced, for what a
//! power cut takes of it is found out anew by a few requests.

use crate::failure::unwritable;
use crate::home::{self, Home};
use aws_lc_rs::digest::{SHA256, digest};
use outlast_core::{Outage, StoreError, Timestamp};
use std::fmt::Write as _;
use std::fs::{File, TryLockError};
use std::io::{self, Read, Seek, Write};
use std::path::PathBuf;
use std::time::Duration;

/// Longest content that is one of ours: two numbers.
const BYTES_MAX: u64 = 64;
/// How often, and how far apart, a lock that somebody holds is looked at.
const LOOKS_MAX: usize = 20;
const LOOK_AGAIN: Duration = Duration::from_micros(500);
/// Bytes of the digest that names a file.
const NAME_BYTES: usize = 12;

/// Puts `change` of what is known of `server` in its place, and says what was there. Where there is
/// nothing and nothing comes in its place, no file is made.
pub(crate) fn change(home: &Home, server: &str, change: &dyn Fn(Outage) -> Outage) -> Result<Outage, StoreError> {
    let path = path(home, server);
    let failed = |cause: io::Error| unwritable("noting an outage in", &path, cause);
    if !home::check_file(&path)? && change(Outage::default()) == Outage::default() {
        return Ok(Outage::default());
    }
    let mut file = home::open_lock_file(home, &path)?;
    lock(&file).map_err(failed)?;
    let before = read(&mut file).map_err(failed)?;
    let next = change(before);
    if next != before {
        write(&mut file, next).map_err(failed)?;
    }
    file.unlock().map_err(failed)?;
    Ok(before)
}

/// Held for a read and a write by each holder; one that was stopped in between is not waited for.
fn lock(file: &File) -> io::Result<()> {
    for _ in 0..LOOKS_MAX {
        match file.try_lock() {
            Ok(()) => return Ok(()),
            Err(TryLockError::Error(cause)) => return Err(cause),
            // Nobody wakes this thread; it may wake early, which only makes it look sooner.
            Err(TryLockError::WouldBlock) => std::thread::park_timeout(LOOK_AGAIN),
        }
    }
    Err(io::ErrorKind::WouldBlock.into())
}

fn path(home: &Home, server: &str) -> PathBuf {
    let mut name = "server-".to_owned();
    for byte in &digest(&SHA256, server.as_bytes()).as_ref()[..NAME_BYTES] {
        // Writing to a string does not fail.
        let _ = write!(name, "{byte:02x}");
    }
    home.own_lock(&name)
}

/// A file that makes no sense was cut by a crash and says nothing.
fn read(file: &mut File) -> io::Result<Outage> {
    let mut text = String::new();
    file.rewind()?;
    match file.take(BYTES_MAX).read_to_string(&mut text) {
        Err(cause) if cause.kind() == io::ErrorKind::InvalidData => return Ok(Outage::default()),
        read => read?,
    };
    Ok(parse(&text).unwrap_or_default())
}

fn parse(text: &str) -> Option<Outage> {
    let (failures, next_at) = text.strip_suffix('\n')?.split_once(' ')?;
    Some(Outage { failures: failures.parse().ok()?, next_at: Timestamp::from_millis(next_at.parse().ok()?) })
}

fn write(file: &mut File, outage: Outage) -> io::Result<()> {
    file.set_len(0)?;
    file.rewind()?;
    file.write_all(format!("{} {}\n", outage.failures, outage.next_at.as_millis()).as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    const SERVER: &str = "https://as.example";

    fn home() -> (tempfile::TempDir, Home) {
        let folder = tempfile::tempdir().unwrap();
        let home = Home::new(&folder.path().join("home"));
        home.create().unwrap();
        (folder, home)
    }

    fn at(failures: u8) -> Outage {
        Outage { failures, next_at: Timestamp::from_secs(u64::from(failures)) }
    }

    #[test]
    fn f30_what_one_process_found_out_the_next_one_knows() {
        let (_folder, home) = home();
        assert_eq!(change(&home, SERVER, &|_| at(4)).unwrap(), Outage::default());
        assert_eq!(change(&home, SERVER, &|known| known).unwrap(), at(4));
        assert_eq!(change(&home, "https://other.example", &|known| known).unwrap(), Outage::default());
        assert_eq!(change(&home, SERVER, &|_| Outage::default()).unwrap(), at(4));
        assert_eq!(change(&home, SERVER, &|known| known).unwrap(), Outage::default());
    }

    #[test]
    fn while_all_is_well_no_file_is_made() {
        let (_folder, home) = home();
        change(&home, SERVER, &|known| known).unwrap();
        assert!(!path(&home, SERVER).exists());
    }

    #[test]
    fn a_file_that_makes_no_sense_says_nothing() {
        let (_folder, home) = home();
        for content in [&b""[..], b"4", b"4 5", b"x y\n", b"\xff\xfe 1\n", b"300 1\n", &[b'9'; 200]] {
            change(&home, SERVER, &|_| at(4)).unwrap();
            std::fs::OpenOptions::new()
                .write(true)
                .truncate(true)
                .open(path(&home, SERVER))
                .unwrap()
                .write_all(content)
                .unwrap();
            assert_eq!(change(&home, SERVER, &|known| known).unwrap(), Outage::default(), "{content:?}");
        }
    }
}
