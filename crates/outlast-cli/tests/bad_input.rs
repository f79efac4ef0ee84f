//! Bad input: each a clear failure with its exit code, its code, its page and what to do, and
//! nothing lost.
#![allow(clippy::unwrap_used, clippy::disallowed_methods, clippy::print_stdout)]

mod support;

use outlast_sandbox::{Fault, Lasting};
use std::io::{Read, Write};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use support::{Bed, SECRET, text};

#[test]
fn a_wrong_key_names_the_nearest_one_and_its_place() {
    let bed = Bed::new();
    bed.configure("[grant.crm]\nisuer = \"https://login.example.com\"\n");
    let told = bed.run(&["token", "crm"]);
    told.assert_failed(78, "configuration-invalid");
    assert!(told.stderr.contains("did you mean `issuer`?"), "{told:?}");
    assert!(told.stderr.contains("outlast.toml:2:1"), "{told:?}");
}

#[test]
fn a_missing_configuration_says_how_to_make_one() {
    let bed = Bed::new();
    std::fs::remove_file(bed.config_path()).unwrap();
    let told = bed.run(&["status"]);
    told.assert_failed(78, "configuration-invalid");
    assert!(told.stderr.contains("outlast add NAME"), "{told:?}");
}

#[test]
fn a_plain_secret_in_a_file_that_others_may_open_is_refused_and_not_repeated() {
    let bed = Bed::new();
    bed.import("crm");
    let plain = text(&bed.config_path()).replace("{ env = \"CRM_SECRET\" }", &format!("\"{SECRET}\""));
    bed.configure(&plain);
    assert_eq!(bed.run(&["token", "crm"]).code, 0, "a file of our own may hold it");
    std::fs::set_permissions(bed.config_path(), std::fs::Permissions::from_mode(0o640)).unwrap();
    let told = bed.run(&["token", "crm"]);
    told.assert_failed(78, "configuration-invalid");
    assert!(told.stderr.contains("chmod 600"), "{told:?}");
    assert!(!told.stderr.contains(SECRET), "{told:?}");
}

#[test]
fn a_secret_that_is_not_there_is_named() {
    let bed = Bed::new();
    let output = bed.command(&["token", "crm"]).env_remove("CRM_SECRET").output().unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(78), "{stderr}");
    assert!(stderr.contains("CRM_SECRET"), "{stderr}");
}

#[test]
fn an_unknown_grant_names_the_nearest_one() {
    let bed = Bed::new();
    for verb in ["token", "headers", "import", "status"] {
        let told = bed.run(&[verb, "cmr"]);
        told.assert_failed(78, "grant-unknown");
        assert!(told.stderr.contains("did you mean `crm`?"), "{told:?}");
    }
    let told = bed.run(&["run", "--grant", "cmr", "--", "true"]);
    told.assert_failed(78, "grant-unknown");
}

#[test]
fn failures_are_one_json_object_where_json_was_asked_for() {
    let bed = Bed::new();
    let told = bed.run(&["token", "nothing", "--json"]);
    assert_eq!((told.code, told.stdout.as_str()), (78, ""));
    let object: serde_json::Value = serde_json::from_str(told.stderr.trim()).unwrap();
    assert_eq!(object["code"], "grant-unknown");
    assert_eq!(object["advice"], "fix-config");
    assert_eq!(object["see"], "docs/errors/grant-unknown.md");
    assert_eq!(object["exit_code"], 78);
}

#[test]
fn plain_http_outside_loopback_is_refused_before_anything_is_sent() {
    let bed = Bed::new();
    for line in ["token_endpoint = \"http://login.example.com/token\"", "issuer = \"http://login.example.com\""] {
        bed.configure(&format!("[grant.crm]\n{line}\nclient_id = \"x\"\n"));
        bed.run(&["token", "crm"]).assert_failed(78, "insecure-address");
    }
    bed.configure(&bed.grant("crm").replace("upstream = \"http://127.0.0.1", "upstream = \"http://192.0.2.1"));
    bed.run(&["token", "crm"]).assert_failed(78, "insecure-address");
}

#[test]
fn an_upstream_that_is_no_origin_is_refused() {
    let bed = Bed::new();
    for upstream in ["https://api.example.com/?q=1", "https://user:pass@api.example.com", "api.example.com"] {
        bed.configure(&format!(
            "[grant.crm]\ntoken_endpoint = \"https://login.example.com/token\"\nupstream = \"{upstream}\"\n"
        ));
        let told = bed.run(&["status"]);
        assert_eq!(told.code, 78, "{upstream}: {told:?}");
        assert!(!told.stderr.contains("user:pass"), "{told:?}");
    }
}

#[test]
fn an_unreachable_issuer_says_wait_and_keeps_what_is_held() {
    let bed = Bed::new();
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    bed.configure(&format!(
        "[grant.crm]\nissuer = \"http://127.0.0.1:{port}\"\ngrant_type = \"refresh_token\"\nclient_id = \"x\"\n"
    ));
    let told = bed.run_with_input(&["import", "crm"], br#"{"refresh_token":"kept"}"#);
    assert_eq!(told.code, 0, "{told:?}");
    bed.run(&["token", "crm"]).assert_failed(75, "server-unreachable");
    let told = bed.run(&["doctor"]);
    assert_eq!(told.code, 75, "{told:?}");
    assert!(told.stdout.contains("FAULT  grant crm server"), "{told:?}");
    let status = bed.run(&["status", "crm", "--json"]).json();
    assert_eq!((&status["generation"], &status["standing"]), (&1.into(), &"cooling-down".into()), "{status}");
}

#[test]
fn a_lying_issuer_is_not_believed() {
    let bed = Bed::new();
    let address = answering(
        "application/json",
        r#"{"issuer":"https://login.other.example","token_endpoint":"https://login.other.example/token"}"#,
    );
    bed.configure(&format!(
        "[grant.crm]\nissuer = \"http://{address}\"\ngrant_type = \"refresh_token\"\nclient_id = \"x\"\n"
    ));
    bed.run_with_input(&["import", "crm"], br#"{"refresh_token":"kept"}"#);
    let told = bed.run(&["doctor"]);
    assert_eq!(told.code, 78, "{told:?}");
    assert!(told.stdout.contains("metadata-invalid"), "{told:?}");
    let added = bed.run(&["add", "other", "--issuer", &format!("http://{address}"), "--client-id", "x"]);
    added.assert_failed(78, "metadata-invalid");
    assert!(!text(&bed.config_path()).contains("grant.other"));
    let told = bed.run(&["token", "crm"]);
    assert_eq!(told.code, 78, "{told:?}");
    assert_eq!(bed.generation("crm"), 1, "the token set is kept");
}

#[test]
fn a_token_answer_that_is_no_token_set_spends_nothing() {
    let huge = format!(r#"{{"access_token":"{}"}}"#, "x".repeat(400 * 1024));
    let answers = [
        ("text/html", "<html>Bad Gateway</html>"),
        ("application/json", ""),
        ("application/json", r#"{"access_token":"cut"#),
        ("application/json", huge.as_str()),
        ("application/json", r#"{"access_token":"x","token_type":"mac"}"#),
        ("image/png", "\u{1}\u{2}\u{3}"),
    ];
    // Side by side: each waits for a server that might get well.
    std::thread::scope(|scope| {
        for (kind, answer) in answers {
            scope.spawn(move || spends_nothing(kind, answer));
        }
    });
}

fn spends_nothing(kind: &str, answer: &str) {
    let bed = Bed::new();
    let address = answering(kind, answer);
    bed.configure(&format!(
        "[grant.crm]\ntoken_endpoint = \"http://{address}/token\"\ngrant_type = \"refresh_token\"\nclient_id = \"x\"\n"
    ));
    bed.run_with_input(&["import", "crm"], br#"{"refresh_token":"kept"}"#);
    let told = bed.command(&["token", "crm", "--json"]).output().unwrap();
    let stderr = String::from_utf8(told.stderr).unwrap();
    let shown = answer.chars().take(30).collect::<String>();
    assert_eq!(told.status.code(), Some(75), "{kind} {shown}: {stderr}");
    assert!(told.stdout.is_empty(), "{kind} {shown}");
    let object: serde_json::Value = serde_json::from_str(stderr.trim()).unwrap();
    assert!(Path::new("../..").join(object["see"].as_str().unwrap()).exists(), "{object}");
    assert_eq!(bed.generation("crm"), 1, "{kind} {shown}");
}

#[test]
fn a_full_disk_serves_a_good_token_and_spends_no_refresh_token() {
    let bed = Bed::new();
    let issued = bed.import("crm");
    // No file may grow, and the signal for it is ignored: what is left is the error of a full disk.
    let on_a_full_disk = |arguments: &str| {
        let script = format!("trap '' XFSZ; ulimit -f 0; exec \"$0\" {arguments}");
        let mut command = std::process::Command::new("sh");
        command.args(["-c", &script, env!("CARGO_BIN_EXE_outlast")]);
        command.env_clear().env("HOME", bed.home()).env("PATH", "/usr/bin:/bin").env("CRM_SECRET", SECRET);
        command.output().unwrap()
    };
    let held = on_a_full_disk("token crm");
    assert_eq!(String::from_utf8_lossy(&held.stdout).trim(), issued.access);
    let refused = on_a_full_disk("token crm --renew");
    let stderr = String::from_utf8_lossy(&refused.stderr);
    assert_eq!(refused.status.code(), Some(78), "{stderr}");
    assert!(stderr.contains("error[store-unwritable]"), "{stderr}");
    assert_eq!(bed.sandbox.counters().token_requests, 0, "nothing was spent");
    assert_eq!(bed.run(&["token", "crm", "--renew"]).code, 0, "and nothing was lost");
}

#[test]
fn a_store_of_a_newer_version_is_left_alone() {
    let bed = Bed::new();
    bed.import("crm");
    let database = bed.state().join("outlast.db");
    let mut bytes = std::fs::read(&database).unwrap();
    // SQLite keeps user_version at offset 60, big-endian (file format, section 1.3).
    bytes[60..64].copy_from_slice(&99_u32.to_be_bytes());
    std::fs::write(&database, &bytes).unwrap();
    bed.run(&["token", "crm"]).assert_failed(78, "store-too-new");
    bed.run_with_input(&["import", "crm"], br#"{"access_token":"a"}"#).assert_failed(78, "store-too-new");
    assert_eq!(std::fs::read(&database).unwrap(), bytes, "not a byte was changed");
}

#[test]
fn a_store_that_others_may_read_is_refused_with_the_command_that_mends_it() {
    let bed = Bed::new();
    let issued = bed.import("crm");
    std::fs::set_permissions(bed.state(), std::fs::Permissions::from_mode(0o755)).unwrap();
    let told = bed.run(&["token", "crm"]);
    told.assert_failed(78, "store-insecure");
    assert!(told.stderr.contains("chmod 700"), "{told:?}");
    std::fs::set_permissions(bed.state(), std::fs::Permissions::from_mode(0o700)).unwrap();
    assert_eq!(bed.run(&["token", "crm"]).stdout.trim(), issued.access);
}

#[test]
fn a_home_that_cannot_be_written_spends_no_refresh_token() {
    let bed = Bed::new();
    // A file where the folder should be: nothing can be made below it, by root either.
    std::fs::write(bed.home().join("file"), "").unwrap();
    let home = bed.home().join("file/state");
    let output = bed.command(&["token", "crm"]).env("OUTLAST_HOME", &home).output().unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(78), "{stderr}");
    assert!(stderr.contains("error[store-unwritable]"), "{stderr}");
    assert_eq!(bed.sandbox.counters().token_requests, 0);
}

#[test]
fn a_read_only_store_serves_a_good_token_and_spends_no_refresh_token() {
    let bed = Bed::new();
    let issued = bed.import("crm");
    let writable = |mode| {
        for name in ["", "locks", "outlast.db"] {
            let mode = if name == "outlast.db" { mode & 0o600 } else { mode };
            std::fs::set_permissions(bed.state().join(name), std::fs::Permissions::from_mode(mode)).unwrap();
        }
    };
    writable(0o500);
    if std::fs::File::create(bed.state().join("probe")).is_ok() {
        println!("skipped: this user may write to folders that nobody may write to");
        writable(0o700);
        return;
    }
    assert_eq!(bed.run(&["token", "crm"]).stdout.trim(), issued.access);
    bed.run(&["token", "crm", "--renew"]).assert_failed(78, "store-unwritable");
    assert_eq!(bed.sandbox.counters().token_requests, 0, "nothing was spent");
    writable(0o700);
    assert_eq!(bed.run(&["token", "crm", "--renew"]).code, 0);
}

#[test]
fn output_that_cannot_be_written_is_no_success() {
    let bed = Bed::new();
    bed.import("crm");
    let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let output = bed.command(&["token", "crm"]).stdout(full).output().unwrap();
    assert_eq!(output.status.code(), Some(78), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn a_lost_answer_is_found_out_and_never_alarms_the_server_twice() {
    let bed = Bed::new();
    bed.import("crm");
    bed.sandbox.fault(Fault::LostAnswer, Lasting::Times(1));
    let told = bed.run(&["token", "crm", "--renew"]);
    assert!([75, 77].contains(&told.code), "{told:?}");
    assert_eq!(told.stdout, "");
    assert!(told.stderr.contains("do not use another credential"), "{told:?}");
    assert!(bed.sandbox.counters().reuse_alarms <= 1);
}

/// A server on loopback that gives everybody the same answer.
fn answering(kind: &str, body: &str) -> std::net::SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let answer = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    );
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let (mut stream, answer) = (stream.unwrap(), answer.clone());
            std::thread::spawn(move || {
                let mut request = [0; 64 * 1024];
                let _ = stream.read(&mut request);
                let _ = stream.write_all(answer.as_bytes());
            });
        }
    });
    address
}
