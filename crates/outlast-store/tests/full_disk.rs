//! A disk that is full or read-only: what is there stays readable, what cannot be written is said.

#![allow(clippy::disallowed_methods, reason = "children are told by environment; files are damaged on purpose")]
#![allow(clippy::unwrap_used, clippy::print_stdout, missing_docs)]

mod support;

use outlast_core::{Generation, Grant, Secret, StoreError, TokenStore};
use outlast_store::{KeySource, SqliteStore};
use std::io::Write;
use std::path::Path;
use std::process::Command;
use support::{Folder, PATIENCE, grant, id, is_superuser, open, put, runtime, told_home};

const JOB: &str = "OUTLAST_TEST_CHILD_JOB";
const SKIP: i32 = 77;

/// Not a test by itself: runs one of the jobs below on a file system of its own.
#[test]
fn child() {
    let Some(home) = told_home() else { return };
    match std::env::var(JOB).unwrap().as_str() {
        "full" => a_full_disk(&home),
        "read-only" => a_read_only_disk(&home),
        "limited" => a_file_size_limit(&home),
        job => panic!("no such job: {job}"),
    }
}

/// Runs a job in a mount namespace of its own, with a small file system in memory at `{0}/disk`.
fn on_small_disk(test: &str, job: &str) {
    if !is_superuser(test) {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let disk = folder.path().join("disk");
    std::fs::create_dir(&disk).unwrap();
    let script = format!("mount -t tmpfs -o size=2m none \"$DISK\" || exit {SKIP}; exec \"$0\" \"$@\"");
    let child = support::child(&disk.join("home"));
    let output = Command::new("unshare")
        .args(["--mount", "sh", "-c", &script])
        .arg(child.get_program())
        .args(child.get_args())
        .env(support::HOME, disk.join("home"))
        .env(JOB, job)
        .env("DISK", &disk)
        .output();
    match output {
        Ok(output) if output.status.code() == Some(SKIP) => println!("SKIPPED {test}: mounting is not permitted"),
        Ok(output) => assert!(
            output.status.success(),
            "{}{}",
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        ),
        Err(cause) => println!("SKIPPED {test}: no unshare: {cause}"),
    }
}

#[test]
fn f20_f21_a_full_disk_takes_renewals_from_the_reserve_and_stays_readable() {
    on_small_disk("f20_f21_a_full_disk_takes_renewals_from_the_reserve_and_stays_readable", "full");
}

#[test]
fn f22_a_read_only_disk_is_readable_and_every_write_is_refused() {
    on_small_disk("f22_a_read_only_disk_is_readable_and_every_write_is_refused", "read-only");
}

fn large(generation: u64, bytes: usize) -> Grant {
    let mut large = grant("crm", generation);
    large.tokens.as_mut().unwrap().access = Secret::new("x".repeat(bytes));
    large
}

fn fill(disk: &Path, name: &str) {
    let mut filler = std::fs::File::create(disk.join(name)).unwrap();
    let chunk = vec![1; 4096];
    let full = std::iter::repeat_with(|| filler.write(&chunk)).find_map(Result::err).unwrap();
    assert_eq!(full.kind(), std::io::ErrorKind::StorageFull);
}

fn a_full_disk(home: &Path) {
    let disk = home.parent().unwrap();
    let store = open(home);
    let held = runtime().block_on(async {
        // The disk fills up before the first write ever: what is made with the store must suffice.
        drop(store.lease(&id("crm"), PATIENCE).await.unwrap());
        drop(store.lease(&id("other"), PATIENCE).await.unwrap());
        fill(disk, "filler");
        put(&store, 0, &grant("crm", 1)).await.unwrap();
        // Whoever filled it takes what is given back, too.
        fill(disk, "filler-again");
        for generation in 1..40 {
            put(&store, generation, &grant("crm", generation + 1)).await.unwrap();
        }
        put(&store, 40, &large(41, 30_000)).await.expect("the reserve takes a record that grows");
        let mut held = large(41, 30_000);
        let refused = loop {
            let next = large(held.generation.0 + 1, 30_000 * held.generation.0 as usize);
            match put(&store, held.generation.0, &next).await {
                Ok(()) => held = next,
                Err(refused) => break refused,
            }
        };
        assert!(matches!(&refused, StoreError::Unwritable { detail } if detail.contains("full")), "{refused:?}");
        assert_eq!(store.load(&id("crm")).await.unwrap(), Some(held.clone()), "nothing lost");
        held
    });
    // A new process on the still full disk.
    let again = open(home);
    assert_eq!(again.load_blocking(&id("crm")).unwrap(), Some(held.clone()));
    for name in ["filler", "filler-again"] {
        std::fs::remove_file(disk.join(name)).unwrap();
    }
    let generation = held.generation.0;
    runtime().block_on(async {
        put(&again, generation, &grant("crm", generation + 1)).await.unwrap();
        put(&again, 0, &grant("other", 1)).await.unwrap();
    });
    let connection = rusqlite::Connection::open(home.join("outlast.db")).unwrap();
    let reserve: i64 = connection.query_row("SELECT length(filler) FROM reserve", [], |row| row.get(0)).unwrap();
    assert_eq!(reserve, 65_536, "the reserve is put back once there is room");
}

fn a_read_only_disk(home: &Path) {
    let store = open(home);
    runtime().block_on(async {
        put(&store, 0, &grant("crm", 1)).await.unwrap();
        let disk = home.parent().unwrap();
        let held = store.lease(&id("crm"), PATIENCE).await.unwrap();
        // A file open for writing keeps a file system from becoming read-only: remount it over itself.
        let script = "mount --bind \"$0\" \"$0\" && mount -o remount,ro,bind \"$0\"";
        assert!(Command::new("sh").args(["-c", script]).arg(disk).status().unwrap().success());
        drop(held);
        let again = SqliteStore::open(home, KeySource::File).unwrap();
        assert_eq!(again.load(&id("crm")).await.unwrap(), Some(grant("crm", 1)));
        assert_eq!(again.list().await.unwrap(), [id("crm")]);
        assert_eq!(outlast_store::read_grant(home, &KeySource::File, &id("crm")).unwrap(), Some(grant("crm", 1)));
        for name in ["crm", "other"] {
            let refused = again.lease(&id(name), PATIENCE).await;
            assert!(matches!(&refused, Err(StoreError::Unwritable { .. })), "{refused:?}");
        }
        let lease = outlast_core::Lease::new(id("crm"), outlast_core::Fence(1), ());
        let refused = again.commit(&lease, Generation(1), &grant("crm", 2)).await;
        assert!(matches!(&refused, Err(StoreError::Unwritable { .. })), "{refused:?}");
        let made = SqliteStore::open(&disk.join("elsewhere"), KeySource::File).map(drop);
        assert!(matches!(&made, Err(StoreError::Unwritable { .. })), "{made:?}");
    });
}

/// The same failure without a mount, for those who are not the superuser: no file may grow.
#[test]
fn f20_a_write_that_the_system_refuses_loses_nothing() {
    let folder = Folder::new();
    let child = support::child(&folder.home);
    // In blocks of 512 bytes: 300 KiB, so that the store itself can be made.
    let script = "ulimit -f 600; trap '' XFSZ; exec \"$0\" \"$@\"";
    let output = Command::new("sh")
        .args(["-c", script])
        .arg(child.get_program())
        .args(child.get_args())
        .env(support::HOME, &folder.home)
        .env(JOB, "limited")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(folder.read("crm").unwrap(), Some(grant("crm", 1)));
    runtime().block_on(put(&folder.open(), 1, &large(2, 200_000))).unwrap();
}

fn a_file_size_limit(home: &Path) {
    let store = open(home);
    runtime().block_on(async {
        put(&store, 0, &grant("crm", 1)).await.unwrap();
        let refused = put(&store, 1, &large(2, 400_000)).await;
        assert!(matches!(&refused, Err(StoreError::Unwritable { .. })), "{refused:?}");
        assert_eq!(store.load(&id("crm")).await.unwrap(), Some(grant("crm", 1)));
        assert_eq!(store.lease(&id("crm"), PATIENCE).await.unwrap().fence().0, 1, "and the record has not moved");
    });
}
