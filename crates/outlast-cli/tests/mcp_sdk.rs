//! A real MCP server and real clients, by the SDKs of the protocol, with Outlast between them and a
//! certified authorization server behind: found by the server's address, signed in to, called through
//! the sidecar in one session that outlives its tokens.
#![allow(clippy::unwrap_used, clippy::print_stderr, missing_docs)]
#![allow(clippy::disallowed_methods, reason = "a test prepares files and reads its own environment")]

mod support;

use outlast_testkit::peer::{OidcProvider, REQUIRE_PEERS};
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/peers/mcp-sdk")
}

fn is_installed() -> bool {
    let found = folder().join("node_modules/@modelcontextprotocol/sdk").is_dir();
    if !found {
        assert!(std::env::var(REQUIRE_PEERS).is_err(), "the MCP SDKs are missing: run tests/peers/install");
        eprintln!("skipped: the MCP SDKs are missing; run tests/peers/install");
    }
    found
}

/// The MCP servers; they end with this.
struct Servers(Child, String);

impl Servers {
    fn start(issuer: &str) -> Self {
        let mut child = Command::new("node")
            .arg(folder().join("server.mjs"))
            .env("ISSUER", issuer)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let ready: Value = serde_json::from_str(line.strip_prefix("READY ").unwrap()).unwrap();
        Self(child, ready["origin"].as_str().unwrap().to_owned())
    }
}

impl Drop for Servers {
    fn drop(&mut self) {
        let _gone = self.0.kill();
        let _reaped = self.0.wait();
    }
}

fn lives_on(version: &str, protocol: &str) {
    if !is_installed() {
        return;
    }
    let Some(server) = OidcProvider::start(&[("ACCESS_TTL", "3"), ("AUTO_LOGIN", "1")]) else { return };
    let mcp = Servers::start(server.issuer());
    let resource = format!("{}/{version}", mcp.1);
    server.admin_post("/resources", &json!({ "uri": resource }));
    let home = tempfile::tempdir().unwrap();
    let added = support::outlast(home.path(), &["add", "notes", "--resource", &resource]).output().unwrap();
    assert!(added.status.success(), "{}", String::from_utf8_lossy(&added.stderr));
    let browser = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/support/browser.py");
    let mut login = support::outlast(home.path(), &["login", "notes", "--timeout", "1m"]);
    let told = login.env("BROWSER", format!("python3 {}", browser.display())).output().unwrap();
    assert!(told.status.success(), "{}", String::from_utf8_lossy(&told.stderr));

    let script = format!(
        "MCP_SDK={version} MCP_URL=\"$OUTLAST_NOTES_URL/{version}\" MCP_KEY=\"$OUTLAST_CAPABILITY\" exec node \"$0\""
    );
    let client = folder().join("client.mjs");
    let run = ["run", "--grant", "notes", "--", "sh", "-c", &script, client.to_str().unwrap()];
    let mut agent = support::outlast(home.path(), &run)
        .env("OUTLAST_SOCKET", home.path().join("run/control.sock"))
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    let (mut input, mut lines) = (agent.stdin.take().unwrap(), BufReader::new(agent.stdout.take().unwrap()).lines());
    let mut next = || serde_json::from_str::<Value>(&lines.next().unwrap().unwrap()).unwrap();
    let connected = next();
    assert_eq!((&connected["connected"], &connected["protocol"]), (&json!(["echo"]), &json!(protocol)));
    let mut call = |text: &str| {
        writeln!(input, "{text}").unwrap();
        assert_eq!(next(), json!({ "said": format!("echo: {text}") }));
    };
    call("fresh");
    // Past the end of two tokens, by the server's own clock.
    std::thread::sleep(std::time::Duration::from_secs(7));
    call("expired");
    server.kill_access_tokens();
    call("revoked");
    drop(input);
    assert!(agent.wait().unwrap().success());
    let counters = server.counters();
    assert!(counters["refreshes"].as_u64() >= Some(2), "{counters}");
    assert_eq!((&counters["reuse_detections"], &counters["endpoints"]["registration"]), (&json!(0), &json!(1)));
}

#[test]
fn n43_a_session_of_the_sdk_lives_on_past_expiry_and_revocation_under_2025_11_25() {
    lives_on("v1", "2025-11-25");
}

#[test]
fn n43_a_session_of_the_sdk_lives_on_past_expiry_and_revocation_under_2026_07_28() {
    lives_on("v2", "2026-07-28");
}
