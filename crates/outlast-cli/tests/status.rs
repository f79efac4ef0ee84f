//! How grants stand, what is added, and what doctor finds.
#![allow(clippy::unwrap_used, clippy::disallowed_methods, clippy::print_stdout)]

mod support;

use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::process::Stdio;
use support::{Bed, SECRET, text};

#[test]
fn status_tells_standing_and_life_and_no_secret() {
    let bed = Bed::new();
    let issued = bed.import("crm");
    let all = bed.run(&["status", "--json"]);
    assert_eq!(all.json().as_array().unwrap().len(), 1);
    let one = bed.run(&["status", "crm", "--json"]);
    assert_eq!(one.json()["standing"], "live");
    assert!(one.json()["seconds_left"].as_u64().unwrap() > 3500);
    let table = bed.run(&["status"]);
    assert!(table.stdout.contains("crm") && table.stdout.contains("59m"), "{}", table.stdout);
    for told in [all, one, table] {
        for secret in [issued.access.as_str(), issued.refresh.as_str(), SECRET] {
            assert!(!told.stdout.contains(secret) && !told.stderr.contains(secret), "{told:?}");
        }
    }
}

#[test]
fn a_grant_that_needs_its_owner_is_no_failure_of_status() {
    let bed = Bed::new();
    let told = bed.run(&["status"]);
    assert_eq!(told.code, 0, "{told:?}");
    assert!(told.stdout.contains("outlast import crm"), "{told:?}");
    bed.run(&["token", "crm"]).assert_failed(77, "needs-user");
}

#[test]
fn a_secret_that_cannot_be_had_hides_no_standing() {
    let bed = Bed::new();
    bed.import("crm");
    let output = bed.command(&["status"]).env_remove("CRM_SECRET").output().unwrap();
    assert!(output.status.success());
    assert!(String::from_utf8(output.stdout).unwrap().contains("live"));
}

#[test]
fn watch_writes_a_line_whenever_something_changes() {
    let bed = Bed::new();
    let mut watching = bed.command(&["status", "--watch", "--json"]).stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(watching.stdout.take().unwrap()).lines();
    let mut next = || serde_json::from_str::<serde_json::Value>(&lines.next().unwrap().unwrap()).unwrap();
    assert_eq!(next()[0]["standing"], "empty");
    bed.import("crm");
    assert_eq!(next()[0]["standing"], "live");
    watching.kill().unwrap();
    watching.wait().unwrap();
}

#[test]
fn watch_goes_on_over_a_grant_whose_record_cannot_be_had() {
    let bed = Bed::new();
    bed.import("crm");
    // N48: what is held is another server's.
    let moved = bed.grant("crm").replace("/token\"", "/moved\"");
    let other = bed.grant("other");
    let (other, _) = other.split_once("[proxy]").unwrap();
    bed.configure(&format!("{other}{moved}"));
    let mut watching = bed.command(&["status", "--watch", "--json"]).stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(watching.stdout.take().unwrap()).lines();
    let mut next = || serde_json::from_str::<serde_json::Value>(&lines.next().unwrap().unwrap()).unwrap();
    let stands = |shown: &serde_json::Value| {
        let grant = |name: &str| shown.as_array().unwrap().iter().find(|grant| grant["name"] == name).unwrap().clone();
        assert_eq!(grant("crm")["code"], "authorization-server-changed", "{shown}");
        (grant("crm")["standing"].as_str().unwrap().to_owned(), grant("other")["standing"].as_str().unwrap().to_owned())
    };
    let (crm, other) = stands(&next());
    assert_eq!(crm, "unreadable");
    assert_ne!(other, "live");
    bed.import("other");
    assert_eq!(stands(&next()), ("unreadable".to_owned(), "live".to_owned()));
    watching.kill().unwrap();
    watching.wait().unwrap();
}

#[test]
fn add_discovers_the_issuer_and_writes_a_private_file() {
    let bed = Bed::new();
    std::fs::remove_dir_all(bed.home().join(".config")).unwrap();
    let arguments = |name| {
        let known = [
            "add",
            name,
            "--issuer",
            bed.sandbox.issuer(),
            "--client-id",
            "sandbox",
            "--client-secret-env",
            "CRM_SECRET",
            "--grant-type",
            "client_credentials",
            "--upstream",
            bed.sandbox.api(),
        ];
        known.map(str::to_owned)
    };
    let add = |name| bed.run(&arguments(name).each_ref().map(String::as_str));
    let told = add("ci");
    assert_eq!(told.code, 0, "{told:?}");
    assert!(told.stdout.contains("outlast token ci"), "{told:?}");
    let mode = |path: std::path::PathBuf| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(bed.config_path()), 0o600);
    assert_eq!(mode(bed.config_path().parent().unwrap().to_owned()), 0o700);
    let token = bed.run(&["token", "ci"]);
    assert_eq!(token.code, 0, "{token:?}");
    assert_eq!(bed.sandbox.counters().client_credentials, 1);
    let before = text(&bed.config_path());
    add("ci").assert_failed(78, "configuration-invalid");
    assert_eq!(text(&bed.config_path()), before);
    assert_eq!(add("other").code, 0);
    assert!(text(&bed.config_path()).starts_with(&before), "what was there stays byte for byte");
    bed.run(&["add", "../x", "--provider", "github"]).assert_failed(78, "configuration-invalid");
    bed.run(&["add", "nowhere"]).assert_failed(78, "configuration-invalid");
}

#[test]
fn doctor_finds_nothing_where_nothing_is_wrong_and_makes_nothing() {
    let bed = Bed::new();
    let told = bed.run(&["doctor"]);
    assert_eq!(told.code, 0, "{told:?}");
    assert!(!told.stdout.contains("FAULT"), "{told:?}");
    assert!(!bed.state().exists());
    bed.import("crm");
    let told = bed.run(&["doctor", "--json"]);
    assert_eq!(told.code, 0, "{told:?}");
    assert!(told.json()["checks"].as_array().unwrap().iter().all(|check| check["ok"] == true), "{told:?}");
}

#[test]
fn doctor_names_each_fault_and_its_mend() {
    let bed = Bed::new();
    bed.import("crm");
    std::fs::set_permissions(bed.state(), std::fs::Permissions::from_mode(0o750)).unwrap();
    let told = bed.run(&["doctor", "--offline"]);
    assert_eq!(told.code, 78, "{told:?}");
    assert!(told.stdout.contains("FAULT  store") && told.stdout.contains("chmod 700"), "{told:?}");
    std::fs::set_permissions(bed.state(), std::fs::Permissions::from_mode(0o700)).unwrap();
    bed.configure("[grant.crm]\nprovder = \"github\"\n");
    let told = bed.run(&["doctor", "--offline"]);
    assert_eq!(told.code, 78, "{told:?}");
    assert!(told.stdout.contains("did you mean `provider`"), "{told:?}");
}

#[test]
fn the_sandbox_says_how_to_try_it_and_that_works() {
    let bed = Bed::new();
    let mut sandbox = bed.command(&["sandbox", "--json"]).stdout(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(sandbox.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let told: serde_json::Value = serde_json::from_str(&line).unwrap();
    bed.configure(told["configuration"].as_str().unwrap());
    let with_secret = |arguments: &[&str]| {
        let mut command = bed.command(arguments);
        command.env("SANDBOX_SECRET", told["client_secret"].as_str().unwrap());
        command
    };
    let path = bed.home().join("response.json");
    std::fs::write(&path, told["token_response"].to_string()).unwrap();
    let imported = with_secret(&["import", "sandbox"]).stdin(std::fs::File::open(&path).unwrap()).output().unwrap();
    assert!(imported.status.success(), "{}", String::from_utf8_lossy(&imported.stderr));
    let renewed = with_secret(&["token", "sandbox", "--renew"]).output().unwrap();
    assert!(renewed.status.success(), "{}", String::from_utf8_lossy(&renewed.stderr));
    sandbox.kill().unwrap();
    sandbox.wait().unwrap();
}
