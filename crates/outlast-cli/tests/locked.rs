//! A store that another process keeps locked: whoever cannot wait for it says which process that is, and
//! nothing is lost.
#![allow(clippy::unwrap_used, clippy::disallowed_methods, missing_docs)]

mod support;

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use support::Bed;

/// A process in the middle of a transaction. What holds a lock does not matter, so it is none of ours.
struct Holder(Child);

impl Holder {
    fn of(database: &Path, transaction: &str) -> Self {
        let script = "import sqlite3, sys, time
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute('BEGIN ' + sys.argv[2])
print('held', flush=True)
time.sleep(600)";
        let mut child = Command::new("python3")
            .args(["-c", script])
            .arg(database)
            .arg(transaction)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        assert_eq!(line, "held\n");
        Self(child)
    }
}

impl Drop for Holder {
    fn drop(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

#[test]
fn who_keeps_the_store_locked_is_named_and_nothing_is_lost() {
    let bed = Bed::new();
    let issued = bed.import("crm");
    let database = bed.state().join("outlast.db");
    let holder = Holder::of(&database, "EXCLUSIVE");
    let number = holder.0.id().to_string();
    for arguments in [["token", "crm"].as_slice(), &["token", "crm", "--renew"], &["logout", "crm"]] {
        let told = bed.run(arguments);
        told.assert_failed(75, "store-busy");
        assert!(told.stderr.contains(&format!("process {number} keeps the store locked")), "{told:?}");
        assert!(told.stderr.contains(&format!("kill -CONT {number}")), "{told:?}");
    }
    let told = bed.run(&["doctor", "--offline"]);
    assert!(told.stdout.contains("store-busy") && told.stdout.contains(&number), "{told:?}");
    drop(holder);
    assert_eq!(bed.run(&["token", "crm"]).stdout.trim(), issued.access.as_str());
    assert_eq!(bed.run(&["token", "crm", "--renew"]).code, 0);
    let counters = bed.sandbox.counters();
    assert_eq!((counters.refreshes, counters.reuse_alarms), (1, 0), "{counters:?}");
}

#[test]
fn who_only_means_to_write_keeps_nobody_from_a_fresh_token() {
    let bed = Bed::new();
    let issued = bed.import("crm");
    let holder = Holder::of(&bed.state().join("outlast.db"), "IMMEDIATE");
    assert_eq!(bed.run(&["token", "crm"]).stdout.trim(), issued.access.as_str());
    let told = bed.run(&["token", "crm", "--renew"]);
    told.assert_failed(75, "store-busy");
    assert!(told.stderr.contains(&holder.0.id().to_string()), "{told:?}");
    assert_eq!(bed.sandbox.counters().refreshes, 0, "nothing is spent that could not be written down");
    drop(holder);
    assert_eq!(bed.run(&["token", "crm", "--renew"]).code, 0);
}
