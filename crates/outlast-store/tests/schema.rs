//! Stores of every schema there ever was are opened, and keep what is in them.
//!
//! `tests/fixtures/schema-N` is a store that the version with schema N wrote. Whoever raises the
//! schema writes the next one: `OUTLAST_WRITE_FIXTURE=1 cargo test -p outlast-store --test schema`.

#![allow(clippy::disallowed_methods, reason = "children are told by environment; files are damaged on purpose")]
#![allow(clippy::unwrap_used, clippy::print_stdout, missing_docs)]

mod support;

use outlast_core::{Generation, Grant, Secret, StoreError, TokenStore};
use outlast_testkit::contract::token_store::all_kinds;
use outlast_testkit::faults::{Faults, Kind, read_log};
use rusqlite::Connection;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use support::{Folder, PATIENCE, grant, id, open, put, runtime, told_home};

/// The schema of this version.
const NOW: u32 = 2;

const FILES: [&str; 2] = ["key-beside-data", "outlast.db"];

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures")
}

/// One grant of every kind there is, each under a name of its own, and one that was forgotten.
fn kept() -> Vec<Grant> {
    let named = |(number, grant): (usize, Grant)| Grant { id: id(&format!("kind-{number:02}")), ..grant };
    all_kinds().into_iter().enumerate().map(named).collect()
}

/// Not a test by itself: writes the fixture of this version's schema when it is told to.
#[test]
fn write_the_fixture_of_this_schema() {
    if std::env::var_os("OUTLAST_WRITE_FIXTURE").is_none() {
        return;
    }
    let folder = Folder::new();
    let store = folder.open();
    runtime().block_on(async {
        for grant in kept() {
            put(&store, 0, &grant).await.unwrap();
        }
        put(&store, 0, &grant("forgotten", 1)).await.unwrap();
        let lease = store.lease(&id("forgotten"), PATIENCE).await.unwrap();
        store.forget(&lease, Generation(1)).await.unwrap();
    });
    let target = fixtures().join(format!("schema-{}", schema(&folder.database())));
    std::fs::create_dir_all(&target).unwrap();
    for name in FILES {
        std::fs::copy(folder.home.join(name), target.join(name)).unwrap();
    }
}

fn schema(database: &Path) -> u32 {
    Connection::open(database).unwrap().query_row("PRAGMA user_version", [], |row| row.get(0)).unwrap()
}

/// A store that the version with that schema wrote.
fn of_schema(number: u32) -> Folder {
    let folder = Folder::new();
    let private = |path: &Path, mode| std::fs::set_permissions(path, PermissionsExt::from_mode(mode)).unwrap();
    std::fs::create_dir(&folder.home).unwrap();
    private(&folder.home, 0o700);
    for name in FILES {
        let path = folder.home.join(name);
        std::fs::copy(fixtures().join(format!("schema-{number}")).join(name), &path).unwrap();
        private(&path, 0o600);
    }
    folder
}

/// Whether everything that the fixtures hold is there.
fn assert_kept(home: &Path) {
    let store = open(home);
    let names = store.list_blocking().unwrap();
    assert!(names.len() >= 18 && names.iter().all(|name| name.as_str().starts_with("kind-")), "{names:?}");
    for name in &names {
        let held = store.load_blocking(name).unwrap().unwrap();
        assert_eq!((held.generation, held.grant_type.as_str()), (Generation(1), "refresh_token"), "{name}");
        let tokens = held.tokens.unwrap();
        let known = [Secret::new("access-crm-1"), Secret::new("access\u{7f}\0")];
        assert!(known.contains(&tokens.access), "{name}");
    }
}

#[test]
fn f27_a_store_of_every_older_schema_is_opened_brought_up_to_date_and_kept_as_it_was() {
    for number in 1..=NOW {
        let folder = of_schema(number);
        let before = std::fs::read(folder.database()).unwrap();
        assert_eq!(schema(&folder.database()), number, "the fixture");
        assert_kept(&folder.home);
        assert_eq!(schema(&folder.database()), NOW, "from {number}");
        assert_kept(&folder.home);
        let backup = folder.home.join(format!("outlast.db.schema-{number}"));
        assert_eq!(backup.exists(), number < NOW, "from {number}");
        if number < NOW {
            assert_eq!(std::fs::metadata(&backup).unwrap().permissions().mode() & 0o7777, 0o600);
            std::fs::rename(&backup, folder.database()).unwrap();
            assert_eq!(schema(&folder.database()), number, "the backup is what was there");
            assert_kept(&folder.home);
        } else {
            assert_eq!(std::fs::read(folder.database()).unwrap(), before, "nothing is to be done");
        }
        runtime().block_on(async {
            let store = folder.open();
            put(&store, 1, &Grant { id: id("kind-00"), ..grant("crm", 2) }).await.unwrap();
            assert_eq!(store.copied(&id("kind-00")).await.unwrap(), None);
        });
    }
}

#[test]
fn f15_a_store_that_was_brought_up_to_date_is_at_home_where_that_was_done() {
    let folder = of_schema(1);
    let store = folder.open();
    runtime().block_on(async { assert_eq!(store.copied(&id("kind-00")).await.unwrap(), None) });
}

#[test]
fn f27_a_store_that_is_in_use_is_left_as_it_is_and_used_all_the_same() {
    let folder = of_schema(1);
    let connection = Connection::open(folder.database()).unwrap();
    // What an older version does while it renews: hold a lease, and no lock of the database.
    let lock = std::fs::DirBuilder::new().create(folder.home.join("locks")).and_then(|()| {
        std::fs::set_permissions(folder.home.join("locks"), PermissionsExt::from_mode(0o700))?;
        let path = folder.home.join("locks/kind-03.lock");
        let file = std::fs::File::create(&path)?;
        std::fs::set_permissions(&path, PermissionsExt::from_mode(0o600))?;
        file.lock().map(|()| file)
    });
    assert_kept(&folder.home);
    let store = folder.open();
    runtime().block_on(async {
        put(&store, 1, &Grant { id: id("kind-00"), ..grant("crm", 2) }).await.unwrap();
        assert_eq!(store.copied(&id("kind-00")).await.unwrap(), None, "nobody knows");
    });
    assert_eq!(schema(&folder.database()), 1);
    drop((lock, connection));
    folder.open();
    assert_eq!(schema(&folder.database()), NOW);
}

/// What an older version sees: the number that it does not know, in the transaction it looks in.
#[test]
fn f27_a_running_older_version_sees_the_new_number_in_the_file_it_has_open() {
    let folder = of_schema(1);
    let older = Connection::open(folder.database()).unwrap();
    let seen = || older.query_row("PRAGMA user_version", [], |row| row.get::<_, u32>(0)).unwrap();
    assert_eq!(seen(), 1);
    folder.open();
    assert_eq!(seen(), NOW);
}

/// Every state that a crash can leave before the commit, which SQLite makes whole by itself.
#[test]
fn f27_what_an_interrupted_attempt_left_is_no_obstacle() {
    let leftovers: [&[(&str, &[u8])]; 3] = [
        &[("outlast.db.schema-1.new", b"")],
        &[("outlast.db.schema-1.new", b"torn")],
        &[("outlast.db.schema-1", b"whole, as far as anybody knows")],
    ];
    for left in leftovers {
        let folder = of_schema(1);
        for (name, bytes) in left {
            std::fs::write(folder.home.join(name), bytes).unwrap();
        }
        assert_kept(&folder.home);
        assert_eq!(schema(&folder.database()), NOW, "{left:?}");
        assert_eq!(schema(&folder.home.join("outlast.db.schema-1")), 1, "{left:?}");
        assert!(!folder.home.join("outlast.db.schema-1.new").exists());
    }
}

/// Not a test by itself: opens the store it is told.
#[test]
fn child() {
    let Some(home) = told_home() else { return };
    open(&home);
}

#[test]
fn f27_a_fault_at_any_step_of_bringing_a_store_up_to_date_loses_nothing() {
    let library = tempfile::tempdir().unwrap();
    let faults = Faults::build(library.path());
    let log = library.path().join("log");
    let run = |fault| {
        let folder = of_schema(1);
        let mut command = support::child(&folder.home);
        faults.put_into(&mut command, &folder.home, fault, Some(&log));
        command.output().unwrap();
        folder
    };
    let whole = run(None);
    assert_eq!(schema(&whole.database()), NOW);
    let operations = read_log(&log, false).unwrap();
    let (mut cases, mut older) = (0, 0);
    for operation in &operations {
        for kind in Kind::EACH.into_iter().filter(|kind| kind.applies_to(operation)) {
            let folder = run(Some((operation.number, kind)));
            cases += 1;
            older += u32::from(schema(&folder.database()) == 1);
            assert_kept(&folder.home);
            assert_eq!(schema(&folder.database()), NOW, "the next one finishes it: {operation:?} {kind:?}");
        }
    }
    println!(
        "{} operations, {cases} faults, after {older} of them the store was still the older one",
        operations.len()
    );
    assert!(cases > 100 && older > 20 && older < cases);
}

#[test]
fn f27_a_damaged_older_store_is_told_and_not_changed() {
    let folder = of_schema(1);
    let mut bytes = std::fs::read(folder.database()).unwrap();
    bytes.truncate(20_000);
    std::fs::write(folder.database(), &bytes).unwrap();
    let refused = outlast_store::SqliteStore::open(&folder.home, outlast_store::KeySource::File).map(drop);
    assert!(matches!(refused, Ok(()) | Err(StoreError::Corrupt { .. })), "{refused:?}");
    assert_eq!(std::fs::read(folder.database()).unwrap(), bytes);
}
