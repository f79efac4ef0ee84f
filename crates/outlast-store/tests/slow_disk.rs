//! A disk on which everything takes seconds: what needs none of it goes on.

#![allow(clippy::disallowed_methods, reason = "children are told by environment; the test measures itself")]
#![allow(clippy::unwrap_used, missing_docs)]

mod support;

use outlast_core::{Outage, Timestamp, TokenStore};
use outlast_testkit::faults::{Faults, Kind};
use std::time::{Duration, Instant};
use support::{Folder, PATIENCE, grant, id, open, put, runtime, told_home};

/// An operation on the slow disk takes two seconds.
const HELD_UP_MAX: Duration = Duration::from_millis(1500);
const TICK: Duration = Duration::from_millis(20);

/// Not a test by itself: works with a store on a slow disk, on a runtime of one thread.
#[test]
fn child() {
    let Some(home) = told_home() else { return };
    let store = open(&home);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_time().build().unwrap();
    let working = runtime.spawn(async move {
        let began = Instant::now();
        store
            .outage("https://as.example", &|_| Outage { failures: 4, next_at: Timestamp::from_secs(4) })
            .await
            .unwrap();
        drop(store.lease(&id("other"), PATIENCE).await.unwrap());
        assert_eq!(store.load(&id("crm")).await.unwrap(), Some(grant("crm", 1)));
        assert!(began.elapsed() > 2 * HELD_UP_MAX, "the disk was not slow");
    });
    let began = Instant::now();
    let longest = runtime.block_on(runtime.spawn(async move {
        let (mut longest, mut last) = (Duration::ZERO, began);
        while !working.is_finished() {
            tokio::time::sleep(TICK).await;
            longest = longest.max(last.elapsed());
            last = Instant::now();
        }
        working.await.unwrap();
        longest
    }));
    assert!(longest.unwrap() < HELD_UP_MAX, "somebody who needs no disk waited for it");
}

#[test]
fn f20_nobody_waits_for_a_slow_disk_who_needs_nothing_of_it() {
    let folder = Folder::new();
    runtime().block_on(put(&folder.open(), 0, &grant("crm", 1))).unwrap();
    let library = tempfile::tempdir().unwrap();
    let mut child = support::child(&folder.home);
    Faults::build(library.path()).put_into(&mut child, &folder.home, Some((1, Kind::SlowAll)), None);
    let output = child.output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
}
