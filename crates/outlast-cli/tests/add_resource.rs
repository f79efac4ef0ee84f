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
    assert!(text.contains("mcp = true\nreach = \"loopback\"\n") && !text.contains("client_id"), "{text}");
}

#[test]
fn n40_the_reach_that_was_written_down_holds_for_the_login_and_for_doctor() {
    let Some(server) = OidcProvider::start(&[]) else { return };
    let folder = tempfile::tempdir().unwrap();
    let told = add(folder.path(), &["notes", "--resource", &format!("{}/mcp", server.api())]);
    assert!(told.status.success(), "{}", String::from_utf8_lossy(&told.stderr));
    let told = support::outlast(folder.path(), &["doctor", "--json"]).output().unwrap();
    assert!(String::from_utf8_lossy(&told.stdout).contains("answers; token endpoint"), "{told:?}");
    // As for a resource on the open internet whose server's name leads to this machine by now.
    let config = folder.path().join("outlast.toml");
    let text = std::fs::read_to_string(&config).unwrap();
    std::fs::write(&config, text.replace("reach = \"loopback\"", "reach = \"public\"")).unwrap();
    let asked = server.counters();
    for arguments in [&["login", "notes", "--no-browser"] as &[_], &["doctor"]] {
        let told = support::outlast(folder.path(), arguments).output().unwrap();
        let said = format!("{}{}", String::from_utf8_lossy(&told.stdout), String::from_utf8_lossy(&told.stderr));
        assert_eq!(told.status.code(), Some(78), "{arguments:?}: {said}");
        assert!(said.contains("an address in a private network or on this machine"), "{arguments:?}: {said}");
    }
    assert_eq!(server.counters(), asked, "nothing was asked of it");
}

#[test]
fn n39_a_resource_that_publishes_nothing_writes_nothing() {
    let Some(server) = OidcProvider::start(&[]) else { return };
    let folder = tempfile::tempdir().unwrap();
    let told = add(folder.path(), &["notes", "--resource", &format!("{}/public", server.api())]);
    assert_eq!(told.status.code(), Some(78), "{}", String::from_utf8_lossy(&told.stderr));
    assert!(!folder.path().join("outlast.toml").exists());
}

#[test]
fn n51_add_says_which_client_will_sign_in_and_refuses_a_grant_that_could_have_none() {
    const DOCUMENT: &str = "https://client.example.com/outlast.json";
    let document = ["--client-document", DOCUMENT];
    let id = ["--client-id", DOCUMENT];
    type Case<'c> = (&'c [(&'c str, &'c str)], &'c [&'c str], Option<i32>, &'c str);
    let table: &[Case<'_>] = &[
        (&[("CLIENT_DOCUMENTS", "1")], &document, Some(0), "the client is the one that the document describes"),
        (&[("CLIENT_DOCUMENTS", "0")], &document, Some(0), "does not take documents about clients"),
        (&[("CLIENT_DOCUMENTS", "0")], &id, Some(0), "does not say that it takes the address of a document"),
        (&[("CLIENT_DOCUMENTS", "1"), ("REGISTRATION", "0")], &[], Some(78), "add --client-document URL"),
        (&[("CLIENT_DOCUMENTS", "0"), ("REGISTRATION", "0")], &document, Some(78), "takes no document about one"),
        (&[("CLIENT_DOCUMENTS", "0"), ("REGISTRATION", "0")], &[], Some(78), "then add --client-id ID"),
    ];
    for (config, arguments, exit, said) in table {
        let Some(server) = OidcProvider::start(config) else { return };
        let folder = tempfile::tempdir().unwrap();
        let resource = format!("{}/mcp", server.api());
        let told = add(folder.path(), &[&["notes", "--resource", &resource], *arguments].concat());
        let stderr = String::from_utf8_lossy(&told.stderr);
        assert_eq!(told.status.code(), *exit, "{config:?} {arguments:?}: {stderr}");
        assert!(stderr.contains(said), "{config:?} {arguments:?}: {stderr}");
        let written = std::fs::read_to_string(folder.path().join("outlast.toml")).unwrap_or_default();
        assert_eq!(
            written.contains("client_document = "),
            *exit == Some(0) && arguments[0] == document[0],
            "{written}"
        );
    }
}
