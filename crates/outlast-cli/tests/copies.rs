//! A copied, cloned or restored state folder, seen with the real binary (F15).
#![allow(clippy::unwrap_used, clippy::disallowed_methods, clippy::print_stdout)]

mod support;

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};
use support::{Bed, SECRET, Told};

/// So short that every ask after this needs a renewal.
const LIFE: Duration = Duration::from_secs(2);

fn shell(command: &str, folder: &Path) {
    let run = Command::new("sh").args(["-ec", command]).current_dir(folder).status();
    assert!(run.unwrap().success(), "{command}");
}

/// The binary on another state folder.
fn on(bed: &Bed, home: &Path, arguments: &[&str]) -> Told {
    Told::of(bed.command(arguments).env("OUTLAST_HOME", home).output().unwrap())
}

/// A copy of the state folder, as a backup or a new machine gets one.
fn copy(bed: &Bed) -> PathBuf {
    let state = bed.state();
    shell("cp -a outlast copy", state.parent().unwrap());
    state.with_file_name("copy")
}

fn outlive(life: Duration) {
    std::thread::sleep(life + Duration::from_millis(100));
}

#[test]
fn f15_a_copy_serves_what_it_holds_and_refreshes_nothing_until_it_is_adopted() {
    let bed = Bed::with_life(LIFE);
    let issued = bed.import("crm");
    let there = copy(&bed);
    let told = on(&bed, &there, &["token", "crm"]);
    assert_eq!((told.code, told.stdout.trim()), (0, issued.access.as_str()), "to its end: {told:?}");
    outlive(LIFE);
    let before = bed.sandbox.counters();
    let refused = on(&bed, &there, &["token", "crm"]);
    refused.assert_failed(65, "adopt-needed");
    assert!(refused.stderr.contains("outlast adopt crm"), "{refused:?}");
    let status = on(&bed, &there, &["status", "crm", "--json"]).json();
    assert_eq!((status["code"].as_str(), status["standing"].as_str()), (Some("adopt-needed"), Some("live")));
    assert!(status["what_to_do"].as_str().unwrap().contains("outlast adopt crm"), "{status}");
    let doctor = on(&bed, &there, &["doctor", "--offline"]);
    assert_eq!(doctor.code, 65, "{doctor:?}");
    assert!(doctor.stdout.contains("FAULT  grant crm") && doctor.stdout.contains("adopt crm"), "{doctor:?}");
    assert_eq!(bed.sandbox.counters().token_requests, before.token_requests, "nothing was sent");
    // Nobody is there to say yes.
    on(&bed, &there, &["adopt", "crm"]).assert_failed(65, "adopt-needed");
    on(&bed, &there, &["token", "crm"]).assert_failed(65, "adopt-needed");
    let adopted = on(&bed, &there, &["adopt", "crm", "--yes", "--json"]);
    assert_eq!(adopted.json()["adopted"][0]["reason"], "another-file", "{adopted:?}");
    assert_eq!(on(&bed, &there, &["token", "crm"]).code, 0);
    assert!(bed.sandbox.counters().token_requests > before.token_requests);
    assert_eq!(on(&bed, &there, &["adopt", "--all", "--json"]).json()["adopted"].as_array().unwrap().len(), 0);
    for told in [refused, doctor, adopted] {
        for secret in [issued.refresh.as_str(), SECRET] {
            assert!(!format!("{told:?}").contains(secret));
        }
    }
}

#[test]
fn f15_the_original_goes_on_beside_a_copy_and_the_family_lives() {
    let bed = Bed::with_life(LIFE);
    bed.import("crm");
    let there = copy(&bed);
    for _ in 0..2 {
        outlive(LIFE);
        assert_eq!(bed.run(&["token", "crm"]).code, 0);
        on(&bed, &there, &["token", "crm"]).assert_failed(65, "adopt-needed");
    }
    assert_eq!(bed.sandbox.counters().reuse_alarms, 0);
    // A token set of its own makes the copy a store like any other.
    let issued = bed.sandbox.issue();
    let mut import = bed.command(&["import", "crm"]);
    let mut child = import.env("OUTLAST_HOME", &there).stdin(Stdio::piped()).spawn().unwrap();
    std::io::Write::write_all(&mut child.stdin.take().unwrap(), issued.token_response().to_string().as_bytes())
        .unwrap();
    assert!(child.wait().unwrap().success());
    outlive(LIFE);
    assert_eq!(on(&bed, &there, &["token", "crm"]).code, 0);
    assert_eq!(bed.run(&["token", "crm"]).code, 0);
}

#[test]
fn f15_a_restored_backup_is_noticed_by_what_was_noted_beside_it() {
    let bed = Bed::with_life(LIFE);
    bed.import("crm");
    shell("cat outlast.db > ../backup", &bed.state());
    outlive(LIFE);
    assert_eq!(bed.run(&["token", "crm"]).code, 0);
    shell("cat ../backup > outlast.db", &bed.state());
    outlive(LIFE);
    let refused = bed.run(&["token", "crm"]);
    refused.assert_failed(65, "adopt-needed");
    assert!(refused.stderr.contains("earlier state"), "{refused:?}");
    assert_eq!(bed.sandbox.counters().reuse_alarms, 0, "the spent token was not sent");
}

#[test]
fn f15_a_running_sidecar_of_a_copy_says_so_and_goes_on_when_it_is_adopted() {
    let bed = Bed::with_life(LIFE);
    bed.import("crm");
    let there = copy(&bed);
    let mut serve = bed
        .command(&["serve", "--hold", "20s"])
        .env("OUTLAST_HOME", &there)
        .env("OUTLAST_SOCKET", there.join("control.sock"))
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut said = BufReader::new(serve.stderr.take().unwrap()).lines();
    assert!(said.next().unwrap().unwrap().contains("outlast serves"));
    outlive(LIFE * 2);
    assert_eq!(bed.sandbox.counters().token_requests, 0, "the background refresher sends nothing");
    let ask = |arguments: &[&str]| {
        let mut command = bed.command(arguments);
        command.env("OUTLAST_HOME", &there).env("OUTLAST_SOCKET", there.join("control.sock"));
        Told::of(command.output().unwrap())
    };
    ask(&["token", "crm"]).assert_failed(65, "adopt-needed");
    assert_eq!(ask(&["adopt", "crm", "--yes"]).code, 0);
    let began = Instant::now();
    assert_eq!(ask(&["token", "crm"]).code, 0);
    assert!(began.elapsed() < Duration::from_secs(10));
    serve.kill().unwrap();
    serve.wait().unwrap();
}

/// In a mount namespace of its own, in which `id` is the machine's.
fn as_machine(bed: &Bed, id: &Path, arguments: &[&str]) -> Option<Told> {
    let inner = bed.command(arguments);
    let script = "mount --bind \"$MACHINE\" /etc/machine-id || exit 99; exec \"$0\" \"$@\"";
    let mut command = Command::new("unshare");
    command.args(["--mount", "sh", "-c", script]).arg(inner.get_program()).args(inner.get_args()).env_clear();
    for (name, value) in inner.get_envs() {
        command.env(name, value.unwrap());
    }
    let told = Told::of(command.env("MACHINE", id).stdin(Stdio::null()).output().ok()?);
    (told.code != 99 && told.code != 1).then_some(told)
}

#[test]
fn f15_a_clone_of_the_machine_is_noticed_once_it_has_an_id_of_its_own() {
    let bed = Bed::with_life(LIFE);
    let machine = |name: &str, id: &str| {
        let path = bed.home().join(name);
        std::fs::write(&path, format!("{id}\n")).unwrap();
        path
    };
    let (original, clone) =
        (machine("original", "0123456789abcdef0123456789abcdef"), machine("clone", "fedcba9876543210fedcba9876543210"));
    let lasting = Command::new("stat").args(["-f", "-c", "%T"]).arg(&original).output().unwrap();
    let lasting = ["ext2/ext3", "xfs", "btrfs", "zfs"].contains(&String::from_utf8_lossy(&lasting.stdout).trim());
    if !lasting || ["/.dockerenv", "/run/.containerenv"].iter().any(|mark| Path::new(mark).exists()) {
        println!("SKIPPED: a machine id does not last here, and is not looked at");
        return;
    }
    // Makes the store, on the first of the two machines.
    let Some(made) = as_machine(&bed, &original, &["token", "crm"]) else {
        println!("SKIPPED: no mount namespace to be had");
        return;
    };
    made.assert_failed(77, "needs-user");
    bed.import("crm");
    outlive(LIFE);
    // Imported outside of the namespace: at home where that was done, and nowhere else.
    let here = bed.run(&["token", "crm"]);
    let there = as_machine(&bed, &clone, &["token", "crm"]).unwrap();
    assert_eq!(here.code, 0, "{here:?}");
    outlive(LIFE);
    let refused = as_machine(&bed, &clone, &["token", "crm"]).unwrap();
    refused.assert_failed(65, "adopt-needed");
    assert!(refused.stderr.contains("another machine"), "{refused:?}");
    assert!(there.code == 0 || there.code == 65, "{there:?}");
    let adopted = as_machine(&bed, &clone, &["adopt", "crm", "--yes"]).unwrap();
    assert_eq!(adopted.code, 0, "{adopted:?}");
    assert_eq!(as_machine(&bed, &clone, &["token", "crm"]).unwrap().code, 0);
}

#[test]
fn f15_what_spends_nothing_is_renewed_in_a_copy_as_ever() {
    let bed = Bed::with_life(LIFE);
    bed.configure(&bed.grant("ci").replace("\"refresh_token\"", "\"client_credentials\""));
    assert_eq!(bed.run(&["token", "ci"]).code, 0);
    let there = copy(&bed);
    outlive(LIFE);
    assert_eq!(on(&bed, &there, &["token", "ci"]).code, 0);
    let doctor = on(&bed, &there, &["doctor", "--offline"]);
    assert_eq!(doctor.code, 0, "{doctor:?}");
}
