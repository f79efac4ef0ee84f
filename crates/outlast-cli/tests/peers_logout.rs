//! Signing out and asking how a token stands, with the real binary against a certified server.
#![allow(clippy::unwrap_used, missing_docs)]
#![allow(clippy::disallowed_methods, reason = "a test prepares files and hands on its own PATH")]

mod support;

use outlast_testkit::peer::OidcProvider;
use serde_json::{Value, json};
use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Stdio};
use support::home::Watched;

struct World {
    server: OidcProvider,
    watched: Watched,
    folder: tempfile::TempDir,
}

struct Ran {
    code: i32,
    stdout: String,
    stderr: String,
}

impl World {
    /// Grants of the client `basic`, by these names; nothing if the server is not installed.
    fn start(names: &[&str]) -> Option<Self> {
        let server = OidcProvider::start(&[("ACCESS_TTL", "600")])?;
        let folder = tempfile::tempdir().unwrap();
        let (issuer, api) = (server.issuer(), server.api());
        let grant = |name: &&str| {
            format!(
                "[grant.{name}]\nissuer = \"{issuer}\"\ngrant_type = \"authorization_code\"\nclient_id = \"basic\"\n\
                 client_secret = \"basic-secret\"\nscope = [\"api:read\"]\nresource = \"{api}/api\"\n\
                 upstream = \"{api}\"\n"
            )
        };
        let config = folder.path().join("outlast.toml");
        fs::write(&config, names.iter().map(grant).collect::<String>()).unwrap();
        fs::set_permissions(&config, fs::Permissions::from_mode(0o600)).unwrap();
        let watched = Watched::over(folder.path());
        let world = Self { server, watched, folder };
        for name in names {
            let imported = world.run(&["import", name], &world.server.mint("basic").to_string());
            assert_eq!(imported.code, 0, "{}", imported.stderr);
        }
        Some(world)
    }

    fn run(&self, arguments: &[&str], input: &str) -> Ran {
        let mut child = Command::new(env!("CARGO_BIN_EXE_outlast"))
            .args(arguments)
            .env_clear()
            .env("PATH", std::env::var("PATH").unwrap())
            .env("HOME", self.folder.path())
            .env("OUTLAST_CONFIG", self.folder.path().join("outlast.toml"))
            .env("OUTLAST_HOME", self.folder.path().join("state"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
        let output = child.wait_with_output().unwrap();
        self.watched.look(&output);
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        Ran { code: output.status.code().unwrap(), stdout: text(output.stdout), stderr: text(output.stderr) }
    }

    fn json(&self, arguments: &[&str]) -> Value {
        let ran = self.run(arguments, "");
        assert_eq!(ran.code, 0, "{}", ran.stderr);
        serde_json::from_str(&ran.stdout).unwrap()
    }

    /// How many grants have a refresh token, and how many an access token, at the server.
    fn live(&self) -> (usize, usize) {
        let families = self.server.families();
        let families = families.as_object().unwrap();
        let count = |name: &str| families.values().filter(|family| family[name].as_u64().unwrap_or(0) > 0).count();
        (count("active_refresh"), count("live_access"))
    }
}

#[test]
fn n25_logout_ends_the_grant_at_the_server_and_here() {
    let Some(world) = World::start(&["crm"]) else { return };
    assert_eq!(world.live(), (1, 1));
    let done = world.json(&["logout", "crm", "--json"]);
    assert_eq!((&done["at_server"], &done["done"]), (&json!("revoked"), &json!(true)));
    assert_eq!(world.live(), (0, 0));
    let status = world.json(&["status", "crm", "--json"]);
    assert_eq!((&status["standing"], &status["code"]), (&json!("parked"), &json!("needs-user")));
    let token = world.run(&["token", "crm"], "");
    assert_eq!(token.code, 77, "{}", token.stderr);
    let again = world.json(&["logout", "crm", "--json"]);
    assert_eq!(again["at_server"], "nothing-held");
}

#[test]
fn n24_a_revocation_that_meets_503_stays_revoking_until_it_is_done() {
    let Some(world) = World::start(&["crm"]) else { return };
    world.server.fault(&json!({"kind": "status", "on": "revocation", "status": 503, "retry_after": 7, "times": 1}));
    let busy = world.run(&["logout", "crm"], "");
    assert_eq!(busy.code, 75, "{}", busy.stderr);
    assert!(
        busy.stderr.contains("revocation-pending") && busy.stderr.contains("outlast logout crm"),
        "{}",
        busy.stderr
    );
    assert_eq!(world.live(), (1, 1));
    let status = world.json(&["status", "crm", "--json"]);
    assert_eq!((&status["standing"], &status["code"]), (&json!("revoking"), &json!("revocation-pending")));
    assert_eq!(world.run(&["token", "crm"], "").code, 77, "nothing is served meanwhile");
    let done = world.run(&["logout", "crm"], "");
    assert_eq!(done.code, 0, "{}", done.stderr);
    assert_eq!(world.live(), (0, 0));
}

#[test]
fn n24_force_forgets_though_the_server_cannot_be_told() {
    let Some(world) = World::start(&["crm"]) else { return };
    world.server.fault(&json!({"kind": "status", "on": "revocation", "status": 503, "times": -1}));
    let done = world.run(&["logout", "crm", "--force"], "");
    assert_eq!(done.code, 0, "{}", done.stderr);
    assert!(done.stdout.contains("may be good there"), "{}", done.stdout);
    assert_eq!(world.live(), (1, 1));
    assert_eq!(world.run(&["token", "crm"], "").code, 77);
}

#[test]
fn a_grant_that_cannot_be_read_is_told_of_and_hides_no_other() {
    let Some(world) = World::start(&["crm", "other"]) else { return };
    // Its tokens are those of another server than the one that is configured now (N48).
    let config = world.folder.path().join("outlast.toml");
    let text = fs::read_to_string(&config).unwrap();
    let (crm, other) = text.split_once("[grant.other]").unwrap();
    let moved = crm.replace(&format!("issuer = \"{}\"", world.server.issuer()), "issuer = \"https://moved.example\"");
    fs::write(&config, format!("{moved}[grant.other]{other}")).unwrap();
    let told = world.run(&["status", "--introspect", "--json"], "");
    assert_eq!(told.code, 0, "{}", told.stderr);
    let shown: Value = serde_json::from_str(&told.stdout).unwrap();
    assert_eq!(shown.as_array().unwrap().len(), 1, "{shown}");
    assert_eq!(shown[0]["introspection"]["access_token"]["is"], "active", "{shown}");
    assert!(told.stderr.contains("warning[authorization-server-changed]: grant crm"), "{}", told.stderr);
    let lines = world.run(&["status", "--introspect"], "");
    assert!(lines.stdout.contains("crm: not asked: authorization-server-changed"), "{}", lines.stdout);
    assert_ne!(world.run(&["status", "crm"], "").code, 0);
}

#[test]
fn every_grant_is_signed_out_of_at_once() {
    let names: Vec<String> = (0..100).map(|n| format!("g{n}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let Some(world) = World::start(&names) else { return };
    let began = std::time::Instant::now();
    let done = world.run(&["logout", "--all", "--json"], "");
    assert_eq!(done.code, 0, "{}", done.stderr);
    assert_eq!(done.stdout.lines().filter(|line| line.contains("\"revoked\"")).count(), 100);
    assert_eq!(world.live(), (0, 0));
    assert!(began.elapsed().as_secs() < 60, "{:?}", began.elapsed());
}

#[test]
fn n26_status_tells_what_the_server_says_and_believes_nothing_but_active() {
    let Some(world) = World::start(&["crm"]) else { return };
    let told = |world: &World| -> Value {
        let ran = world.run(&["status", "crm", "--introspect", "--json"], "");
        assert_eq!(ran.code, 0, "{}", ran.stderr);
        serde_json::from_str(&ran.stdout).unwrap()
    };
    let good = told(&world);
    assert_eq!(good["introspection"]["access_token"]["is"], "active", "{good}");
    assert_eq!(good["introspection"]["refresh_token"]["is"], "active", "{good}");
    world.server.fault(&json!({"kind": "html", "on": "introspection", "times": -1}));
    let ill = told(&world);
    assert_eq!(ill["introspection"]["access_token"]["is"], "unknown", "{ill}");
    assert_eq!((&ill["standing"], &ill["generation"]), (&json!("live"), &good["generation"]), "nothing is changed");
    let lines = world.run(&["status", "crm", "--introspect"], "");
    assert!(lines.stdout.contains("crm: the server says: access token unknown"), "{}", lines.stdout);
}
