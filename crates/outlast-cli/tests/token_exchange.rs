//! `token_exchange` by the real binary against a certified authorization server.
#![allow(clippy::unwrap_used, missing_docs)]
#![allow(clippy::disallowed_methods, reason = "a test prepares files and reads its own environment")]

mod support;

use outlast_testkit::peer::OidcProvider;
use serde_json::Value;
use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Output, Stdio};
use support::home::Watched;

struct World {
    server: OidcProvider,
    watched: Watched,
    folder: tempfile::TempDir,
}

impl World {
    fn start_unchecked(exchange: &str) -> Option<Self> {
        let server = OidcProvider::start(&[("ACCESS_TTL", "600")])?;
        let folder = tempfile::tempdir().unwrap();
        let (issuer, api) = (server.issuer(), server.api());
        let client = format!(
            "issuer = \"{issuer}\"\nclient_id = \"basic\"\nclient_secret = {{ env = \"SECRET\" }}\n\
             scope = [\"api:read\"]\nresource = \"{api}/api\"\nupstream = \"{api}\"\n"
        );
        let text = format!(
            "[grant.person]\ngrant_type = \"authorization_code\"\n{client}\n\
             [grant.agent]\ngrant_type = \"client_credentials\"\nissuer = \"{issuer}\"\nclient_id = \"post\"\n\
             client_secret = {{ env = \"POST_SECRET\" }}\nclient_auth = \"client_secret_post\"\n\
             resource = \"{api}/api\"\n\n\
             [grant.service]\ngrant_type = \"token_exchange\"\n{exchange}\n{client}\n[proxy]\nlisten = \"127.0.0.1:0\"\n"
        );
        let config = folder.path().join("outlast.toml");
        fs::write(&config, text).unwrap();
        fs::set_permissions(&config, fs::Permissions::from_mode(0o600)).unwrap();
        let watched = Watched::over(folder.path());
        Some(Self { server, watched, folder })
    }

    /// With a token set of the person.
    fn start(exchange: &str) -> Option<Self> {
        let world = Self::start_unchecked(exchange)?;
        let tokens = world.server.mint("basic").to_string();
        let mut child = world.outlast(&["import", "person"]).spawn().unwrap();
        child.stdin.take().unwrap().write_all(tokens.as_bytes()).unwrap();
        assert!(child.wait_with_output().unwrap().status.success());
        Some(world)
    }

    fn outlast(&self, arguments: &[&str]) -> Command {
        let mut command = support::outlast(self.folder.path(), arguments);
        command.env("SECRET", "basic-secret").env("POST_SECRET", "post-secret").stdin(Stdio::piped());
        command
    }

    fn run(&self, arguments: &[&str]) -> Output {
        let output = self.outlast(arguments).stdin(Stdio::null()).output().unwrap();
        self.watched.look(&output);
        output
    }

    fn counter(&self, pointer: &str) -> u64 {
        self.server.counters().pointer(pointer).and_then(Value::as_u64).unwrap_or_default()
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

const EXCHANGE: &str = "/token_success/urn:ietf:params:oauth:grant-type:token-exchange";

#[test]
fn n27_a_token_is_exchanged_and_exchanged_anew_without_spending_anything() {
    let Some(world) = World::start("subject_grant = \"person\"") else { return };
    let first = world.run(&["token", "service"]);
    assert!(first.status.success(), "{}", text(&first.stderr));
    assert_ne!(first.stdout, world.run(&["token", "person"]).stdout);
    let again = world.run(&["token", "service", "--renew"]);
    assert!(again.status.success() && again.stdout != first.stdout, "{}", text(&again.stderr));
    assert_eq!((world.counter(EXCHANGE), world.counter("/refreshes")), (2, 0));
}

const ACTED: &str = "subject_grant = \"person\"\nactor_grant = \"agent\"";

#[test]
fn n27_who_acts_and_for_whom_stay_two() {
    let Some(world) = World::start(ACTED) else { return };
    let told = world.run(&["token", "service"]);
    assert!(told.status.success(), "{}", text(&told.stderr));
    let exchanges = world.server.counters()["exchanges"].clone();
    assert_eq!(exchanges, serde_json::json!([{ "subject": "alice", "actor": "post" }]));
    world.server.kill_access_tokens();
    let again = world.run(&["token", "service", "--renew"]);
    assert!(again.status.success(), "both are brought anew, once: {}", text(&again.stderr));
    assert_eq!(world.server.counters()["exchanges"][1], exchanges[0]);
    assert_eq!((world.counter(EXCHANGE), world.counter("/refreshes")), (2, 1));
    assert_eq!(world.counter("/token_success/client_credentials"), 2);
}

#[test]
fn n27_an_actor_that_cannot_be_had_is_named_and_nothing_is_exchanged_without_it() {
    let Some(world) = World::start(ACTED) else { return };
    let mut token = world.outlast(&["token", "service"]);
    let told = token.env("POST_SECRET", "CANARY-wrong").stdin(Stdio::null()).output().unwrap();
    let told_text = text(&told.stderr);
    assert_eq!(told.status.code(), Some(78), "{told_text}");
    assert!(told_text.contains("grant agent") && !told_text.contains("CANARY"), "{told_text}");
    assert_eq!(world.counter(EXCHANGE), 0);
}

#[test]
fn a_refused_subject_token_is_renewed_once_and_the_exchange_goes_on() {
    let Some(world) = World::start("subject_grant = \"person\"") else { return };
    world.server.kill_access_tokens();
    let told = world.run(&["token", "service"]);
    assert!(told.status.success(), "{}", text(&told.stderr));
    assert_eq!((world.counter(EXCHANGE), world.counter("/refreshes")), (1, 1));
    assert_eq!(world.counter("/reuse_detections"), 0);
}

#[test]
fn a_subject_grant_that_needs_its_person_is_named() {
    let Some(world) = World::start("subject_grant = \"person\"") else { return };
    world.server.revoke_grants("basic");
    let told = world.run(&["token", "service"]);
    assert_eq!(told.status.code(), Some(77), "{}", text(&told.stderr));
    assert!(text(&told.stderr).contains("grant person needs its owner"), "{}", text(&told.stderr));
}

#[test]
fn n44_a_child_gets_the_exchanged_grant_and_not_the_one_behind_it() {
    let Some(world) = World::start("subject_grant = \"person\"") else { return };
    let script = r#"
import os, urllib.request, urllib.error
print(*os.environ)
for base in os.environ["OUTLAST_URL"] + "/person", os.environ["OUTLAST_SERVICE_URL"]:
    request = urllib.request.Request(base + "/api/whoami")
    request.add_header("Authorization", "Bearer " + os.environ["OUTLAST_CAPABILITY"])
    try:
        print(urllib.request.urlopen(request).status)
    except urllib.error.HTTPError as refused:
        print(refused.code)
"#;
    let told = world.run(&["run", "--grant", "service", "--", "python3", "-c", script]);
    let printed = text(&told.stdout);
    assert!(printed.contains("OUTLAST_SERVICE_URL") && !printed.contains("OUTLAST_PERSON"), "{printed}");
    assert!(printed.ends_with("404\n200\n"), "{printed} {}", text(&told.stderr));
}

#[test]
fn exchanges_in_a_circle_or_from_nothing_are_refused_before_anything_is_sent() {
    for (exchange, says) in [
        ("subject_grant = \"service\"", "itself"),
        ("subject_grant = \"persn\"", "did you mean `person`"),
        ("audience = [\"x\"]", "has nothing to exchange"),
        ("subject_grant = \"person\"\nactor_grant = \"service\"", "act for itself"),
        ("subject_grant = \"person\"\nactor_grant = \"person\"", "who acts and for whom"),
        ("subject_grant = \"person\"\nactor_grant = \"agnt\"", "did you mean `agent`"),
        ("subject_grant = \"person\"\nactor_token_type = \"urn:x\"", "names none"),
    ] {
        let Some(world) = World::start_unchecked(exchange) else { return };
        let told = world.run(&["token", "service"]);
        assert_eq!(told.status.code(), Some(78), "{}", text(&told.stderr));
        assert!(text(&told.stderr).contains(says), "{exchange}: {}", text(&told.stderr));
        assert_eq!(world.counter("/endpoints/token"), 0);
    }
}
