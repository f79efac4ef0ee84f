//! Taking a token set over: what is read, what is refused, and that a refusal changes nothing.
#![allow(clippy::unwrap_used, clippy::disallowed_methods, clippy::print_stdout)]

mod support;

use std::time::{Duration, SystemTime, UNIX_EPOCH};
use support::Bed;

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

#[test]
fn a_token_response_on_standard_input_is_taken_over_and_served() {
    let bed = Bed::new();
    let issued = bed.sandbox.issue();
    let told = bed.run_with_input(&["import", "crm"], issued.token_response().to_string().as_bytes());
    assert_eq!(told.code, 0, "{told:?}");
    assert!(told.stdout.starts_with("imported grant crm: generation 1, access token "), "{told:?}");
    for shown in [&told.stdout, &told.stderr] {
        assert!(!shown.contains(&issued.access) && !shown.contains(&issued.refresh), "{shown}");
    }
    assert_eq!(bed.run(&["token", "crm"]).stdout, format!("{}\n", issued.access));
}

#[test]
fn a_file_is_read_with_the_life_that_is_left() {
    let bed = Bed::new();
    let path = bed.home().join("tokens.json");
    let text = format!(
        r#"{{"one":{{"access_token":"a1","refresh_token":"r1","expires_in":1000,"saved_at":{}}},
            "two":{{"access_token":"a2","refresh_token":"r2","expires_in":1000,"saved_at":{}}}}}"#,
        now() - 100,
        (now() - 300) * 1000
    );
    std::fs::write(&path, text).unwrap();
    let path = path.to_str().unwrap();
    bed.run(&["import", "crm", "--from", path]).assert_failed(78, "import-invalid");
    for (service, left) in [("one", 900), ("two", 700)] {
        let told = bed.run(&["import", "crm", "--from", path, "--service", service, "--json"]);
        assert_eq!(told.code, 0, "{told:?}");
        let expires_in = told.json()["expires_in"].as_u64().unwrap();
        assert!((left - 20..=left).contains(&expires_in), "{service}: {expires_in}");
    }
    bed.run(&["import", "crm", "--from", path, "--service", "three"]).assert_failed(78, "import-invalid");
    assert_eq!(bed.run(&["token", "crm"]).stdout, "a2\n");
}

#[test]
fn an_expired_access_token_with_a_refresh_token_is_renewed_at_first_use() {
    let bed = Bed::new();
    let issued = bed.sandbox.issue();
    let path = bed.home().join("old.json");
    let entry = format!(
        r#"{{"crm":{{"access_token":"{}","refresh_token":"{}","expires_in":60,"saved_at":"2026-01-01T00:00:00Z"}}}}"#,
        issued.access, issued.refresh
    );
    std::fs::write(&path, entry).unwrap();
    let told = bed.run(&["import", "crm", "--from", path.to_str().unwrap()]);
    assert_eq!(told.code, 0, "{told:?}");
    assert!(told.stdout.contains("already expired"), "{told:?}");
    let token = bed.run(&["token", "crm"]);
    assert_eq!(token.code, 0, "{token:?}");
    assert_ne!(token.stdout.trim(), issued.access);
    assert_eq!(bed.sandbox.counters().refreshes, 1);
}

#[test]
fn a_refresh_token_alone_is_enough() {
    let bed = Bed::new();
    let issued = bed.sandbox.issue();
    let told =
        bed.run_with_input(&["import", "crm"], format!(r#"{{"refresh_token":"{}"}}"#, issued.refresh).as_bytes());
    assert_eq!(told.code, 0, "{told:?}");
    assert_eq!(bed.run(&["token", "crm"]).code, 0);
    assert_eq!(bed.sandbox.counters().refreshes, 1);
}

#[test]
fn what_is_no_token_set_is_refused_and_changes_nothing() {
    let bed = Bed::new();
    let issued = bed.import("crm");
    let huge = format!(r#"{{"access_token":"{}"}}"#, "CANARY".repeat(200_000));
    let inputs: [&str; 9] = [
        "",
        "<!DOCTYPE html><p>CANARY</p>",
        r#"{"access_token":"CANARY"#,
        r#"["CANARY"]"#,
        r#"{"access_token":42}"#,
        r#"{"access_token":"CANARY","token_type":"mac"}"#,
        r#"{"error":"invalid_grant"}"#,
        r#"{"scope":"CANARY"}"#,
        &huge,
    ];
    for input in inputs {
        let told = bed.run_with_input(&["import", "crm"], input.as_bytes());
        told.assert_failed(78, "import-invalid");
        assert!(told.stderr.contains("nothing was changed"), "{told:?}");
        assert!(!told.stderr.contains("CANARY"), "{told:?}");
    }
    bed.run(&["import", "crm", "--from", "/does/not/exist"]).assert_failed(78, "import-invalid");
    assert_eq!(bed.generation("crm"), 1);
    assert_eq!(bed.run(&["token", "crm"]).stdout.trim(), issued.access);
}

#[test]
fn a_second_import_is_the_next_generation_and_revives_a_dead_grant() {
    let bed = Bed::with_life(Duration::from_secs(1));
    bed.import("crm");
    bed.sandbox.revoke_family(None);
    std::thread::sleep(Duration::from_millis(1100));
    bed.run(&["token", "crm"]).assert_failed(77, "needs-user");
    let told = bed.run(&["status", "crm", "--json"]);
    assert_eq!(told.json()["standing"], "parked", "{told:?}");
    let before = bed.generation("crm");
    bed.import("crm");
    assert!(bed.generation("crm") > before);
    assert_eq!(bed.run(&["token", "crm"]).code, 0);
}

#[test]
fn r21_the_file_of_a_tool_that_rotates_its_refresh_token_is_taken_over_only_when_told_so() {
    let bed = Bed::new();
    let files = [
        (
            "Claude Code",
            "/claudeAiOauth/accessToken",
            r#"{"claudeAiOauth":{"accessToken":"CANARY-a","refreshToken":"CANARY-r","expiresAt":4102444800000,"scopes":["x"]}}"#,
        ),
        (
            "Codex",
            "/tokens/access_token",
            r#"{"OPENAI_API_KEY":null,"tokens":{"id_token":"i","access_token":"CANARY-a","refresh_token":"CANARY-r"},"last_refresh":"2026-01-01T00:00:00Z"}"#,
        ),
    ];
    let path = bed.home().join("auth.json");
    let name = path.to_str().unwrap();
    for (tool, pointer, text) in files {
        std::fs::write(&path, text).unwrap();
        let before = bed.run(&["token", "crm"]).stdout;
        let told = bed.run(&["import", "crm", "--from", name]);
        told.assert_failed(78, "import-invalid");
        for wanted in [tool, pointer, "delegate", "--take-over", "nothing was changed"] {
            assert!(told.stderr.contains(wanted), "{wanted}: {told:?}");
        }
        assert!(!told.stderr.contains("CANARY"), "{told:?}");
        assert_eq!(bed.run(&["token", "crm"]).stdout, before);
        let told = bed.run(&["import", "crm", "--from", name, "--take-over"]);
        assert_eq!(told.code, 0, "{told:?}");
        assert_eq!(bed.run(&["token", "crm"]).stdout, "CANARY-a\n");
    }
}
