//! What the command that prints a token costs: one read, no thread, no file touched.

#![allow(clippy::disallowed_methods, reason = "children are told by environment; files are damaged on purpose")]
#![allow(clippy::unwrap_used, missing_docs)]

mod support;

use outlast_store::{KeySource, SqliteStore, read_grant};
use support::{Folder, grant, id, put, runtime, told_home};

const TIMES: usize = 100;

fn threads() -> usize {
    std::fs::read_dir("/proc/self/task").unwrap().count()
}

/// Not a test by itself: a process that does nothing but read, so that its threads can be counted.
#[test]
fn child() {
    let Some(home) = told_home() else { return };
    let before = threads();
    for _ in 0..TIMES {
        assert_eq!(read_grant(&home, &KeySource::File, &id("crm")).unwrap(), Some(grant("crm", 1)));
    }
    let store = SqliteStore::open(&home, KeySource::File).unwrap();
    assert_eq!(store.load_blocking(&id("crm")).unwrap(), Some(grant("crm", 1)));
    assert_eq!(store.list_blocking().unwrap(), [id("crm")]);
    assert_eq!(threads(), before, "reading and opening start no thread");
}

#[test]
fn reading_starts_no_thread_and_changes_no_file() {
    let folder = Folder::new();
    runtime().block_on(put(&folder.open(), 0, &grant("crm", 1))).unwrap();
    let state = || {
        let mut files: Vec<_> = std::fs::read_dir(&folder.home)
            .unwrap()
            .map(Result::unwrap)
            .map(|entry| (entry.file_name(), entry.metadata().unwrap().modified().unwrap()))
            .collect();
        files.sort();
        files
    };
    let before = state();
    let output = support::child(&folder.home).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    assert_eq!(state(), before);
}
