//! A key that cannot be had is said so; nothing is made anew, nothing hangs.

#![allow(clippy::disallowed_methods, reason = "children are told by environment; files are damaged on purpose")]
#![allow(clippy::unwrap_used, clippy::print_stdout, missing_docs)]

mod support;

use outlast_core::{Secret, StoreError};
use outlast_store::{KeySource, SqliteStore, read_grant};
use std::path::Path;
use std::time::{Duration, Instant};
use support::{Folder, grant, id, put, runtime, told_home};

/// Two seconds are promised; the rest is for a busy machine. Without the bound it is a minute.
const NO_HANG: Duration = Duration::from_secs(20);

fn contents(home: &Path) -> Vec<(std::path::PathBuf, Vec<u8>)> {
    let mut files: Vec<_> = std::fs::read_dir(home)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.is_file())
        .map(|path| (path.clone(), std::fs::read(path).unwrap()))
        .collect();
    files.sort();
    files
}

/// Opening and reading both fail for want of the key, and change nothing.
fn assert_unavailable(home: &Path, source: &KeySource, words: &str) {
    let before = contents(home);
    let opened = SqliteStore::open(home, source.clone()).map(drop);
    let read = read_grant(home, source, &id("crm")).map(drop);
    for refused in [opened, read] {
        let Err(StoreError::KeyUnavailable { detail, mend }) = refused else { panic!("{refused:?}") };
        assert!(detail.contains(words) && !mend.is_empty(), "{detail}; {mend}");
        assert!(!detail.contains("CANARY") && !mend.contains("CANARY"));
    }
    assert!(contents(home) == before, "nothing was changed");
}

fn made(source: &KeySource) -> Folder {
    let folder = Folder::new();
    let store = SqliteStore::open(&folder.home, source.clone()).unwrap();
    runtime().block_on(put(&store, 0, &grant("crm", 1))).unwrap();
    folder
}

#[test]
fn f25_a_missing_key_file_is_reported_and_not_replaced() {
    let folder = made(&KeySource::File);
    let key = folder.home.join("key-beside-data");
    let kept = std::fs::read(&key).unwrap();
    assert_eq!(kept.len(), 32);
    std::fs::remove_file(&key).unwrap();
    assert_unavailable(&folder.home, &KeySource::File, "missing");
    assert!(!key.exists());
    restore(&key, &kept);
    assert_eq!(folder.read("crm").unwrap(), Some(grant("crm", 1)));
}

fn restore(key: &Path, bytes: &[u8]) {
    std::fs::write(key, bytes).unwrap();
    std::fs::set_permissions(key, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
}

#[test]
fn f25_a_wrong_or_torn_key_file_is_reported() {
    let folder = made(&KeySource::File);
    let key = folder.home.join("key-beside-data");
    for length in [0, 31, 33, 4096] {
        restore(&key, &vec![7; length]);
        assert_unavailable(&folder.home, &KeySource::File, "32 bytes");
    }
    restore(&key, &[7; 32]);
    assert_unavailable(&folder.home, &KeySource::File, "not the one");
}

#[test]
fn f25_a_key_file_without_a_store_is_used_and_never_overwritten() {
    let folder = made(&KeySource::File);
    let key = std::fs::read(folder.home.join("key-beside-data")).unwrap();
    std::fs::remove_file(folder.database()).unwrap();
    folder.open();
    assert_eq!(std::fs::read(folder.home.join("key-beside-data")).unwrap(), key);
}

#[test]
fn f25_a_passphrase_opens_what_it_sealed_and_no_other_does() {
    let right = KeySource::Passphrase(Secret::new("correct CANARY horse"));
    let folder = made(&right);
    assert_eq!(read_grant(&folder.home, &right, &id("crm")).unwrap(), Some(grant("crm", 1)));
    let wrong = KeySource::Passphrase(Secret::new("correct CANARY house"));
    assert_unavailable(&folder.home, &wrong, "not the one");
    assert_unavailable(&folder.home, &KeySource::Passphrase(Secret::new("")), "empty");
    assert!(!folder.home.join("key-beside-data").exists());
    // The parameters come from the disk: absurd ones are refused instead of tried.
    let whole = std::fs::read(folder.database()).unwrap();
    for sql in ["passphrase_memory_kib = 4194304", "passphrase_passes = 4294967295", "passphrase_salt = NULL"] {
        rusqlite::Connection::open(folder.database()).unwrap().execute(&format!("UPDATE meta SET {sql}"), []).unwrap();
        let refused = read_grant(&folder.home, &right, &id("crm"));
        assert!(matches!(refused, Err(StoreError::Corrupt { .. })), "{sql}: {refused:?}");
        std::fs::write(folder.database(), &whole).unwrap();
    }
}

#[test]
fn f25_a_store_remembers_its_kind_of_key() {
    let folder = made(&KeySource::File);
    for other in [KeySource::Passphrase(Secret::new("CANARY")), KeySource::Keyring] {
        assert_unavailable(&folder.home, &other, "`file`");
    }
}

#[test]
fn f24_a_check_value_that_does_not_open_is_damage_and_not_a_wrong_key() {
    let folder = made(&KeySource::File);
    for sql in ["key_check = x'00'", "store_id = zeroblob(16)", "key_source = 'hsm'", "key_id = x'00'"] {
        let folder_sql = format!("UPDATE meta SET {sql}");
        let kept = std::fs::read(folder.database()).unwrap();
        rusqlite::Connection::open(folder.database()).unwrap().execute(&folder_sql, []).unwrap();
        assert!(matches!(folder.read("crm"), Err(StoreError::Corrupt { .. })), "{sql}");
        std::fs::write(folder.database(), kept).unwrap();
    }
}

/// Not a test by itself: asks for a key store with whatever D-Bus it was given.
#[test]
fn child() {
    let Some(home) = told_home() else { return };
    let started = Instant::now();
    match SqliteStore::open(&home, KeySource::Keyring).map(drop) {
        Err(StoreError::KeyUnavailable { detail, mend }) => println!("\nrefused: {detail}; {mend}"),
        other => panic!("{other:?}"),
    }
    assert!(started.elapsed() < NO_HANG, "{:?}", started.elapsed());
    assert!(!home.join("outlast.db").exists());
}

fn ask_at(address: &str) -> String {
    let folder = Folder::new();
    let child = support::child(&folder.home).env("DBUS_SESSION_BUS_ADDRESS", address).output().unwrap();
    let said = String::from_utf8_lossy(&child.stdout).into_owned();
    assert!(child.status.success(), "{said}");
    said.lines().find(|line| line.starts_with("refused: ")).unwrap().to_owned()
}

#[test]
fn f25_without_a_key_store_there_is_a_prompt_and_clear_refusal() {
    let said = ask_at("unix:path=/nonexistent/bus");
    assert!(said.contains("Secret Service"), "{said}");
}

#[test]
fn f25_a_key_store_that_hangs_is_not_waited_for() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("bus");
    // Takes connections, says nothing.
    let _bus = std::os::unix::net::UnixListener::bind(&socket).unwrap();
    let said = ask_at(&format!("unix:path={}", socket.display()));
    assert!(said.contains("did not answer within 2 s") || !cfg!(feature = "keyring"), "{said}");
}
