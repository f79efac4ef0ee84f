//! `outlast add --resource` by the real binary against a certified authorization server.
#![allow(clippy::unwrap_used, missing_docs)]
#![allow(clippy::disallowed_methods, reason = "a test prepares files and reads its own environment")]

mod support;

use outlast_testkit::peer::OidcProvider;
use serde_json::Value;
use std::process::Output;

fn add(folder: &std::path::Path, arguments: &[&str]) -> Output {
    support::outlast(folder, &[&["add"], arguments].concat()).output().unwrap()
}

#[test]
fn n43_n46_a_resource_is_enough_to_write_its_grant() {
    let Some(server) = OidcProvider::start(&[]) else { return };
    let folder = tempfile::tempdir().unwrap();
    let resource = format!("{}/mcp", server.api());
    let told = add(folder.path(), &["notes", "--resource", &resource, "--json"]);
    let stderr = String::from_utf8_lossy(&told.stderr);
    assert!(told.status.success(), "{stderr}");
    assert!(stderr.contains("a client will be registered at the login"), "{stderr}");
    let found: Value = serde_json::from_slice(&told.stdout).unwrap();
    assert_eq!(found["issuer"], server.issuer());
    assert_eq!((&found["resource"], &found["upstream"]), (&resource.clone().into(), &server.api().into()));
    assert_eq!(found["next"], "outlast login notes");
    let text = std::fs::read_to_string(folder.path().join("outlast.toml")).unwrap();
    assert!(text.contains("mcp = true") && !text.contains("client_id"), "{text}");
}

#[test]
fn n39_a_resource_that_publishes_nothing_writes_nothing() {
    let Some(server) = OidcProvider::start(&[]) else { return };
    let folder = tempfile::tempdir().unwrap();
    let told = add(folder.path(), &["notes", "--resource", &format!("{}/public", server.api())]);
    assert_eq!(told.status.code(), Some(78), "{}", String::from_utf8_lossy(&told.stderr));
    assert!(!folder.path().join("outlast.toml").exists());
}
