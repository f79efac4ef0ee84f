//! Makes the storage operations of a child process go wrong, one at a time: the Rust side of
//! `tests/faults/faults.c`.

use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

/// How an operation goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// The process is killed right after it.
    CrashAfter,
    /// The process is killed right before it.
    CrashBefore,
    /// The disk is full, this once (ENOSPC).
    Full,
    /// No write finds room from here on, as on a file system that never overwrites in place.
    FullCopyingOn,
    /// The disk is full from here on: what makes a file longer is refused, overwriting is not.
    FullOn,
    /// The disk fails, this once (EIO): a sync that is tried again then succeeds, and may have lost data.
    IoError,
    /// The disk fails from here on.
    IoErrorOn,
    /// The file system has become read-only (EROFS).
    ReadOnlyOn,
    /// Half of a write is made, and the process killed.
    ShortCrash,
    /// Half of a write is made, and the call says so.
    ShortWrite,
    /// Everything takes two seconds that changes something or opens it to be changed.
    SlowAll,
    /// Every sync takes two seconds.
    SlowSync,
}

impl Kind {
    /// Those that are tried at each operation.
    pub const EACH: [Self; 10] = [
        Self::CrashAfter,
        Self::CrashBefore,
        Self::Full,
        Self::FullCopyingOn,
        Self::FullOn,
        Self::IoError,
        Self::IoErrorOn,
        Self::ReadOnlyOn,
        Self::ShortCrash,
        Self::ShortWrite,
    ];

    /// Whether the process dies of it.
    pub fn kills(self) -> bool {
        matches!(self, Self::CrashAfter | Self::CrashBefore | Self::ShortCrash)
    }

    /// Whether it goes on after the operation.
    pub fn lasts(self) -> bool {
        matches!(
            self,
            Self::FullCopyingOn | Self::FullOn | Self::IoErrorOn | Self::ReadOnlyOn | Self::SlowAll | Self::SlowSync
        )
    }

    /// Whether it makes a difference to this operation.
    pub fn applies_to(self, operation: &Operation) -> bool {
        let name = operation.name.as_str();
        match self {
            Self::CrashAfter | Self::CrashBefore => true,
            Self::Full => operation.changes && !matches!(name, "chmod" | "unlink"),
            Self::FullCopyingOn | Self::FullOn => operation.changes && !matches!(name, "chmod" | "unlink" | "sync"),
            Self::IoError => name != "unlock",
            Self::IoErrorOn => !matches!(name, "lock" | "unlock"),
            Self::ReadOnlyOn => (operation.changes && name != "sync") || name == "open-rw",
            Self::ShortCrash | Self::ShortWrite => name == "write" && operation.length > 1,
            Self::SlowAll => operation.changes || name == "open-rw",
            Self::SlowSync => name == "sync",
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::CrashAfter => "crash-after",
            Self::CrashBefore => "crash-before",
            Self::Full => "full",
            Self::FullCopyingOn => "full-copying-on",
            Self::FullOn => "full-on",
            Self::IoError => "io-error",
            Self::IoErrorOn => "io-error-on",
            Self::ReadOnlyOn => "read-only-on",
            Self::ShortCrash => "short-crash",
            Self::ShortWrite => "short-write",
            Self::SlowAll => "slow-all",
            Self::SlowSync => "slow-sync",
        }
    }
}

/// One storage operation, as it was noted before it was carried out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Operation {
    /// Counted from 1.
    pub number: u64,
    /// Whether it changes something on the disk; reads, locks and opening do not.
    pub changes: bool,
    /// `create`, `write`, `sync`, `rename`, `lock`, …
    pub name: String,
    /// The file's path below the folder, `.` for the folder itself; `FROM>TO` for a rename.
    pub path: String,
    /// Where in the file.
    pub offset: u64,
    /// How many bytes.
    pub length: u64,
    /// The bytes of a write, where they were asked for.
    pub data: Vec<u8>,
}

/// The library that is put in.
#[derive(Clone, Debug)]
pub struct Faults(PathBuf);

impl Faults {
    /// Compiles it into `folder`.
    ///
    /// # Panics
    /// If there is no C compiler, which the workspace cannot be built without.
    pub fn build(folder: &Path) -> Self {
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/faults/faults.c");
        let library = folder.join("faults.so");
        let arguments = ["-std=gnu11", "-Wall", "-Wextra", "-Werror", "-O1", "-shared", "-fPIC", "-o"];
        let made = Command::new("cc").args(arguments).arg(&library).arg(source).status();
        assert!(made.is_ok_and(|status| status.success()), "cc compiles tests/faults/faults.c");
        Self(library)
    }

    /// Puts it into `command`: operations below `folder` are counted and written to `log`, and `fault`
    /// is what happens at one of them.
    pub fn put_into(&self, command: &mut Command, folder: &Path, fault: Option<(u64, Kind)>, log: Option<&Path>) {
        command.env("LD_PRELOAD", &self.0).env("FAULTS_FOLDER", folder);
        if let Some((at, kind)) = fault {
            command.env("FAULTS_AT", at.to_string()).env("FAULTS_KIND", kind.name());
        }
        if let Some(log) = log {
            command.env("FAULTS_LOG", log);
        }
    }
}

/// Reads a log; `with_data` if it was written with `FAULTS_DATA`.
///
/// # Errors
/// If there is none. A process that did nothing leaves an empty one.
///
/// # Panics
/// If it is not such a log.
pub fn read_log(path: &Path, with_data: bool) -> io::Result<Vec<Operation>> {
    let bytes = std::fs::read(path)?;
    let mut rest = bytes.as_slice();
    let mut found = Vec::new();
    while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
        let line = String::from_utf8_lossy(&rest[..end]).into_owned();
        rest = &rest[end + 1..];
        let mut operation = parse(&line).unwrap_or_else(|| panic!("not an operation: {line}"));
        if with_data && operation.name == "write" {
            let (data, after) = rest.split_at(operation.length.try_into().expect("what was written fits into memory"));
            operation.data = data.to_vec();
            rest = after;
        }
        found.push(operation);
    }
    Ok(found)
}

fn parse(line: &str) -> Option<Operation> {
    // The path may hold blanks; nothing else does.
    let mut front = line.splitn(4, ' ');
    let (number, class, name, rest) = (front.next()?, front.next()?, front.next()?, front.next()?);
    let mut back = rest.rsplitn(3, ' ');
    let (length, offset, path) = (back.next()?, back.next()?, back.next()?);
    Some(Operation {
        number: number.parse().ok()?,
        changes: class == "m",
        name: name.to_owned(),
        path: path.to_owned(),
        offset: offset.parse().ok()?,
        length: length.parse().ok()?,
        data: Vec::new(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_is_known_to_the_library_and_works() {
        let folder = tempfile::tempdir().expect("a folder");
        let faults = Faults::build(folder.path());
        let home = folder.path().join("home");
        std::fs::create_dir(&home).expect("a folder");
        let run = |fault| {
            let log = folder.path().join("log");
            let _absent_at_first = std::fs::remove_file(&log);
            // dd makes its own calls; a shell would start programs, which the filter does not survive.
            let mut command = Command::new("dd");
            command.arg("if=/dev/zero").arg(format!("of={}/f", home.display())).args(["bs=8", "count=1", "conv=fsync"]);
            faults.put_into(&mut command, &home, fault, Some(&log));
            let output = command.output().expect("dd runs");
            let length = std::fs::metadata(home.join("f")).map_or(0, |file| file.len());
            let names: Vec<_> = read_log(&log, false).expect("a log").into_iter().map(|each| each.name).collect();
            (output.status.success(), length, names.join(" "))
        };
        assert_eq!(run(None), (true, 8, "create write sync".to_owned()));
        assert_eq!(run(Some((2, Kind::CrashBefore))), (false, 0, "create write".to_owned()));
        assert_eq!(run(Some((2, Kind::CrashAfter))), (false, 8, "create write".to_owned()));
        assert_eq!(run(Some((2, Kind::ShortCrash))), (false, 4, "create write".to_owned()));
        assert_eq!(run(Some((2, Kind::ShortWrite))), (true, 8, "create write write sync".to_owned()));
        for kind in [Kind::Full, Kind::FullCopyingOn, Kind::FullOn, Kind::IoError, Kind::IoErrorOn, Kind::ReadOnlyOn] {
            let (succeeded, length, names) = run(Some((2, kind)));
            assert!(!succeeded && length == 0 && names.starts_with("create write"), "{kind:?} {names}");
        }
        assert!(!run(Some((3, Kind::IoError))).0, "a sync fails too");
    }
}
