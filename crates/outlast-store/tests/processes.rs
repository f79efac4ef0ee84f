//! Several real processes on one store.

#![allow(clippy::disallowed_methods, reason = "children are told by environment; files are damaged on purpose")]
#![allow(clippy::unwrap_used, clippy::print_stdout, missing_docs)]

mod support;

use outlast_core::{Generation, StoreError, TokenStore};
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, Stdio};
use std::time::Duration;
use support::{Folder, PATIENCE, grant, id, increment, open, put, runtime, told_home};

const PROCESSES: u64 = 8;
const TIMES: u64 = 25;
const JOB: &str = "OUTLAST_TEST_CHILD_JOB";

/// Not a test by itself: what the children of the tests below do.
#[test]
fn child() {
    let Some(home) = told_home() else { return };
    let job = std::env::var(JOB).unwrap();
    runtime().block_on(async {
        match job.split_once(' ').unwrap() {
            ("increment", name) => {
                let store = open(&home);
                for _ in 0..TIMES {
                    increment(&store, &id(name)).await.unwrap();
                }
            }
            ("hold", name) => {
                let store = open(&home);
                let _lease = store.lease(&id(name), PATIENCE).await.unwrap();
                println!("held");
                std::io::stdout().flush().unwrap();
                std::thread::sleep(PATIENCE);
            }
            (job, _) => panic!("no such job: {job}"),
        }
    });
}

fn start(folder: &Folder, job: &str) -> Child {
    support::child(&folder.home).env(JOB, job).stdout(Stdio::piped()).spawn().unwrap()
}

#[test]
fn d02_no_update_of_eight_processes_is_lost() {
    let folder = Folder::new();
    // All eight also race to make the store.
    let children: Vec<_> = (0..PROCESSES).map(|_| start(&folder, "increment crm")).collect();
    for child in children {
        assert!(child.wait_with_output().unwrap().status.success());
    }
    let found = folder.read("crm").unwrap().unwrap();
    assert_eq!(found, grant("crm", PROCESSES * TIMES));
}

#[test]
fn processes_that_write_different_grants_do_not_disturb_one_another() {
    let folder = Folder::new();
    let children: Vec<_> = (0..PROCESSES).map(|number| start(&folder, &format!("increment g{number}"))).collect();
    for child in children {
        assert!(child.wait_with_output().unwrap().status.success());
    }
    for number in 0..PROCESSES {
        let name = format!("g{number}");
        assert_eq!(folder.read(&name).unwrap().unwrap(), grant(&name, TIMES));
    }
}

#[test]
fn f13_a_lease_excludes_other_processes_and_ends_with_its_holder() {
    let folder = Folder::new();
    let store = folder.open();
    let mut holder = start(&folder, "hold crm");
    let mut lines = BufReader::new(holder.stdout.take().unwrap()).lines();
    assert!(lines.any(|line| line.unwrap().contains("held")));
    runtime().block_on(async {
        let refused = store.lease(&id("crm"), Duration::from_millis(50)).await;
        assert!(matches!(refused, Err(StoreError::Busy { .. })), "{refused:?}");
        holder.kill().unwrap();
        holder.wait().unwrap();
        assert!(store.lease(&id("crm"), PATIENCE).await.is_ok());
    });
}

#[test]
fn f13_a_lock_file_that_was_removed_excludes_nobody_but_its_successor_does() {
    let folder = Folder::new();
    let store = folder.open();
    runtime().block_on(async {
        let old = store.lease(&id("crm"), PATIENCE).await.unwrap();
        std::fs::remove_file(folder.home.join("locks/crm.lock")).unwrap();
        // The old holder's lock has no name any more: the next one gets in, and fences it off.
        let new = store.lease(&id("crm"), PATIENCE).await.unwrap();
        store.commit(&new, Generation(0), &grant("crm", 1)).await.unwrap();
        let late = store.commit(&old, Generation(0), &grant("crm", 1)).await;
        assert!(matches!(late, Err(StoreError::Fenced { .. })), "{late:?}");
        let third = store.lease(&id("crm"), Duration::ZERO).await;
        assert!(matches!(third, Err(StoreError::Busy { .. })), "{third:?}");
    });
}

#[test]
fn f11_a_holder_whose_lock_file_was_cleaned_away_is_told_so() {
    let folder = Folder::new();
    let store = folder.open();
    let lock = folder.home.join("locks/crm.lock");
    runtime().block_on(async {
        let lease = store.lease(&id("crm"), PATIENCE).await.unwrap();
        assert!(lease.watch().is_held());
        std::fs::rename(&lock, folder.home.join("locks/aside")).unwrap();
        assert!(!lease.watch().is_held(), "removed");
        let next = store.lease(&id("crm"), PATIENCE).await.unwrap();
        assert!(next.watch().is_held() && !lease.watch().is_held(), "replaced");
        drop(next);
        std::fs::rename(folder.home.join("locks/aside"), &lock).unwrap();
        assert!(lease.watch().is_held(), "put back, and still locked by us");
    });
}

#[test]
fn a_cleaner_that_removes_the_whole_lock_folder_stops_nothing() {
    let folder = Folder::new();
    let store = folder.open();
    std::fs::remove_dir_all(folder.home.join("locks")).unwrap();
    runtime().block_on(put(&store, 0, &grant("crm", 1))).unwrap();
    assert_eq!(folder.read("crm").unwrap(), Some(grant("crm", 1)));
}
