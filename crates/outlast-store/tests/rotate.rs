//! The key of a store is changed, and everything opens with the new one alone (F26).

#![allow(clippy::disallowed_methods, reason = "children are told by environment; files are put in place by hand")]
#![allow(clippy::unwrap_used, clippy::print_stdout, missing_docs)]

mod support;

use outlast_core::journal::Journal;
use outlast_core::task::{Effect, Event, StepKey, TaskId};
use outlast_core::{Generation, Secret, StoreError, Timestamp, TokenStore};
use outlast_store::{KeySource, Rotated, SqliteStore, read_grant, rotate_key};
use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};
use support::{Folder, PATIENCE, grant, id, increment, open, put, runtime, told_home};

const KEY: &str = "key-beside-data";
const NEXT: &str = "key-beside-data.new";

fn passphrase() -> KeySource {
    KeySource::Passphrase(Secret::new("CANARY horse"))
}

/// Two grants, each written often enough to leave traces, and one that was forgotten.
fn made(source: &KeySource) -> Folder {
    let folder = Folder::new();
    let store = SqliteStore::open(&folder.home, source.clone()).unwrap();
    runtime().block_on(async {
        for generation in 0..4 {
            put(&store, generation, &grant("crm", generation + 1)).await.unwrap();
            put(&store, generation, &grant("mail", generation + 1)).await.unwrap();
        }
        put(&store, 0, &grant("gone", 1)).await.unwrap();
        let lease = store.lease(&id("gone"), PATIENCE).await.unwrap();
        store.forget(&lease, Generation(1)).await.unwrap();
        let claim = store.journal().claim(&task("harvest"), "test", NOW).await.unwrap();
        claim.append(NOW, vec![begun("one")]).await.unwrap();
    });
    folder
}

const NOW: Timestamp = Timestamp::from_secs(1_800_000_000);

fn task(name: &str) -> TaskId {
    TaskId::parse(name).unwrap()
}

fn step(name: &str) -> StepKey {
    StepKey::parse(name).unwrap()
}

fn begun(name: &str) -> Event {
    Event::Started { key: step(name), effect: Effect::Once, input: None }
}

fn key_id(folder: &Folder) -> Vec<u8> {
    let connection = rusqlite::Connection::open(folder.database()).unwrap();
    connection.query_row("SELECT key_id FROM meta", [], |row| row.get(0)).unwrap()
}

fn change(folder: &Folder, sql: &str) {
    rusqlite::Connection::open(folder.database()).unwrap().execute_batch(sql).unwrap();
}

fn write_key(folder: &Folder, name: &str, bytes: &[u8]) {
    let path = folder.home.join(name);
    std::fs::write(&path, bytes).unwrap();
    std::fs::set_permissions(path, PermissionsExt::from_mode(0o600)).unwrap();
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}

fn holds(file: &Path, what: &[u8]) -> bool {
    std::fs::read(file).unwrap().windows(what.len()).any(|window| window == what)
}

fn assert_whole(folder: &Folder, source: &KeySource) {
    for name in ["crm", "mail"] {
        assert_eq!(read_grant(&folder.home, source, &id(name)).unwrap(), Some(grant(name, 4)));
    }
    assert_eq!(read_grant(&folder.home, source, &id("gone")).unwrap(), None);
    // What a store is opened for may end a change: on a copy, so that nothing is changed here.
    let copy = tempfile::tempdir().unwrap();
    let copied = std::process::Command::new("cp").arg("-a").args([&folder.home, copy.path()]).status().unwrap();
    assert!(copied.success());
    let store = SqliteStore::open(&copy.path().join("home"), source.clone()).unwrap();
    let view = runtime().block_on(store.journal().read(&task("harvest"))).unwrap().unwrap();
    assert!(view.step(&step("one")).is_some());
}

#[test]
fn f26_everything_opens_with_the_new_key_and_nothing_is_left_that_the_old_one_opens() {
    for source in [KeySource::File, passphrase()] {
        let folder = made(&source);
        let (before, old) = (key_id(&folder), std::fs::read(folder.home.join(KEY)).ok());
        assert!(files(&folder.home).iter().any(|file| holds(file, &before)), "what is looked for below is there");
        let rotated = rotate_key(&folder.home, &source).unwrap();
        assert_eq!(rotated, Some(Rotated { grants: 2, aside: 1, tasks: 1, damaged: 0 }));
        assert_whole(&folder, &source);
        assert_ne!(key_id(&folder), before);
        // Every sealed record names the key it was sealed with.
        for file in files(&folder.home) {
            assert!(!holds(&file, &before), "{} holds something sealed with the old key", file.display());
            assert!(!old.as_ref().is_some_and(|old| holds(&file, old)), "{} holds the old key", file.display());
        }
        assert!(!folder.home.join(NEXT).exists());
        if let Some(old) = old {
            write_key(&folder, KEY, &old);
            let refused = read_grant(&folder.home, &source, &id("crm"));
            assert!(matches!(refused, Err(StoreError::KeyUnavailable { .. })), "{refused:?}");
        }
    }
}

#[test]
fn f26_what_was_set_aside_opens_with_the_new_key_too() {
    let folder = made(&KeySource::File);
    rotate_key(&folder.home, &KeySource::File).unwrap();
    change(
        &folder,
        "UPDATE grants SET (generation, epoch, sealed) = (SELECT generation, epoch, sealed FROM quarantine) \
         WHERE name = 'gone'",
    );
    assert_eq!(folder.read("gone").unwrap(), Some(grant("gone", 1)));
}

#[test]
fn f26_the_database_stays_the_same_file_and_the_grants_at_home() {
    let folder = made(&KeySource::File);
    rotate_key(&folder.home, &KeySource::File).unwrap();
    let store = folder.open();
    assert_eq!(runtime().block_on(store.copied(&id("crm"))).unwrap(), None);
}

#[test]
fn f26_a_store_that_is_open_goes_on_reading_and_writing_with_the_new_key() {
    for source in [KeySource::File, passphrase()] {
        let folder = made(&source);
        let [reads, writes, blocks] = [0; 3].map(|_| SqliteStore::open(&folder.home, source.clone()).unwrap());
        runtime().block_on(async {
            assert_eq!(reads.load(&id("crm")).await.unwrap(), Some(grant("crm", 4)));
            rotate_key(&folder.home, &source).unwrap();
            // Written before anything is read: the writer itself has to notice.
            put(&writes, 4, &grant("crm", 5)).await.unwrap();
            put(&writes, 0, &grant("new", 1)).await.unwrap();
            assert_eq!(reads.load(&id("crm")).await.unwrap(), Some(grant("crm", 5)));
        });
        assert_eq!(blocks.load_blocking(&id("mail")).unwrap(), Some(grant("mail", 4)));
        for (name, generation) in [("crm", 5), ("mail", 4), ("new", 1)] {
            let read = read_grant(&folder.home, &source, &id(name)).unwrap();
            assert_eq!(read, Some(grant(name, generation)), "with the key that a new process has");
        }
    }
}

#[test]
fn f26_an_open_store_that_cannot_have_the_new_key_writes_nothing() {
    let folder = made(&KeySource::File);
    let store = folder.open();
    rotate_key(&folder.home, &KeySource::File).unwrap();
    let key = std::fs::read(folder.home.join(KEY)).unwrap();
    std::fs::remove_file(folder.home.join(KEY)).unwrap();
    let refused = runtime().block_on(put(&store, 4, &grant("crm", 5)));
    assert!(matches!(refused, Err(StoreError::KeyUnavailable { .. })), "{refused:?}");
    write_key(&folder, KEY, &key);
    assert_whole(&folder, &KeySource::File);
    runtime().block_on(put(&store, 4, &grant("crm", 5))).unwrap();
}

#[test]
fn f26_a_running_task_and_a_new_one_go_on_and_open_with_the_new_key() {
    let folder = made(&KeySource::File);
    let journal = folder.open().journal();
    runtime().block_on(async {
        let claim = journal.claim(&task("harvest"), "test", NOW).await.unwrap();
        rotate_key(&folder.home, &KeySource::File).unwrap();
        claim.append(NOW, vec![begun("two")]).await.unwrap();
        drop(claim);
        // Made by a process that was opened with the old key.
        journal.claim(&task("new"), "test", NOW).await.unwrap();
        let anew = folder.open().journal();
        assert!(anew.read(&task("harvest")).await.unwrap().unwrap().step(&step("two")).is_some());
        assert!(anew.read(&task("new")).await.unwrap().is_some());
        // And by one that asks it for the first time after two changes.
        rotate_key(&folder.home, &KeySource::File).unwrap();
        assert!(journal.read(&task("harvest")).await.unwrap().is_some());
    });
}

#[test]
fn f26_a_journal_that_opens_with_nothing_keeps_nobody_and_is_left_as_it_is() {
    let folder = made(&KeySource::File);
    let path = folder.home.join("tasks/harvest.journal");
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[20] ^= 1;
    bytes[512 + 20] ^= 1;
    std::fs::write(&path, &bytes).unwrap();
    let rotated = rotate_key(&folder.home, &KeySource::File).unwrap().unwrap();
    assert_eq!((rotated.tasks, rotated.damaged), (0, 1));
    assert!(std::fs::read(&path).unwrap() == bytes);
}

/// As a crash leaves it between the commit and the renaming.
fn cut_off_after_the_commit(folder: &Folder) {
    let old = std::fs::read(folder.home.join(KEY)).unwrap();
    rotate_key(&folder.home, &KeySource::File).unwrap();
    std::fs::rename(folder.home.join(KEY), folder.home.join(NEXT)).unwrap();
    write_key(folder, KEY, &old);
}

#[test]
fn f26_a_change_that_was_cut_off_after_its_commit_opens_and_is_ended_by_whoever_opens_next() {
    let folder = made(&KeySource::File);
    cut_off_after_the_commit(&folder);
    let next = std::fs::read(folder.home.join(NEXT)).unwrap();
    assert_whole(&folder, &KeySource::File);
    assert!(folder.home.join(NEXT).exists(), "a question changes nothing");
    folder.open();
    assert_eq!(std::fs::read(folder.home.join(KEY)).unwrap(), next);
    assert!(!folder.home.join(NEXT).exists());
    assert_whole(&folder, &KeySource::File);
}

#[test]
fn f26_a_change_that_was_cut_off_before_its_commit_leaves_the_old_key_in_use() {
    for left in [&[][..], &[7; 31], &[7; 32], &[7; 40]] {
        let folder = made(&KeySource::File);
        let key = std::fs::read(folder.home.join(KEY)).unwrap();
        write_key(&folder, NEXT, left);
        assert_whole(&folder, &KeySource::File);
        folder.open();
        assert_eq!(std::fs::read(folder.home.join(KEY)).unwrap(), key);
        assert!(!folder.home.join(NEXT).exists(), "what was not needed is gone");
        // And the same where the next to come is another change.
        write_key(&folder, NEXT, left);
        rotate_key(&folder.home, &KeySource::File).unwrap();
        assert_whole(&folder, &KeySource::File);
    }
}

#[test]
fn f26_where_neither_key_opens_the_store_both_stay() {
    let folder = made(&KeySource::File);
    write_key(&folder, KEY, &[1; 32]);
    write_key(&folder, NEXT, &[2; 32]);
    for refused in [
        SqliteStore::open(&folder.home, KeySource::File).map(drop),
        rotate_key(&folder.home, &KeySource::File).map(drop),
    ] {
        assert!(matches!(refused, Err(StoreError::KeyUnavailable { .. })), "{refused:?}");
    }
    assert_eq!(std::fs::read(folder.home.join(KEY)).unwrap(), [1; 32]);
    assert_eq!(std::fs::read(folder.home.join(NEXT)).unwrap(), [2; 32]);
}

#[test]
fn f26_the_old_key_stays_while_a_record_does_not_open_with_the_new_one() {
    let folder = made(&KeySource::File);
    let old = std::fs::read(folder.home.join(KEY)).unwrap();
    let sealed: Vec<u8> = {
        let connection = rusqlite::Connection::open(folder.database()).unwrap();
        connection.query_row("SELECT sealed FROM grants WHERE name = 'crm'", [], |row| row.get(0)).unwrap()
    };
    cut_off_after_the_commit(&folder);
    let connection = rusqlite::Connection::open(folder.database()).unwrap();
    connection.execute("UPDATE grants SET sealed = ? WHERE name = 'crm'", [&sealed]).unwrap();
    folder.open();
    assert_eq!(std::fs::read(folder.home.join(KEY)).unwrap(), old);
    assert_eq!(folder.read("mail").unwrap(), Some(grant("mail", 4)));
}

#[test]
fn f26_a_store_with_a_damaged_record_keeps_its_key() {
    let folder = made(&KeySource::File);
    let key = std::fs::read(folder.home.join(KEY)).unwrap();
    change(&folder, "UPDATE quarantine SET sealed = zeroblob(60)");
    let rotated = rotate_key(&folder.home, &KeySource::File).unwrap();
    assert_eq!(rotated, Some(Rotated { grants: 2, aside: 0, tasks: 1, damaged: 1 }), "what is aside keeps nobody");
    let after = std::fs::read(folder.home.join(KEY)).unwrap();
    assert_ne!(after, key);
    change(&folder, "UPDATE grants SET sealed = zeroblob(60) WHERE name = 'crm'");
    let refused = rotate_key(&folder.home, &KeySource::File);
    assert!(matches!(&refused, Err(StoreError::Corrupt { detail }) if detail.contains("crm")), "{refused:?}");
    assert_eq!(std::fs::read(folder.home.join(KEY)).unwrap(), after);
    assert!(!folder.home.join(NEXT).exists());
    assert_eq!(folder.read("mail").unwrap(), Some(grant("mail", 4)));
}

#[test]
fn f26_where_there_is_no_store_none_is_made() {
    let folder = Folder::new();
    assert_eq!(rotate_key(&folder.home, &KeySource::File).unwrap(), None);
    assert!(!folder.home.exists());
}

const ROUNDS: usize = 15;
const WRITERS: usize = 3;

/// Not a test by itself: writes until it is told to stop, and tells what it wrote.
#[test]
fn child() {
    let Some(home) = told_home() else { return };
    let store = open(&home);
    let name = id(&std::env::var("OUTLAST_TEST_CHILD_GRANT").unwrap());
    let stop = home.with_file_name("stop");
    runtime().block_on(async {
        let mut generation = 0;
        while !stop.exists() {
            generation = increment(&store, &name).await.unwrap();
            tokio::time::sleep(Duration::from_millis(3)).await;
        }
        println!("\nwrote {generation}");
    });
}

fn written(folder: &Folder, name: &str) -> u64 {
    folder.read(name).unwrap().map_or(0, |held| held.generation.0)
}

#[test]
fn f26_processes_that_write_all_the_while_lose_nothing_to_changes_of_the_key() {
    let folder = Folder::new();
    folder.open();
    let children: Vec<_> = (0..WRITERS)
        .map(|number| {
            let name = format!("grant-{number}");
            let mut child = support::child(&folder.home);
            child.env("OUTLAST_TEST_CHILD_GRANT", &name).stdout(Stdio::piped());
            (name, child.spawn().unwrap())
        })
        .collect();
    let rotated: Vec<_> = (0..ROUNDS)
        .map(|_| {
            let before: Vec<_> = children.iter().map(|(name, _)| written(&folder, name)).collect();
            let rotated = rotate_key(&folder.home, &KeySource::File);
            for ((name, _), before) in children.iter().zip(before) {
                let deadline = Instant::now() + PATIENCE;
                while written(&folder, name) <= before && Instant::now() < deadline {
                    std::thread::sleep(Duration::from_millis(1));
                }
            }
            rotated
        })
        .collect();
    std::fs::write(folder.home.with_file_name("stop"), "").unwrap();
    for (name, mut child) in children {
        let lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
        let wrote = lines.filter_map(|line| line.strip_prefix("wrote ")?.parse().ok()).last();
        assert!(child.wait().unwrap().success(), "{name}");
        let wrote: u64 = wrote.unwrap();
        assert!(wrote >= ROUNDS as u64, "{name} wrote {wrote} times: it did not go on after each change");
        assert_eq!(folder.read(&name).unwrap(), Some(grant(&name, wrote)));
    }
    for outcome in rotated {
        assert!(matches!(outcome, Ok(Some(_))), "{outcome:?}");
    }
}
