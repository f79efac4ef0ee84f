//! What is on disk is not always what was written.

#![allow(clippy::disallowed_methods, reason = "children are told by environment; files are damaged on purpose")]
#![allow(clippy::unwrap_used, missing_docs)]

mod support;

use outlast_core::{Copied, Generation, StoreError, TokenStore};
use outlast_store::{KeySource, SqliteStore};
use rusqlite::{Connection, params};
use support::{Folder, PATIENCE, grant, id, put, runtime};

fn made() -> Folder {
    let folder = Folder::new();
    runtime().block_on(async {
        let store = folder.open();
        put(&store, 0, &grant("crm", 1)).await.unwrap();
        put(&store, 0, &grant("other", 1)).await.unwrap();
    });
    folder
}

fn sealed(folder: &Folder, name: &str) -> Vec<u8> {
    let connection = Connection::open(folder.database()).unwrap();
    connection.query_row("SELECT sealed FROM grants WHERE name = ?", [name], |row| row.get(0)).unwrap()
}

fn execute(folder: &Folder, sql: &str) {
    Connection::open(folder.database()).unwrap().execute_batch(sql).unwrap();
}

fn assert_corrupt(folder: &Folder, what: &str) {
    match folder.read("crm") {
        Err(StoreError::Corrupt { detail }) => {
            assert!(!detail.contains("access-") && !detail.contains("refresh-"), "{what}: {detail}");
        }
        other => panic!("{what}: {other:?}"),
    }
    assert_eq!(folder.read("other").unwrap(), Some(grant("other", 1)), "{what}: others go on working");
}

#[test]
fn nothing_in_the_folder_shows_a_token() {
    let folder = made();
    for entry in std::fs::read_dir(&folder.home).unwrap().map(Result::unwrap) {
        let Ok(bytes) = std::fs::read(entry.path()) else { continue };
        for secret in ["access-crm", "refresh-crm", "access-other", "refresh-other"] {
            assert!(!bytes.windows(secret.len()).any(|window| window == secret.as_bytes()), "{entry:?}");
        }
    }
}

#[test]
fn f24_a_flipped_byte_of_a_record_is_noticed_wherever_it_is() {
    let folder = made();
    let whole = sealed(&folder, "crm");
    let connection = Connection::open(folder.database()).unwrap();
    connection.pragma_update(None, "synchronous", "OFF").unwrap();
    for position in 0..whole.len() {
        let mut flipped = whole.clone();
        flipped[position] ^= 0x40;
        connection.execute("UPDATE grants SET sealed = ? WHERE name = 'crm'", [flipped]).unwrap();
        if position == 0 {
            assert!(matches!(folder.read("crm"), Err(StoreError::TooNew { .. })), "the format's own byte");
        } else {
            assert_corrupt(&folder, &format!("byte {position}"));
        }
    }
}

#[test]
fn f24_a_cut_record_is_noticed_wherever_it_is_cut() {
    let folder = made();
    let whole = sealed(&folder, "crm");
    let connection = Connection::open(folder.database()).unwrap();
    connection.pragma_update(None, "synchronous", "OFF").unwrap();
    for length in (0..whole.len()).step_by(7).chain([whole.len() - 1]) {
        connection.execute("UPDATE grants SET sealed = ? WHERE name = 'crm'", [&whole[..length]]).unwrap();
        assert_corrupt(&folder, &format!("{length} bytes"));
    }
}

#[test]
fn f28_a_record_under_another_name_generation_or_epoch_is_noticed() {
    for sql in [
        "UPDATE grants SET sealed = (SELECT sealed FROM grants WHERE name = 'other') WHERE name = 'crm'",
        "UPDATE grants SET generation = 2 WHERE name = 'crm'",
        "UPDATE grants SET generation = -1 WHERE name = 'crm'",
        "UPDATE grants SET epoch = 0 WHERE name = 'crm'",
        "UPDATE grants SET epoch = epoch + 1 WHERE name = 'crm'",
    ] {
        let folder = made();
        execute(&folder, sql);
        assert_corrupt(&folder, sql);
    }
}

#[test]
fn f28_a_record_of_another_store_is_noticed_even_under_the_same_key() {
    let (folder, other) = (made(), Folder::new());
    std::fs::DirBuilder::new().create(&other.home).unwrap();
    std::fs::set_permissions(&other.home, std::os::unix::fs::PermissionsExt::from_mode(0o700)).unwrap();
    std::fs::copy(folder.home.join("key-beside-data"), other.home.join("key-beside-data")).unwrap();
    runtime().block_on(put(&other.open(), 0, &grant("crm", 1))).unwrap();
    let connection = Connection::open(folder.database()).unwrap();
    connection.execute("UPDATE grants SET sealed = ? WHERE name = 'crm'", params![sealed(&other, "crm")]).unwrap();
    assert_corrupt(&folder, "a record of another store");
}

#[test]
fn f28_a_record_put_back_under_a_running_process_is_noticed() {
    let folder = made();
    let store = folder.open();
    runtime().block_on(async {
        let old = sealed(&folder, "crm");
        put(&store, 1, &grant("crm", 2)).await.unwrap();
        assert_eq!(store.load(&id("crm")).await.unwrap(), Some(grant("crm", 2)));
        let connection = Connection::open(folder.database()).unwrap();
        let sql = "UPDATE grants SET generation = 1, epoch = 1, sealed = ? WHERE name = 'crm'";
        connection.execute(sql, [old]).unwrap();
        assert_eq!(store.copied(&id("crm")).await.unwrap(), Some(Copied::PutBack));
        // Known by the note beside the database to whoever starts later, too.
        assert_eq!(folder.open().copied(&id("crm")).await.unwrap(), Some(Copied::PutBack));
        connection.execute("DELETE FROM grants WHERE name = 'crm'", []).unwrap();
        assert!(matches!(store.load(&id("crm")).await, Err(StoreError::Corrupt { .. })), "removed");
    });
}

#[test]
fn f24_a_damaged_record_can_be_set_aside_and_the_grant_given_again() {
    let folder = made();
    execute(&folder, "UPDATE grants SET sealed = x'00' WHERE name = 'crm'");
    let store = folder.open();
    runtime().block_on(async {
        let lease = store.lease(&id("crm"), PATIENCE).await.unwrap();
        store.set_aside(&lease).await.unwrap();
        assert_eq!(store.load(&id("crm")).await.unwrap(), None);
        store.commit(&lease, Generation(0), &grant("crm", 1)).await.unwrap();
    });
    assert_eq!(folder.read("crm").unwrap(), Some(grant("crm", 1)));
    assert_eq!(folder.read("other").unwrap(), Some(grant("other", 1)));
}

#[test]
fn d02_what_is_forgotten_is_kept_aside_sealed_for_thirty_days() {
    let folder = made();
    let kept = sealed(&folder, "crm");
    let store = folder.open();
    let aside = |name: &str| -> Vec<Vec<u8>> {
        let connection = Connection::open(folder.database()).unwrap();
        let mut statement = connection.prepare("SELECT sealed FROM quarantine WHERE name = ?").unwrap();
        statement.query_map([name], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
    };
    runtime().block_on(async {
        let lease = store.lease(&id("crm"), PATIENCE).await.unwrap();
        store.forget(&lease, Generation(1)).await.unwrap();
        assert_eq!(aside("crm"), [kept]);
        execute(&folder, "UPDATE quarantine SET kept_since = unixepoch() - 31 * 86400");
        let lease = store.lease(&id("other"), PATIENCE).await.unwrap();
        store.forget(&lease, Generation(1)).await.unwrap();
        assert_eq!((aside("crm").len(), aside("other").len()), (0, 1));
    });
}

#[test]
fn f24_no_flipped_byte_of_the_file_ever_yields_another_grant() {
    let folder = made();
    let whole = std::fs::read(folder.database()).unwrap();
    let mut readable = 0;
    for position in (0..whole.len()).step_by(37) {
        let mut flipped = whole.clone();
        flipped[position] ^= 0xff;
        std::fs::write(folder.database(), &flipped).unwrap();
        // A row may seem not to be there: SQLite has no checksums. What is returned must be right.
        if let Ok(Some(found)) = folder.read("crm") {
            assert_eq!(found, grant("crm", 1), "byte {position}");
            readable += 1;
        }
    }
    assert!(readable > 0, "flips elsewhere in the file do no harm");
}

#[test]
fn f24_an_emptied_or_torn_database_is_refused_and_not_made_anew() {
    let folder = made();
    let whole = std::fs::read(folder.database()).unwrap();
    for length in [0, 1, 100, 4096, whole.len() / 2] {
        std::fs::write(folder.database(), &whole[..length]).unwrap();
        let refused = SqliteStore::open(&folder.home, KeySource::File).map(drop);
        let readable = length > 4096 && refused.is_ok();
        assert!(readable || matches!(refused, Err(StoreError::Corrupt { .. })), "{length}: {refused:?}");
        assert_eq!(std::fs::read(folder.database()).unwrap(), &whole[..length], "{length}: nothing was touched");
    }
}

#[test]
fn f27_a_store_of_a_newer_version_is_refused_and_not_touched() {
    let folder = made();
    execute(&folder, "PRAGMA user_version = 7");
    let before = std::fs::read(folder.database()).unwrap();
    let refused = SqliteStore::open(&folder.home, KeySource::File).map(drop);
    assert!(matches!(refused, Err(StoreError::TooNew { found: 7, known: 2 })), "{refused:?}");
    assert!(matches!(folder.read("crm"), Err(StoreError::TooNew { found: 7, known: 2 })));
    assert_eq!(std::fs::read(folder.database()).unwrap(), before);
}

#[test]
fn f27_a_running_process_stops_when_a_newer_version_takes_the_store_over() {
    let folder = made();
    let store = folder.open();
    runtime().block_on(async {
        let lease = store.lease(&id("crm"), PATIENCE).await.unwrap();
        execute(&folder, "PRAGMA user_version = 7");
        let refused = store.commit(&lease, Generation(1), &grant("crm", 2)).await;
        assert!(matches!(refused, Err(StoreError::TooNew { .. })), "{refused:?}");
        assert!(matches!(store.load(&id("crm")).await, Err(StoreError::TooNew { .. })));
    });
}

#[test]
fn a_trigger_smuggled_into_the_file_does_not_run() {
    let folder = made();
    execute(&folder, "CREATE TRIGGER copy AFTER UPDATE ON grants BEGIN DELETE FROM grants; END");
    let store = folder.open();
    runtime().block_on(put(&store, 1, &grant("crm", 2))).unwrap();
    assert_eq!(folder.read("crm").unwrap(), Some(grant("crm", 2)));
    assert_eq!(folder.read("other").unwrap(), Some(grant("other", 1)));
}
