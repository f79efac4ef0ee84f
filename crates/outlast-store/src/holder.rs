//! Which process keeps others from the store, for people to look after: the kernel knows it.

use crate::home::{self, Home};
use outlast_core::StoreError;
use std::path::PathBuf;

/// Where Linux lists the locks of files; elsewhere there is nothing, and nobody is named.
const LOCKS: &str = "/proc/locks";

/// The store was not to be had in time.
pub(crate) fn locked(home: &Home) -> StoreError {
    StoreError::Locked { holder: holder(home) }
}

/// Whoever holds a lock of the database or has the turn to write to it, or else whoever is next. Found without
/// opening either: whoever closes any descriptor of a file gives up all the locks that POSIX knows of it.
pub(crate) fn holder(home: &Home) -> Option<u32> {
    let locks = std::fs::read_to_string(LOCKS).ok()?;
    let of = |files: &[PathBuf]| {
        let files: Vec<String> = files.iter().filter_map(|path| home::mark(path)).map(as_listed).collect();
        find(&locks, &files, std::process::id())
    };
    of(&[home.database(), home.own_lock("writer")]).or_else(|| of(&[home.own_lock("turnstile")]))
}

/// As a line of the list names a file: major and minor number of its device in hex, and its inode.
fn as_listed((device, inode): (u64, u64)) -> String {
    format!("{:02x}:{:02x}:{inode}", rustix::fs::major(device), rustix::fs::minor(device))
}

/// The process with a lock of one of these files; one that writes before one that reads, and not ourselves. A
/// process of another container has no number here, and is listed with 0 or less.
fn find(locks: &str, files: &[String], ourselves: u32) -> Option<u32> {
    let holds = |line: &str| {
        // NUMBER: FLOCK|POSIX ADVISORY READ|WRITE PROCESS DEVICE:INODE FROM TO; whoever waits has an arrow.
        let [_, _, _, access, process, file, ..] = line.split_whitespace().collect::<Vec<_>>()[..] else { return None };
        let process = process.parse().ok().filter(|process| *process != 0 && *process != ourselves)?;
        files.iter().any(|wanted| wanted == file).then_some((access != "WRITE", process))
    };
    locks.lines().filter_map(holds).min_by_key(|(reads, _)| *reads).map(|(_, process)| process)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOCKS: &str = "\
1: FLOCK  ADVISORY  WRITE 7532 fe:00:10018960 0 EOF
2: POSIX  ADVISORY  READ  7530 fe:00:42 1073741826 1073742335
3: POSIX  ADVISORY  WRITE 7531 fe:00:42 1073741825 1073741825
3: -> POSIX  ADVISORY  WRITE 7533 fe:00:42 1073741825 1073741825
4: POSIX  ADVISORY  WRITE 0 fe:00:43 0 EOF
5: POSIX  ADVISORY  WRITE -1 fe:00:44 0 EOF
6: OFDLCK ADVISORY  READ  99 fe:10:42 0 EOF
";

    fn found(file: &str) -> Option<u32> {
        find(LOCKS, &[file.to_owned()], 7532)
    }

    #[test]
    fn whoever_writes_is_named_before_whoever_reads_and_who_waits_is_not() {
        assert_eq!(found("fe:00:42"), Some(7531));
        assert_eq!(find(LOCKS, &["fe:00:42".to_owned()], 7531), Some(7530));
        assert_eq!(found("fe:10:42"), Some(99));
    }

    #[test]
    fn nobody_is_named_who_is_not_known_or_who_is_ourselves() {
        for file in ["fe:00:10018960", "fe:00:43", "fe:00:44", "fe:00:4", "fe:01:42"] {
            assert_eq!(found(file), None, "{file}");
        }
        assert_eq!(find("no list", &["fe:00:42".to_owned()], 1), None);
    }

    #[test]
    fn devices_are_written_as_the_kernel_does() {
        assert_eq!(as_listed((0xfe00, 42)), "fe:00:42");
        assert_eq!(as_listed((0x0010_0803, 7)), "08:103:7");
    }
}
