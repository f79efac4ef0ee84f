//! Taking a token set over: what is read, what is refused, and that a refusal changes nothing.
#![allow(clippy::unwrap_used, clippy::disallowed_methods, clippy::print_stdout)]

mod support;

use outlast_testkit::peer::exchange;
use serde_json::Value;
use std::io::{BufRead, BufReader};
use std::process::{Child, Stdio};
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

/// `outlast serve`, until this goes.
struct Sidecar {
    child: Child,
    url: String,
}

impl Drop for Sidecar {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Sidecar {
    fn start(bed: &Bed) -> Self {
        let mut child = bed.command(&["serve"]).stderr(Stdio::piped()).spawn().unwrap();
        let mut said = BufReader::new(child.stderr.take().unwrap()).lines();
        let line = said.next().unwrap().unwrap();
        let url = line.split_whitespace().find_map(|word| word.strip_suffix("/GRANT/PATH")).unwrap().to_owned();
        bed.home.watch.look("stderr of serve", line.as_bytes(), &[]);
        std::thread::spawn(move || said.for_each(drop));
        Self { child, url }
    }

    /// Which family of tokens the resource sees when it is asked through the sidecar.
    fn family(&self, bed: &Bed) -> u64 {
        let capability = std::fs::read_to_string(bed.state().join("capability")).unwrap();
        let bearer = format!("Bearer {}", capability.trim());
        let answer = exchange("GET", &self.url, "/crm/api/whoami", &[("Authorization", &bearer)], b"").unwrap();
        let who: Value = serde_json::from_slice(&answer.body).unwrap();
        who["family"].as_u64().unwrap_or_else(|| panic!("{} {who}", answer.status))
    }
}

#[test]
fn a_running_sidecar_serves_what_was_imported_with_the_next_request() {
    let bed = Bed::new();
    bed.import("crm");
    let sidecar = Sidecar::start(&bed);
    let first = sidecar.family(&bed);
    // Its token is good for an hour: it has no reason of its own to look at the record.
    assert_eq!(sidecar.family(&bed), first);
    bed.import("crm");
    assert_ne!(sidecar.family(&bed), first);
    assert_eq!(bed.sandbox.counters().token_requests, 0);
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

/// The files of tools as their own sources describe them; where each is read about stands beside its reader.
fn files_of_tools(client_id: &str) -> [(&'static str, &'static str, String, &'static str); 3] {
    // Made by MSAL's SerializableTokenCache: a map of each kind, by a key of joined identifiers.
    let azure = format!(
        r#"{{"AccessToken":{{"u.t-login.microsoftonline.com-accesstoken-c-t-s":{{"credential_type":"AccessToken","secret":"CANARY-other",
        "home_account_id":"u.t","environment":"login.microsoftonline.com","client_id":"{client_id}","target":"s","realm":"t",
        "token_type":"Bearer","cached_at":"1","expires_on":"2","extended_expires_on":"3"}}}},"Account":{{"u.t":{{}}}},
        "RefreshToken":{{"u.t-login.microsoftonline.com-refreshtoken-c--":{{"credential_type":"RefreshToken","secret":"CANARY-r",
        "home_account_id":"u.t","environment":"login.microsoftonline.com","client_id":"{client_id}","target":"s",
        "last_modification_time":"1","family_id":"1"}}}},"AppMetadata":{{}}}}"#
    );
    let gcloud = format!(
        r#"{{"account":"","client_id":"{client_id}","client_secret":"CANARY-s","quota_project_id":"p","refresh_token":"CANARY-r",
        "type":"authorized_user","universe_domain":"googleapis.com"}}"#
    );
    let remote = r#"{"access_token":"CANARY-a","token_type":"Bearer","expires_in":3600,"refresh_token":"CANARY-r"}"#;
    [
        ("the Azure CLI", ".azure/msal_token_cache.json", azure, "get-access-token"),
        ("gcloud", ".config/gcloud/application_default_credentials.json", gcloud, "print-access-token"),
        ("mcp-remote", ".mcp-auth/mcp-remote-v1/0123abcd_tokens.json", remote.to_owned(), "/access_token"),
    ]
}

/// Puts a tool's file where the tool has it, with mcp-remote's client beside it.
fn place(bed: &Bed, name: &str, text: &str, client_id: &str) -> String {
    let path = bed.home().join(name);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(&path, text).unwrap();
    if let Some(hash) = name.strip_suffix("_tokens.json") {
        let client = format!(r#"{{"client_id":"{client_id}","redirect_uris":["http://localhost:1/oauth/callback"]}}"#);
        std::fs::write(bed.home().join(format!("{hash}_client_info.json")), client).unwrap();
    }
    path.to_str().unwrap().to_owned()
}

#[test]
fn r21_no_tools_refresh_token_is_taken_unasked_and_the_text_says_what_taking_it_means() {
    let bed = Bed::new();
    bed.import("crm");
    for (tool, name, text, left) in files_of_tools("sandbox") {
        let path = place(&bed, name, &text, "sandbox");
        let before = bed.generation("crm");
        let told = bed.run(&["import", "crm", "--from", &path]);
        told.assert_failed(78, "import-invalid");
        for wanted in [tool, left, "delegate", "ends the grant of both", "--take-over", "nothing was changed"] {
            assert!(told.stderr.contains(wanted), "{wanted}: {told:?}");
        }
        assert!(!told.stderr.contains("CANARY"), "{told:?}");
        assert_eq!(bed.generation("crm"), before);
        let told = bed.run(&["import", "crm", "--from", &path, "--take-over"]);
        assert_eq!(told.code, 0, "{told:?}");
        assert!(!told.stdout.contains("CANARY") && !told.stderr.contains("CANARY"), "{told:?}");
        assert_eq!(bed.generation("crm"), before + 1, "{tool}");
    }
}

#[test]
fn r21_a_refresh_token_of_another_client_is_not_taken() {
    let bed = Bed::new();
    bed.import("crm");
    for (tool, name, text, _) in files_of_tools("another\u{1b}[2J") {
        let path = place(&bed, name, &text.replace('\u{1b}', "\\u001b"), "another\\u001b[2J");
        let told = bed.run(&["import", "crm", "--from", &path, "--take-over"]);
        told.assert_failed(78, "import-invalid");
        assert!(told.stderr.contains("was given to client \"another"), "{tool}: {told:?}");
        assert!(told.stderr.contains("nothing was changed") && !told.stderr.contains('\u{1b}'), "{told:?}");
    }
    assert_eq!(bed.generation("crm"), 1);
}

#[test]
fn r21_of_several_accounts_in_one_file_none_is_guessed() {
    let bed = Bed::new();
    let (_, name, text, _) = &files_of_tools("sandbox")[0];
    let second =
        r#""RefreshToken":{"other":{"credential_type":"RefreshToken","secret":"CANARY-o","client_id":"sandbox"},"#;
    let path = place(&bed, name, &text.replace(r#""RefreshToken":{"#, second), "");
    let told = bed.run(&["import", "crm", "--from", &path, "--take-over"]);
    told.assert_failed(78, "import-invalid");
    assert!(told.stderr.contains("several accounts") && told.stderr.contains("outlast login"), "{told:?}");
    assert!(!told.stderr.contains("CANARY"), "{told:?}");
}

#[test]
fn r21_a_token_response_that_lies_elsewhere_belongs_to_nobody() {
    let bed = Bed::new();
    let (_, _, text, _) = &files_of_tools("sandbox")[2];
    let path = place(&bed, "saved_tokens.json", text, "another");
    assert_eq!(bed.run(&["import", "crm", "--from", &path]).code, 0);
}
