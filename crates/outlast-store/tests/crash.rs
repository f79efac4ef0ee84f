//! SIGKILL is a test input.

#![allow(clippy::disallowed_methods, reason = "children are told by environment; files are damaged on purpose")]
#![allow(clippy::unwrap_used, clippy::print_stdout, missing_docs)]

mod support;

use outlast_core::{Generation, StoreError};
use outlast_store::{KeySource, SqliteStore};
use std::io::{BufRead, BufReader, Write};
use std::process::Stdio;
use support::{Folder, grant, id, increment, open, put, runtime, told_home};

const ROUNDS: u64 = 25;
const ACKNOWLEDGED: &str = "acknowledged ";

/// Not a test by itself: commits until it is killed, and tells each generation once it is durable.
#[test]
fn child() {
    let Some(home) = told_home() else { return };
    let store = open(&home);
    runtime().block_on(async {
        loop {
            let generation = increment(&store, &id("crm")).await.unwrap();
            println!("\n{ACKNOWLEDGED}{generation}");
            std::io::stdout().flush().unwrap();
        }
    });
}

/// Starts a child, kills it after it has acknowledged `after` generations, and returns the last one
/// that it did.
fn killed(folder: &Folder, after: u64) -> u64 {
    let mut child = support::child(&folder.home).stdout(Stdio::piped()).spawn().unwrap();
    let mut acknowledged = BufReader::new(child.stdout.take().unwrap())
        .lines()
        .map_while(Result::ok)
        .filter_map(|line| line.strip_prefix(ACKNOWLEDGED)?.parse().ok());
    let mut last = acknowledged.nth(after as usize - 1).unwrap();
    // Not at the moment of an acknowledgement, but anywhere in the commits that follow.
    std::thread::sleep(std::time::Duration::from_micros(after * 377 % 5000));
    child.kill().unwrap();
    child.wait().unwrap();
    if let Some(later) = acknowledged.last() {
        last = later;
    }
    last
}

#[test]
fn d01_no_acknowledged_generation_is_lost_to_kill_9() {
    let folder = Folder::new();
    for round in 1..=ROUNDS {
        let acknowledged = killed(&folder, 1 + round % 7);
        let found = folder.read("crm").unwrap().unwrap();
        assert!(found.generation >= Generation(acknowledged), "{found:?} after {acknowledged}");
        assert!(found.generation <= Generation(acknowledged + 1), "{found:?} after {acknowledged}");
        assert_eq!(found, grant("crm", found.generation.0), "whole");
    }
}

/// What a writer leaves that dies between writing the database and ending its commit: a journal
/// that has to be played back before anything is read. Made from a real commit's files.
#[test]
fn a_reader_undoes_the_commit_that_its_writer_died_in() {
    let folder = Folder::new();
    runtime().block_on(put(&folder.open(), 0, &grant("crm", 1))).unwrap();
    let connection = rusqlite::Connection::open(folder.database()).unwrap();
    connection.pragma_update_and_check(None, "journal_mode", "PERSIST", |_| Ok(())).unwrap();
    // Small enough to spill: the changed pages reach the database before the commit does.
    connection
        .execute_batch("PRAGMA cache_size = 1; BEGIN IMMEDIATE; DELETE FROM grants; DELETE FROM reserve;")
        .unwrap();
    connection.execute_batch("CREATE TABLE filler (x); INSERT INTO filler VALUES (zeroblob(300000));").unwrap();
    let dead = Folder::new();
    std::fs::DirBuilder::new().recursive(true).create(&dead.home).unwrap();
    copy_store(&folder, &dead);
    connection.execute_batch("ROLLBACK").unwrap();
    let journal = std::fs::read(dead.home.join("outlast.db-journal")).unwrap();
    assert_ne!(journal[0], 0, "the journal is hot");
    assert_eq!(dead.read("crm").unwrap(), Some(grant("crm", 1)));
}

/// A database that was deleted beside a hot journal: SQLite would play it back into a new one.
#[test]
fn a_hot_journal_without_its_database_is_refused_and_kept() {
    let folder = Folder::new();
    runtime().block_on(put(&folder.open(), 0, &grant("crm", 1))).unwrap();
    std::fs::remove_file(folder.database()).unwrap();
    let journal = folder.home.join("outlast.db-journal");
    std::fs::write(&journal, [0xd9; 4096]).unwrap();
    let refused = SqliteStore::open(&folder.home, KeySource::File).map(drop);
    assert!(matches!(&refused, Err(StoreError::Corrupt { detail }) if detail.contains("journal")), "{refused:?}");
    assert_eq!(std::fs::read(&journal).unwrap(), [0xd9; 4096]);
    assert!(!folder.database().exists());
}

fn copy_store(from: &Folder, to: &Folder) {
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(&to.home, PermissionsExt::from_mode(0o700)).unwrap();
    for name in ["outlast.db", "outlast.db-journal", "key-beside-data"] {
        std::fs::copy(from.home.join(name), to.home.join(name)).unwrap();
    }
}
