//! The real binary against a certified authorization server that nobody here wrote.
#![allow(clippy::unwrap_used, missing_docs)]
#![allow(
    clippy::disallowed_methods,
    reason = "a test prepares files, reads its own environment and waits for real time"
)]

mod support;

use outlast_testkit::peer::OidcProvider;
use serde_json::{Value, json};
use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;
use support::home::Watched;

struct World {
    server: OidcProvider,
    watched: Watched,
    folder: tempfile::TempDir,
}

impl World {
    /// A server, and a configuration of the grant `crm` for one of its clients; nothing if the
    /// server is not installed.
    fn start(ttl: &str, client: &str, secret: &str, grant_type: &str, more: &str) -> Option<Self> {
        let server = OidcProvider::start(&[("ACCESS_TTL", ttl)])?;
        let folder = tempfile::tempdir().unwrap();
        let config = folder.path().join("outlast.toml");
        let (issuer, api) = (server.issuer(), server.api());
        let text = format!(
            "[grant.crm]\nissuer = \"{issuer}\"\ngrant_type = \"{grant_type}\"\nclient_id = \"{client}\"\n\
             client_secret = {{ env = \"CRM_SECRET\" }}\nscope = [\"api:read\"]\n\
             resource = \"{api}/api\"\nupstream = \"{api}\"\n{more}"
        );
        fs::write(&config, text).unwrap();
        fs::set_permissions(&config, fs::Permissions::from_mode(0o600)).unwrap();
        fs::write(folder.path().join("secret"), secret).unwrap();
        let watched = Watched::over(folder.path());
        Some(Self { server, watched, folder })
    }

    fn refreshable(ttl: &str) -> Option<Self> {
        let world = Self::start(ttl, "basic", "basic-secret", "authorization_code", "")?;
        world.import(&world.server.mint("basic"));
        Some(world)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn outlast(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_outlast"));
        command
            .args(arguments)
            .env_clear()
            .env("PATH", std::env::var("PATH").unwrap())
            .env("HOME", self.folder.path())
            .env("OUTLAST_CONFIG", self.path("outlast.toml"))
            .env("OUTLAST_HOME", self.path("state"))
            .env("OUTLAST_SOCKET", self.path("run/control.sock"))
            .env("CRM_SECRET", fs::read_to_string(self.path("secret")).unwrap())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    fn import(&self, tokens: &Value) {
        let mut child = self.outlast(&["import", "crm"]).spawn().unwrap();
        child.stdin.take().unwrap().write_all(tokens.to_string().as_bytes()).unwrap();
        let output = child.wait_with_output().unwrap();
        self.watched.look(&output);
        assert!(output.status.success(), "{}", text(&output.stderr));
    }

    fn agent(&self, seconds: &str) -> Child {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/support/agent.py");
        self.outlast(&["run", "--grant", "crm", "--", "python3", script.to_str().unwrap(), seconds]).spawn().unwrap()
    }

    fn counter(&self, pointer: &str) -> u64 {
        let counters = self.server.counters();
        counters.pointer(pointer).and_then(Value::as_u64).unwrap_or_else(|| panic!("no {pointer} in {counters}"))
    }

    fn assert_strict_server_is_content(&self) {
        assert_eq!(self.counter("/reuse_detections"), 0);
        assert_eq!(self.counter("/grants_revoked"), 0);
        assert!(self.counter("/max_concurrent_refresh_per_grant") <= 1);
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// What the agent counted, by status.
fn counted(agent: Child) -> Value {
    let output: Output = agent.wait_with_output().unwrap();
    let said = text(&output.stderr);
    assert!(output.status.success(), "{said}");
    let mut counts: Value =
        serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{}", text(&output.stdout)));
    // What was refused, and when.
    if counts.as_object().unwrap().keys().any(|status| status != "200") {
        counts["said"] = said.into();
    }
    counts
}

fn assert_only_200(counts: &Value) {
    let statuses: Vec<_> = counts.as_object().unwrap().keys().collect();
    assert_eq!(statuses, ["200"], "{counts}");
    assert!(counts["200"].as_u64().unwrap() > 100, "{counts}");
}

#[test]
fn an_agent_works_for_a_minute_on_tokens_of_three_seconds() {
    let Some(world) = World::refreshable("3") else { return };
    assert_only_200(&counted(world.agent("60")));
    world.assert_strict_server_is_content();
    let refreshes = world.counter("/refreshes");
    assert!((20..=30).contains(&refreshes), "{refreshes} refreshes in twenty lives of three seconds");
}

#[test]
fn l3_with_tokens_of_ten_seconds_the_resource_sees_no_refusal_at_all() {
    let Some(world) = World::refreshable("10") else { return };
    assert_only_200(&counted(world.agent("25")));
    world.assert_strict_server_is_content();
    assert_eq!(world.counter("/api/unauthorized/total"), 0);
    assert!((2..=4).contains(&world.counter("/refreshes")));
}

#[test]
fn all_access_tokens_killed_under_load_cost_one_refresh_and_no_visible_failure() {
    let Some(world) = World::refreshable("600") else { return };
    let agent = world.agent("6");
    while world.counter("/api/total") < 50 {
        std::thread::sleep(Duration::from_millis(20));
    }
    world.server.kill_access_tokens();
    assert_only_200(&counted(agent));
    world.assert_strict_server_is_content();
    assert_eq!(world.counter("/refreshes"), 1);
}

#[test]
fn r1_fifty_processes_at_expiry_cause_one_refresh_and_print_one_answer() {
    let Some(world) = World::refreshable("600") else { return };
    let mut tokens = world.server.mint("basic");
    tokens["expires_in"] = json!(1);
    world.import(&tokens);
    std::thread::sleep(Duration::from_millis(1100));
    let asking: Vec<_> = (0..50).map(|_| world.outlast(&["token", "crm"]).spawn().unwrap()).collect();
    let answers: Vec<_> = asking.into_iter().map(|child| child.wait_with_output().unwrap()).collect();
    for answer in &answers {
        assert!(answer.status.success(), "{}", text(&answer.stderr));
        assert_eq!(answer.stdout, answers[0].stdout);
    }
    world.assert_strict_server_is_content();
    assert_eq!(world.counter("/refreshes"), 1);
}

#[test]
fn n02_client_credentials_are_minted_whatever_characters_id_and_secret_have() {
    for (client, secret, more) in [
        ("basic", "basic-secret", ""),
        ("post", "post-secret", "client_auth = \"client_secret_post\"\n"),
        ("odd:client+1", "s3cr+t/with=odd%25 &?:chars", ""),
    ] {
        let Some(world) = World::start("600", client, secret, "client_credentials", more) else { return };
        let output = world.outlast(&["token", "crm"]).output().unwrap();
        assert!(output.status.success(), "{client}: {}", text(&output.stderr));
        assert!(text(&output.stdout).trim().len() > 20);
        assert!(output.stdout.ends_with(b"\n") && !text(&output.stdout).trim().contains(char::is_whitespace));
    }
}

#[test]
fn a_dead_grant_exits_77_and_a_wrong_secret_78_and_neither_loses_anything() {
    let Some(world) = World::refreshable("600") else { return };
    let mut tokens = world.server.mint("basic");
    tokens["expires_in"] = json!(1);
    world.import(&tokens);
    std::thread::sleep(Duration::from_millis(1100));
    fs::write(world.path("secret"), "wrong").unwrap();
    let wrong = world.outlast(&["token", "crm"]).output().unwrap();
    assert_eq!(wrong.status.code(), Some(78), "{}", text(&wrong.stderr));
    assert!(text(&wrong.stderr).contains("client-misconfigured"), "{}", text(&wrong.stderr));
    fs::write(world.path("secret"), "basic-secret").unwrap();
    let mended = world.outlast(&["token", "crm"]).output().unwrap();
    assert!(mended.status.success(), "mending the secret ends the pause: {}", text(&mended.stderr));

    world.server.fault(&json!({"kind": "oauth_error", "on": "token", "error": "invalid_grant", "status": 400}));
    let dead = world.outlast(&["token", "crm", "--renew"]).output().unwrap();
    assert_eq!(dead.status.code(), Some(77), "{}", text(&dead.stderr));
    assert!(text(&dead.stderr).contains("do not use another credential"), "{}", text(&dead.stderr));
}

#[test]
fn a_lost_answer_within_the_servers_grace_costs_no_login() {
    let Some(world) = World::refreshable("600") else { return };
    world.server.set_config(&json!({"rotation_grace_s": 60}));
    world.server.fault(&json!({"kind": "drop", "on": "token", "times": 1}));
    let output = world.outlast(&["token", "crm", "--renew"]).output().unwrap();
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert_eq!(world.counter("/lost_responses"), 1);
}
