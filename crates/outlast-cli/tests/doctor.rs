//! What `outlast doctor` finds of each thing that stands, with the real binary.
#![allow(clippy::unwrap_used, clippy::disallowed_methods, clippy::print_stdout, missing_docs)]

mod support;

use outlast_sandbox::{Fault, Lasting};
use serde_json::Value;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::os::unix::net::UnixListener;
use std::process::Command;
use support::{Bed, Told};

/// What is said of one check; nothing if all is well with it.
fn fault(told: &Told, check: &str) -> Option<Value> {
    let checks = told.json()["checks"].as_array().unwrap().clone();
    let found = checks.into_iter().find(|found| found["check"] == check);
    found.unwrap_or_else(|| panic!("no check {check}: {told:?}")).get("code").cloned()
}

fn doctor(bed: &Bed) -> Told {
    bed.run(&["doctor", "--offline", "--json"])
}

/// `doctor` and `status` agree on the code, and `doctor` ends with it.
fn assert_stands(bed: &Bed, exit: i32, standing: &str, code: &str) -> Told {
    let told = doctor(bed);
    assert_eq!((told.code, fault(&told, "grant crm")), (exit, Some(code.into())), "{told:?}");
    let status = bed.run(&["status", "crm", "--json"]).json();
    assert_eq!((&status["standing"], &status["code"]), (&standing.into(), &code.into()), "{status}");
    assert!(!told.stdout.contains("CANARY"), "{told:?}");
    told
}

#[test]
fn a_grant_that_stands_well_is_no_fault_and_one_that_nobody_gave_is() {
    let bed = Bed::new();
    bed.import("crm");
    let told = doctor(&bed);
    assert_eq!((told.code, fault(&told, "grant crm")), (0, None), "{told:?}");
    let other = bed.grant("other");
    bed.configure(&format!("{}{}", other.split_once("[proxy]").unwrap().0, bed.grant("crm")));
    let told = doctor(&bed);
    assert_eq!((told.code, fault(&told, "grant other")), (77, Some("needs-user".into())), "{told:?}");
    assert!(told.stdout.contains("outlast import other"), "{told:?}");
}

#[test]
fn what_was_lost_for_good_is_said_in_words_when_and_how_to_sign_in_again() {
    let bed = Bed::new();
    let issued = bed.import("crm");
    // R3: the answer is lost behind the rotation, and the server gives no grace.
    bed.sandbox.fault(Fault::LostAnswer, Lasting::Times(1));
    for _ in 0..4 {
        if bed.run(&["status", "crm", "--json"]).json()["standing"] == "parked" {
            break;
        }
        bed.run(&["token", "crm", "--renew"]);
    }
    let told = assert_stands(&bed, 77, "parked", "lost-rotation");
    let text = bed.run(&["doctor", "--offline"]).stdout;
    for words in ["the answer to a renewal was lost", "since 2", "outlast import crm", "docs/errors/lost-rotation.md"] {
        assert!(text.contains(words), "{words:?}: {text}");
    }
    assert!(!told.stdout.contains(&issued.refresh), "{told:?}");
}

#[test]
fn a_dead_grant_and_a_server_that_is_down_are_told() {
    let bed = Bed::new();
    bed.import("crm");
    bed.sandbox.fault(Fault::Unavailable, Lasting::UntilCleared);
    bed.run(&["token", "crm", "--renew"]);
    let told = doctor(&bed);
    assert_eq!(told.code, 75, "{told:?}");
    assert!(fault(&told, "grant crm").is_some(), "{told:?}");
    bed.sandbox.clear_faults();
    bed.sandbox.revoke_family(None);
    bed.import("crm");
    bed.sandbox.revoke_family(None);
    bed.run(&["token", "crm", "--renew"]);
    assert_stands(&bed, 77, "parked", "needs-user");
}

#[test]
fn f30_an_outage_that_other_grants_and_processes_met_is_told_without_a_sidecar() {
    let bed = Bed::new();
    bed.configure(&format!("{}{}", bed.grant("other").split_once("[proxy]").unwrap().0, bed.grant("crm")));
    bed.import("crm");
    bed.import("other");
    bed.sandbox.fault(Fault::Unavailable, Lasting::UntilCleared);
    bed.run(&["token", "other", "--renew"]);
    // This grant has not met it: its token is good, and nothing of it is in its record.
    let told = assert_stands(&bed, 75, "live", "server-unreachable");
    assert!(told.stdout.contains("is taken to be down"), "{told:?}");
    let shown = bed.run(&["grant", "show", "crm", "--json"]).json();
    assert_eq!(shown["code"], "server-unreachable", "{shown}");
    let requests = bed.sandbox.counters().token_requests;
    assert_eq!(bed.run(&["token", "crm"]).code, 0, "the held token is served");
    assert_eq!(bed.sandbox.counters().token_requests, requests, "to tell of it asks nobody");
    bed.sandbox.clear_faults();
    assert!((0..10).any(|_| bed.run(&["token", "other", "--renew"]).code == 0));
    assert_eq!(fault(&doctor(&bed), "grant crm"), None, "one answer ends it for all");
}

#[test]
fn doctor_tells_of_each_grant_whose_record_cannot_be_had() {
    let bed = Bed::new();
    let both = |crm: String| bed.configure(&format!("{}{crm}", bed.grant("other").split_once("[proxy]").unwrap().0));
    both(bed.grant("crm"));
    bed.import("crm");
    bed.import("other");
    // N48: what is held is another server's.
    both(bed.grant("crm").replace("/token\"", "/moved\""));
    let told = doctor(&bed);
    assert_eq!(fault(&told, "grant crm"), Some("authorization-server-changed".into()), "{told:?}");
    assert_eq!(fault(&told, "grant other"), None, "{told:?}");
    both(bed.grant("crm"));
    std::fs::write(bed.state().join("outlast.db"), b"not what was written").unwrap();
    let told = doctor(&bed);
    assert_eq!((told.code, fault(&told, "store")), (78, Some("store-corrupt".into())), "{told:?}");
}

#[test]
fn doctor_tells_of_a_key_that_is_gone() {
    let bed = Bed::new();
    bed.import("crm");
    let keys = std::fs::read_dir(bed.state()).unwrap().map(|entry| entry.unwrap().path());
    let key = keys.into_iter().find(|path| path.to_string_lossy().contains("key")).unwrap();
    std::fs::remove_file(&key).unwrap();
    let told = doctor(&bed);
    assert_eq!((told.code, fault(&told, "store")), (78, Some("key-unavailable".into())), "{told:?}");
    assert!(!key.exists(), "a question makes no new key");
}

#[test]
fn doctor_tells_of_a_store_of_a_newer_version() {
    let bed = Bed::new();
    bed.import("crm");
    // `PRAGMA user_version`, where the file format of SQLite has it.
    let database = File::options().write(true).open(bed.state().join("outlast.db")).unwrap();
    database.write_all_at(&7u32.to_be_bytes(), 60).unwrap();
    let told = doctor(&bed);
    assert_eq!((told.code, fault(&told, "store")), (78, Some("store-too-new".into())), "{told:?}");
}

#[test]
fn doctor_tells_of_a_full_disk() {
    let bed = Bed::new();
    bed.import("crm");
    if !rustix::process::geteuid().is_root() {
        println!("SKIPPED doctor_tells_of_a_full_disk: it needs the superuser");
        return;
    }
    let doctor = bed.command(&["doctor", "--offline"]);
    let script = "mount -t tmpfs -o size=512k,mode=0700 none \"$DISK\" || exit 99; exec \"$0\" \"$@\"";
    let output = Command::new("unshare")
        .args(["--mount", "sh", "-c", script])
        .arg(doctor.get_program())
        .args(doctor.get_args())
        .env_clear()
        .envs(doctor.get_envs().filter_map(|(name, value)| Some((name, value?))))
        .env("DISK", bed.state())
        .output();
    match output {
        Ok(output) if output.status.code() != Some(99) => {
            let text = String::from_utf8(output.stdout).unwrap();
            assert!(text.contains("store-unwritable") && text.contains("make room"), "{text}");
            assert_eq!(output.status.code(), Some(78), "{text}");
        }
        Ok(_) | Err(_) => println!("SKIPPED doctor_tells_of_a_full_disk: mounting is not permitted"),
    }
}

#[test]
fn doctor_tells_of_a_sidecar_that_is_gone() {
    let bed = Bed::new();
    assert_eq!(fault(&doctor(&bed), "sidecar"), None);
    let run = bed.home().join("run");
    std::fs::create_dir(&run).unwrap();
    let socket = run.join("outlast.sock");
    drop(UnixListener::bind(&socket).unwrap());
    let output = bed.command(&["doctor", "--offline"]).env("OUTLAST_SOCKET", &socket).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(69), "{text}");
    assert!(text.contains("daemon-unreachable") && text.contains("outlast serve"), "{text}");
}
