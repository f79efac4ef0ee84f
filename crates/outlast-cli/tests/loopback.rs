//! Where the browser comes back to on machines that have one family of addresses only (N16).
#![allow(clippy::unwrap_used, clippy::print_stderr, missing_docs)]
#![allow(clippy::disallowed_methods, reason = "a test prepares files")]

mod support;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output};

/// Whether networks of one's own can be made here, with the means to arrange them; says so if not.
fn has_networks() -> bool {
    let made = Command::new("unshare").args(["-rn", "ip", "link"]).output();
    let can = made.is_ok_and(|told| told.status.success());
    if !can {
        eprintln!("skipped: no network namespace can be made here (unshare -rn)");
    }
    can
}

/// A login on a machine whose loopback has the addresses of these families alone. The provider is a
/// preset: nothing is looked up, and the network leads nowhere.
fn login(families: &str, redirect_uri: &str) -> Output {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("outlast.toml");
    fs::write(&config, format!("[grant.crm]\nprovider = \"github\"\nclient_id = \"client\"\n{redirect_uri}")).unwrap();
    fs::set_permissions(&config, fs::Permissions::from_mode(0o600)).unwrap();
    let arguments = ["login", "crm", "--browser", "--json", "--timeout", "20s"];
    let plain = support::outlast(folder.path(), &arguments);
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/support/families.py");
    let mut apart = Command::new("unshare");
    apart.args(["-rn", "python3", script.to_str().unwrap(), families]);
    apart.arg(plain.get_program()).args(plain.get_args()).env_clear();
    apart.envs(plain.get_envs().filter_map(|(name, value)| Some((name, value?))));
    apart.output().unwrap()
}

/// It was listened there, and the browser's answer arrived.
#[track_caller]
fn assert_arrived(told: &Output, at: &str) {
    let (out, err) = (String::from_utf8_lossy(&told.stdout), String::from_utf8_lossy(&told.stderr));
    assert!(out.starts_with(at) && out.trim_end().ends_with("/callback 200"), "{out}{err}");
    assert!(err.contains("\"code\":\"login-denied\""), "{out}{err}");
}

#[test]
fn n16_a_machine_of_one_family_alone_is_come_back_to_at_its_literal() {
    if !has_networks() {
        return;
    }
    assert_arrived(&login("v4", ""), "http://127.0.0.1:");
    assert_arrived(&login("v6", ""), "http://[::1]:");
    assert_arrived(&login("v4,v6", ""), "http://127.0.0.1:");
}

#[test]
fn n16_localhost_is_listened_to_on_the_family_that_there_is() {
    if !has_networks() {
        return;
    }
    let registered = "redirect_uri = \"http://localhost/callback\"\n";
    for families in ["v4", "v6", "v4,v6"] {
        assert_arrived(&login(families, registered), "http://localhost:");
    }
}

#[test]
fn n16_a_machine_without_loopback_is_told_to_paste() {
    if !has_networks() {
        return;
    }
    for registered in ["", "redirect_uri = \"http://localhost/callback\"\n"] {
        let told = login("none", registered);
        let err = String::from_utf8_lossy(&told.stderr).into_owned();
        assert!(err.contains("login-unavailable") && err.contains("nothing can listen on loopback"), "{err}");
        assert!(told.stdout.is_empty(), "nobody is sent anywhere");
    }
}
