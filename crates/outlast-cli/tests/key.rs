//! `outlast key rotate` with the real binary (F26).
#![allow(clippy::unwrap_used, clippy::disallowed_methods, missing_docs)]

mod support;

use outlast_testkit::canary::Kind as Canary;
use outlast_testkit::faults::{Faults, Kind, read_log};
use serde_json::json;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};
use support::judged::{Field, Serving, ask, signal};
use support::{Bed, Told};

const PATIENCE: Duration = Duration::from_secs(60);
/// So short that a sidecar renews between two changes of the key.
const LIFE_SECONDS: u64 = 3;
const CHANGES: usize = 4;

fn key(bed: &Bed) -> Vec<u8> {
    std::fs::read(bed.state().join("key-beside-data")).unwrap()
}

#[test]
fn f26_the_key_is_changed_and_said_to_be_and_the_grant_goes_on() {
    let bed = Bed::new();
    let issued = bed.import("crm");
    let before = key(&bed);
    bed.home.watch.plant(Canary::SealingKey, &before);
    let told = bed.run(&["key", "rotate", "--json"]);
    let expected =
        json!({ "rotated": true, "key_source": "file", "grants": 1, "set_aside": 0, "tasks": 0, "damaged": 0 });
    assert_eq!((told.code, told.json()), (0, expected), "{told:?}");
    assert_ne!(key(&bed), before);
    let told = bed.run(&["key", "rotate"]);
    assert!(told.stdout.contains("new key") && told.stdout.contains("grants 1"), "{told:?}");
    assert_eq!((told.code, told.stderr.as_str()), (0, ""), "{told:?}");
    assert_eq!(bed.run(&["token", "crm"]).stdout.trim(), issued.access.as_str());
    assert_eq!(bed.run(&["token", "crm", "--renew"]).code, 0);
    assert_eq!(bed.sandbox.counters().reuse_alarms, 0);
}

#[test]
fn f26_where_there_is_no_store_there_is_no_key_to_change_and_none_is_made() {
    let bed = Bed::new();
    let told = bed.run(&["key", "rotate"]);
    assert!(told.code == 0 && told.stdout.contains("no store"), "{told:?}");
    assert_eq!(bed.run(&["key", "rotate", "--json"]).json(), json!({ "rotated": false }));
    assert!(!bed.state().exists());
}

#[test]
fn f26_a_passphrase_stays_the_same_and_what_is_made_of_it_is_another() {
    let bed = Bed::new();
    let file = bed.home().join("passphrase");
    std::fs::write(&file, "CANARY horse\n").unwrap();
    std::fs::set_permissions(&file, PermissionsExt::from_mode(0o600)).unwrap();
    let table = format!("\n[key]\nsource = \"passphrase\"\npassphrase = {{ file = {file:?} }}\n");
    bed.configure(&format!("{}{table}", bed.grant("crm")));
    let issued = bed.import("crm");
    let told = bed.run(&["key", "rotate"]);
    assert!(told.code == 0 && told.stdout.contains("passphrase is the same"), "{told:?}");
    assert_eq!(bed.run(&["token", "crm"]).stdout.trim(), issued.access.as_str());
}

#[test]
fn f26_a_key_that_cannot_be_had_is_told_and_nothing_is_changed() {
    let bed = Bed::new();
    bed.import("crm");
    let path = bed.state().join("key-beside-data");
    let kept = key(&bed);
    std::fs::remove_file(&path).unwrap();
    bed.run(&["key", "rotate"]).assert_failed(78, "key-unavailable");
    assert!(!path.exists() && !bed.state().join("key-beside-data.new").exists());
    std::fs::write(&path, kept).unwrap();
    std::fs::set_permissions(&path, PermissionsExt::from_mode(0o600)).unwrap();
    assert_eq!(bed.run(&["token", "crm"]).code, 0);
}

/// A renewal that hangs keeps its lease: the change waits for it, and then says for whom.
#[test]
fn f26_a_renewal_that_does_not_end_is_not_overtaken() {
    let field = Field::new(&["crm".to_owned()]);
    field.import("crm", &json!({ "name": "crm", "life": 3600 }));
    field.judge.fault(&json!({ "kind": "hold", "seconds": 4 }));
    let renewing = field.command("renewing", &["token", "crm", "--renew"]).spawn().unwrap();
    assert!(field.events.wait(0, PATIENCE, |event| event.client == "renewing").is_some());
    signal(&renewing, "STOP");
    let output = field.output("rotate", &["key", "rotate"]);
    signal(&renewing, "CONT");
    let told = Told::of(output);
    told.assert_failed(75, "store-busy");
    // It may have been stopped in the middle of a transaction, too: then nobody can read.
    let number = renewing.id().to_string();
    assert!(told.stderr.contains("crm") || told.stderr.contains(&number), "{told:?}");
    field.ended(renewing);
}

#[test]
fn f26_a_running_sidecar_goes_on_renewing_while_the_key_is_changed() {
    let field = Field::new(&["crm".to_owned()]);
    field.import("crm", &json!({ "name": "crm", "life": LIFE_SECONDS }));
    let mut sidecar = Serving::serve(&field, "sidecar");
    for _ in 0..CHANGES {
        let held = token(&sidecar);
        let told = Told::of(field.output("rotate", &["key", "rotate", "--json"]));
        assert_eq!(told.json()["rotated"], true, "{told:?}");
        let deadline = Instant::now() + PATIENCE;
        // Renewed by the process that was there before the change.
        while token(&sidecar) <= held {
            assert!(Instant::now() < deadline, "it renews no more");
            std::thread::sleep(Duration::from_millis(50));
        }
    }
    let (generation, seen) = (token(&sidecar), field.judge.seen("crm"));
    assert!(seen.alive && seen.reuses == 0, "{seen:?}");
    // What it wrote opens in a process that knows the new key alone.
    assert!(field.status("crm")["generation"].as_u64().unwrap() >= generation);
    signal(&sidecar.child, "TERM");
    assert!(sidecar.child.wait().unwrap().success());
    let told = Told::of(field.output("after", &["token", "crm", "--renew", "--json"]));
    assert_eq!(told.code, 0, "{told:?}");
}

/// The generation that the sidecar serves.
fn token(sidecar: &Serving) -> u64 {
    let (status, answer) = ask(&sidecar.socket, "/v1/grants/crm/token").unwrap();
    assert_eq!(status, 200, "{answer}");
    answer["generation"].as_u64().unwrap()
}

#[test]
fn f26_the_command_is_killed_at_every_change_on_the_disk_and_the_grant_goes_on() {
    let bed = Bed::new();
    let issued = bed.import("crm");
    let template = bed.home().join("template");
    copy(&bed.state(), &template);
    let faults = Faults::build(bed.home());
    let rotate = |fault: Option<(u64, Kind)>, log: Option<&Path>| {
        let _absent_at_first = std::fs::remove_dir_all(bed.state());
        copy(&template, &bed.state());
        let mut command = bed.command(&["key", "rotate"]);
        faults.put_into(&mut command, &bed.state(), fault, log);
        Told::of(command.output().unwrap())
    };
    let log = bed.home().join("log");
    assert_eq!(rotate(None, Some(&log)).code, 0);
    let operations = read_log(&log, false).unwrap();
    // Each file, folder and name: of the writes to one file in a row, the first.
    let changes = operations.iter().zip(operations.iter().skip(1)).filter(|(before, operation)| {
        operation.changes && (before.name != operation.name || before.path != operation.path)
    });
    let mut killed = 0;
    for (_, operation) in changes {
        let told = rotate(Some((operation.number, Kind::CrashBefore)), None);
        assert_eq!(told.code, -1, "{operation:?} {told:?}");
        let served = bed.run(&["token", "crm"]);
        assert_eq!((served.code, served.stdout.trim()), (0, issued.access.as_str()), "{operation:?} {served:?}");
        let again = bed.run(&["key", "rotate", "--json"]);
        assert_eq!(again.json()["grants"], 1, "{operation:?} {again:?}");
        assert!(!bed.state().join("key-beside-data.new").exists(), "{operation:?}");
        assert_eq!(bed.run(&["token", "crm"]).stdout, served.stdout, "{operation:?}");
        killed += 1;
    }
    assert!(killed > 20, "{killed}");
}

fn copy(from: &Path, to: &Path) {
    let copied = Command::new("cp").arg("-a").args([from, to]).status().unwrap();
    assert!(copied.success());
}
