//! API keys that stand in the configuration.
#![allow(clippy::unwrap_used, clippy::disallowed_methods, reason = "a test stops at the first surprise")]

mod support;

use std::os::unix::fs::PermissionsExt;
use std::process::Stdio;
use std::time::Duration;
use support::Bed;

#[test]
fn a_configured_key_is_served_and_a_changed_one_takes_effect_at_once() {
    let bed = Bed::new();
    bed.configure("[grant.weather]\ngrant_type = \"api_key\"\nkey = { file = \"weather.key\" }\n");
    let path = bed.config_path().with_file_name("weather.key");
    for key in ["CANARY-key-1", "CANARY-key-2"] {
        std::fs::write(&path, format!("{key}\n")).unwrap();
        std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
        for _ in 0..2 {
            let said = bed.run(&["token", "weather"]);
            assert_eq!((said.code, said.stdout.trim()), (0, key), "{said:?}");
        }
        let status = bed.run(&["status", "weather", "--json"]);
        assert!(status.code == 0 && !status.stdout.contains("CANARY"), "{status:?}");
    }
    assert_eq!(bed.generation("weather"), 2, "a key that did not change is not written again");
}

#[test]
fn a_grant_without_its_key_is_a_mistake_in_the_configuration() {
    let bed = Bed::new();
    bed.configure("[grant.weather]\ngrant_type = \"api_key\"\n");
    let said = bed.run(&["token", "weather"]);
    assert!(said.code == 78 && said.stderr.contains("no `key`"), "{said:?}");
}

/// A bed with a key that is rotated every second by a program that counts its runs, then does as
/// `script` says; the replaced key is written to `retired`.
fn rotated(script: &str) -> Bed {
    let bed = Bed::new();
    let home = bed.home().display().to_string();
    let program = |name: &str, text: &str| {
        let path = bed.home().join(name);
        std::fs::write(&path, format!("#!/bin/sh\n{text}\n")).unwrap();
        std::fs::set_permissions(&path, PermissionsExt::from_mode(0o755)).unwrap();
    };
    program("new-key", &format!("cat >> {home}/told; echo >> {home}/told\n{script}"));
    program("retire-key", &format!("cat >> {home}/retired; echo >> {home}/retired"));
    set_key(&bed, "CANARY-key-1");
    configure(&bed, "1s", "0s");
    assert_eq!(token(&bed), "CANARY-key-1");
    std::thread::sleep(Duration::from_millis(1100));
    bed
}

fn configure(bed: &Bed, every: &str, overlap: &str) {
    let home = bed.home().display();
    bed.configure(&format!(
        "[grant.weather]\ngrant_type = \"api_key\"\nkey = {{ file = \"weather.key\" }}\nrotate_every = \"{every}\"\n\
         overlap = \"{overlap}\"\nnew_key = [\"{home}/new-key\"]\nretire_key = [\"{home}/retire-key\"]\n"
    ));
}

fn set_key(bed: &Bed, key: &str) {
    let path = bed.config_path().with_file_name("weather.key");
    std::fs::write(&path, key).unwrap();
    std::fs::set_permissions(&path, PermissionsExt::from_mode(0o600)).unwrap();
}

fn token(bed: &Bed) -> String {
    let said = bed.run(&["token", "weather"]);
    assert_eq!(said.code, 0, "{said:?}");
    said.stdout.trim().to_owned()
}

fn lines(bed: &Bed, file: &str) -> Vec<String> {
    std::fs::read_to_string(bed.home().join(file)).unwrap_or_default().lines().map(str::to_owned).collect()
}

#[test]
fn a_due_key_is_rotated_once_by_many_processes_and_the_old_one_is_retired() {
    let bed = rotated("sleep 0.3; echo CANARY-key-2");
    // Long enough for a slow machine to start all of them within one period.
    configure(&bed, "4s", "0s");
    std::thread::sleep(Duration::from_secs(3));
    let children: Vec<_> =
        (0..6).map(|_| bed.command(&["token", "weather"]).stdout(Stdio::piped()).spawn().unwrap()).collect();
    for child in children {
        let said = child.wait_with_output().unwrap();
        assert!(String::from_utf8_lossy(&said.stdout).trim().starts_with("CANARY-key-"), "{said:?}");
    }
    configure(&bed, "1h", "0s");
    assert_eq!(token(&bed), "CANARY-key-2", "though the configuration names the first");
    assert_eq!(lines(&bed, "told"), ["CANARY-key-1"]);
    assert_eq!(lines(&bed, "retired"), ["CANARY-key-1"]);
    set_key(&bed, "CANARY-key-9");
    assert_eq!(token(&bed), "CANARY-key-9", "a key that is changed in the configuration takes effect");
}

#[test]
fn a_rotation_that_fails_keeps_the_key_and_is_not_tried_again_soon() {
    let bed = rotated("echo sorry CANARY-key-1 >&2; exit 1");
    for _ in 0..3 {
        assert_eq!(token(&bed), "CANARY-key-1");
    }
    assert_eq!(lines(&bed, "told").len(), 1);
    let status = bed.run(&["status", "weather", "--json"]);
    assert!(status.stdout.contains("rotation-failed") && !status.stdout.contains("CANARY"), "{status:?}");
}

#[test]
fn a_rotation_that_was_killed_is_in_doubt_and_not_run_again() {
    let bed = rotated("sleep 15; echo CANARY-key-2");
    let mut child = bed.command(&["token", "weather"]).stdout(Stdio::null()).spawn().unwrap();
    while lines(&bed, "told").is_empty() {
        std::thread::sleep(Duration::from_millis(20));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    std::thread::sleep(Duration::from_millis(700));
    for _ in 0..2 {
        assert_eq!(token(&bed), "CANARY-key-1");
    }
    assert_eq!(lines(&bed, "told").len(), 1);
    let status = bed.run(&["status", "weather", "--json"]);
    assert!(status.stdout.contains("nobody knows"), "{status:?}");
}

#[test]
fn a_rotation_that_is_configured_by_half_is_a_mistake() {
    let bed = Bed::new();
    for (more, missing) in [
        ("rotate_every = \"30d\"", "no `new_key`"),
        ("new_key = [\"x\"]", "set rotate_every"),
        ("rotate_every = \"1h\"\noverlap = \"1h\"\nnew_key = [\"x\"]", "make it longer"),
        ("rotate_every = \"1h\"\ntoken_life = \"1h\"\nnew_key = [\"x\"]", "remove token_life"),
    ] {
        bed.configure(&format!("[grant.weather]\ngrant_type = \"api_key\"\nkey = {{ file = \"k\" }}\n{more}\n"));
        let said = bed.run(&["token", "weather"]);
        assert!(said.code == 78 && said.stderr.contains(missing), "{said:?}");
    }
}
