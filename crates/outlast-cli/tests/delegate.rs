//! Grants that another tool owns: its command is run, its token is kept, its refresh token is not.
#![allow(clippy::unwrap_used, clippy::disallowed_methods, reason = "a test stops at the first surprise")]

mod support;

use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::Stdio;
use support::Bed;

/// A tool that counts its runs and then does as `script` says.
fn tool(bed: &Bed, script: &str) -> (PathBuf, PathBuf) {
    let (program, runs) = (bed.home().join("tool"), bed.home().join("runs"));
    let text = format!("#!/bin/sh\necho run >> {}\n{script}\n", runs.display());
    std::fs::write(&program, text).unwrap();
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
    (program, runs)
}

fn configured(bed: &Bed, script: &str, more: &str) -> PathBuf {
    let (program, runs) = tool(bed, script);
    bed.configure(&format!(
        "[grant.gh]\ngrant_type = \"delegate\"\ncommand = [\"{}\", \"auth\", \"token\"]\n{more}",
        program.display()
    ));
    runs
}

fn runs(path: &PathBuf) -> usize {
    std::fs::read_to_string(path).unwrap_or_default().lines().count()
}

#[test]
fn r21_a_tools_token_is_served_and_the_tool_is_run_once_while_it_is_good() {
    let bed = Bed::new();
    let script = r#"echo '{"access_token":"token-1","expires_in":3600,"refresh_token":"CANARY-refresh"}'"#;
    let ran = configured(&bed, script, "");
    for _ in 0..3 {
        let said = bed.run(&["token", "gh"]);
        assert_eq!((said.code, said.stdout.trim()), (0, "token-1"), "{said:?}");
    }
    assert_eq!(runs(&ran), 1);
    let kept = bed.run(&["status", "gh", "--json"]);
    assert!(!kept.stdout.contains("CANARY"), "{kept:?}");
    // What is sealed cannot be searched for: the record itself is looked at.
    let grant = outlast::GrantId::parse("gh").unwrap();
    let record = outlast::read_record(&bed.state(), &outlast::KeySource::File, &grant).unwrap().unwrap();
    assert!(record.tokens.unwrap().refresh.is_none(), "the refresh token stays with the tool");
}

#[test]
fn r1_many_processes_run_the_tool_once() {
    let bed = Bed::new();
    let ran = configured(&bed, "sleep 0.3\necho token-1", "token_life = \"1h\"\n");
    let children: Vec<_> =
        (0..8).map(|_| bed.command(&["token", "gh"]).stdout(Stdio::piped()).spawn().unwrap()).collect();
    for child in children {
        let said = child.wait_with_output().unwrap();
        assert_eq!(String::from_utf8_lossy(&said.stdout).trim(), "token-1");
    }
    assert_eq!(runs(&ran), 1);
}

#[test]
fn a_tool_that_is_signed_out_is_told_of_without_its_secrets() {
    let bed = Bed::new();
    let secret = "gho_CANARY6C7e42F292c6912E7710c838347Ae178B4a";
    configured(&bed, &format!("echo 'not signed in, token: {secret}' >&2\nexit 4"), "");
    let said = bed.run(&["token", "gh"]);
    assert_eq!(said.code, 77, "{said:?}");
    for wanted in ["command-failed", "exit status: 4", "not signed in", "sign in with the tool"] {
        assert!(said.stderr.contains(wanted), "{wanted}: {}", said.stderr);
    }
    assert!(!said.stderr.contains("CANARY") && said.stdout.is_empty(), "{said:?}");
    let status = bed.run(&["status", "gh"]);
    assert!(status.stdout.contains("sign in again with the tool"), "{status:?}");
}

#[test]
fn a_mistake_in_the_configuration_of_a_tool_is_told_at_once() {
    let bed = Bed::new();
    for (text, wanted) in [
        ("[grant.gh]\ngrant_type = \"delegate\"\n", "has grant type delegate and no `command`"),
        ("[grant.gh]\ngrant_type = \"delegate\"\ncommand = [\"gh\"]\nformat = \"yaml\"\n", "unknown `format`"),
        (
            "[grant.gh]\ngrant_type = \"delegate\"\ncommand = [\"gh\"]\ntoken_pointer = \"/a\"\n",
            "set format = \"json\"",
        ),
        ("[grant.gh]\ngrant_type = \"delegate\"\ncommand = []\n", "names no program"),
    ] {
        bed.configure(text);
        let said = bed.run(&["token", "gh"]);
        assert!(said.code == 78 && said.stderr.contains(wanted), "{wanted}: {said:?}");
    }
}
