//! A real authorization server that this project did not write: oidc-provider from npm, run as a child.
//!
//! Everything here blocks; an async test calls it from `spawn_blocking` where that matters.

use serde_json::{Value, json};
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::Duration;

/// How long the server may take until it says that it is ready.
const START_MAX: Duration = Duration::from_secs(60);
/// How long it may take for one answer.
const ANSWER_MAX: Duration = Duration::from_secs(30);
/// Set to 1, it makes a missing peer a failure, for runs that must not skip.
pub const REQUIRE_PEERS: &str = "OUTLAST_REQUIRE_PEERS";

/// A running oidc-provider; dropping it ends it.
#[derive(Debug)]
pub struct OidcProvider {
    child: Child,
    issuer: String,
    api: String,
    admin: String,
    token_endpoint: String,
}

impl OidcProvider {
    /// Starts the server on free ports, with these environment variables (see the peer's README).
    ///
    /// `None`, with a line on standard error, where Node or the server's packages are not installed.
    ///
    /// # Panics
    /// If it is installed and does not start, or is missing although `OUTLAST_REQUIRE_PEERS=1`.
    pub fn start(env: &[(&str, &str)]) -> Option<OidcProvider> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/peers/oidc-provider");
        match missing(&folder) {
            Some(what) => {
                skip_or_fail(what, is_required());
                None
            }
            None => Some(spawn(&folder, env)),
        }
    }

    /// The issuer identifier and base address of the authorization server.
    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    /// The origin of the protected API; its paths begin with `/api/`.
    pub fn api(&self) -> &str {
        &self.api
    }

    /// The base address of the test's own side of the server. Never give it to the product.
    pub fn admin(&self) -> &str {
        &self.admin
    }

    /// The address of the token endpoint.
    pub fn token_endpoint(&self) -> &str {
        &self.token_endpoint
    }

    /// The token response that a finished login of this client would have brought.
    pub fn mint(&self, client_id: &str) -> Value {
        self.post("/mint", &json!({ "client_id": client_id }))
    }

    /// What the server knows of a client, with the private key of one that signs (`private_jwk`,
    /// `private_pem`).
    ///
    /// # Panics
    /// If there is no such client.
    pub fn client(&self, client_id: &str) -> Value {
        let clients = self.get("/clients");
        let known = clients.as_array().and_then(|all| all.iter().find(|client| client["client_id"] == client_id));
        known.unwrap_or_else(|| panic!("no client {client_id}")).clone()
    }

    /// What the server has counted, for instance `refreshes` and `reuse_detections`.
    pub fn counters(&self) -> Value {
        self.get("/counters")
    }

    /// Each grant by its id: `alive`, `active_refresh`, `used_refresh`, `live_access`.
    pub fn families(&self) -> Value {
        self.get("/families")
    }

    /// Changes settings while the server runs, for instance `{"access_ttl": 2}`.
    pub fn set_config(&self, config: &Value) -> Value {
        self.post("/config", config)
    }

    /// Adds a fault rule, for instance `{"kind": "drop", "times": 1}`.
    pub fn fault(&self, rule: &Value) -> Value {
        self.post("/faults", rule)
    }

    /// Any other call of the admin side, for instance `/device/approve`.
    pub fn admin_post(&self, path: &str, content: &Value) -> Value {
        self.post(path, content)
    }

    /// Revokes every access token; refresh tokens stay good. Tells how many died.
    pub fn kill_access_tokens(&self) -> u64 {
        self.post("/kill-access-tokens", &json!({}))["killed"].as_u64().expect("the peer tells how many it killed")
    }

    /// Revokes every grant of a client, as its owner would in the server's own settings.
    pub fn revoke_grants(&self, client_id: &str) {
        self.post("/revoke-grants", &json!({ "client_id": client_id }));
    }

    fn get(&self, path: &str) -> Value {
        read_json(&self.admin, path, exchange("GET", &self.admin, path, &[], b""))
    }

    fn post(&self, path: &str, content: &Value) -> Value {
        let content = content.to_string();
        let fields = [("Content-Type", "application/json")];
        read_json(&self.admin, path, exchange("POST", &self.admin, path, &fields, content.as_bytes()))
    }
}

impl Drop for OidcProvider {
    fn drop(&mut self) {
        // It may have ended by itself; either way nothing is left to wait for.
        let _gone = self.child.kill();
        let _reaped = self.child.wait();
    }
}

/// An answer over HTTP.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpAnswer {
    /// The status.
    pub status: u16,
    /// Status line and fields, without the empty line at their end.
    pub head: String,
    /// The body as it came.
    pub body: Vec<u8>,
}

/// One HTTP/1.1 exchange with a loopback server, without any library in between.
///
/// `base` is `http://HOST:PORT`. The body is read to the end of the connection.
///
/// # Errors
/// If the server cannot be reached, closes without an answer, or answers in chunks, which this does not read.
pub fn exchange(method: &str, base: &str, path: &str, fields: &[(&str, &str)], body: &[u8]) -> io::Result<HttpAnswer> {
    let host = base.strip_prefix("http://").ok_or_else(|| io::Error::other("only http:// is spoken here"))?;
    let mut stream = TcpStream::connect(host)?;
    stream.set_read_timeout(Some(ANSWER_MAX))?;
    let mut head = format!("{method} {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n");
    for (name, value) in fields {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    head.push_str(&format!("Content-Length: {}\r\n\r\n", body.len()));
    stream.write_all(head.as_bytes())?;
    stream.write_all(body)?;
    let mut received = Vec::new();
    stream.read_to_end(&mut received)?;
    parse(&received)
}

fn parse(received: &[u8]) -> io::Result<HttpAnswer> {
    let end = received.windows(4).position(|window| window == b"\r\n\r\n").ok_or(io::ErrorKind::UnexpectedEof)?;
    let head = String::from_utf8_lossy(&received[..end]).into_owned();
    if head.to_ascii_lowercase().contains("\r\ntransfer-encoding:") {
        return Err(io::Error::other("the answer comes in chunks"));
    }
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
    let status = status.ok_or_else(|| io::Error::other("no status line"))?;
    Ok(HttpAnswer { status, head, body: received[end + 4..].to_vec() })
}

fn read_json(base: &str, path: &str, answer: io::Result<HttpAnswer>) -> Value {
    let answer = answer.unwrap_or_else(|error| panic!("the peer did not answer {base}{path}: {error}"));
    let content = serde_json::from_slice(&answer.body).unwrap_or(Value::Null);
    assert_eq!(answer.status, 200, "the peer refused {path}: {}", content["error"]);
    content
}

/// What is missing to run the server, if anything is.
fn missing(folder: &Path) -> Option<&'static str> {
    if !folder.join("node_modules/oidc-provider").is_dir() {
        return Some("the packages of tests/peers/oidc-provider are not installed");
    }
    let node = Command::new("node").arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
    if node.is_ok_and(|status| status.success()) { None } else { Some("Node is not installed") }
}

fn skip_or_fail(what: &str, required: bool) {
    assert!(!required, "{what} and {REQUIRE_PEERS}=1: run tests/peers/install");
    // Not by a print macro: the test harness would swallow it, and a skipped test must be seen.
    let _best_effort = writeln!(io::stderr(), "skipped: run tests/peers/install ({what})");
}

#[allow(clippy::disallowed_methods, reason = "the testkit has no caller that could read it instead")]
fn is_required() -> bool {
    std::env::var(REQUIRE_PEERS).is_ok_and(|value| value == "1")
}

fn spawn(folder: &Path, env: &[(&str, &str)]) -> OidcProvider {
    let server: PathBuf = folder.join("server.mjs");
    let mut child = Command::new("node")
        .arg(server)
        .envs([("AS_PORT", "0"), ("API_PORT", "0"), ("ADMIN_PORT", "0"), ("EXIT_WITH_STDIN", "1")])
        .envs(env.iter().copied())
        // Held open by `child`: when this process dies, however it dies, the server sees the end and goes.
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("node starts");
    let output = child.stdout.take().expect("standard output is a pipe");
    let ready = announced(output).recv_timeout(START_MAX);
    let Ok(ready) = ready else {
        let _gone = child.kill();
        let _reaped = child.wait();
        panic!("oidc-provider did not start; see why with: node tests/peers/oidc-provider/server.mjs");
    };
    let address = |name: &str| ready[name].as_str().expect("the READY line names every address").to_owned();
    OidcProvider {
        child,
        issuer: address("issuer"),
        api: address("api"),
        admin: address("admin"),
        token_endpoint: address("token_endpoint"),
    }
}

/// Sends the content of the READY line, and reads on so that the server never meets a full pipe.
fn announced(output: ChildStdout) -> Receiver<Value> {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        for line in BufReader::new(output).lines().map_while(Result::ok) {
            if let Some(ready) = line.strip_prefix("READY ").and_then(|text| serde_json::from_str(text).ok()) {
                // Nobody listens any more after the start gave up.
                let _unheard = sender.send(ready);
            }
        }
    });
    receiver
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refresh(peer: &OidcProvider, refresh_token: &str) -> io::Result<HttpAnswer> {
        let form =
            format!("grant_type=refresh_token&refresh_token={refresh_token}&client_id=post&client_secret=post-secret");
        let fields = [("Content-Type", "application/x-www-form-urlencoded")];
        exchange("POST", peer.issuer(), "/oauth/token", &fields, form.as_bytes())
    }

    fn held(answer: &Value) -> &str {
        answer["refresh_token"].as_str().expect("a refresh token")
    }

    #[test]
    fn the_peer_rotates_and_revokes_the_family_on_reuse() {
        let Some(peer) = OidcProvider::start(&[("ACCESS_TTL", "60")]) else { return };
        assert_eq!(peer.token_endpoint(), format!("{}/oauth/token", peer.issuer()));
        let minted = peer.mint("post");
        assert_eq!(refresh(&peer, held(&minted)).expect("an answer").status, 200);
        assert_eq!(refresh(&peer, held(&minted)).expect("an answer").status, 400);
        let counters = peer.counters();
        assert_eq!((counters["refreshes"].as_u64(), counters["reuse_detections"].as_u64()), (Some(1), Some(1)));
        let families = peer.families();
        assert!(families.as_object().is_some_and(|all| all.values().all(|family| family["alive"] == false)));
    }

    #[test]
    fn the_peer_takes_settings_faults_and_early_revocation() {
        let Some(peer) = OidcProvider::start(&[]) else { return };
        assert_eq!(peer.set_config(&json!({ "access_ttl": 77 }))["access_ttl"], 77);
        let minted = peer.mint("post");
        assert_eq!(minted["expires_in"], 77);
        let bearer = format!("Bearer {}", minted["access_token"].as_str().expect("an access token"));
        let whoami = || exchange("GET", peer.api(), "/api/whoami", &[("Authorization", &bearer)], b"");
        assert_eq!(whoami().expect("an answer").status, 200);
        assert_eq!(peer.kill_access_tokens(), 1);
        assert_eq!(whoami().expect("an answer").status, 401);
        peer.fault(&json!({ "kind": "drop", "times": 1 }));
        assert!(refresh(&peer, held(&minted)).is_err());
        assert_eq!(peer.counters()["lost_responses"], 1);
    }

    #[test]
    fn the_peer_goes_when_it_is_dropped() {
        let Some(peer) = OidcProvider::start(&[]) else { return };
        let admin = peer.admin().to_owned();
        assert!(exchange("GET", &admin, "/health", &[], b"").is_ok());
        drop(peer);
        assert!(exchange("GET", &admin, "/health", &[], b"").is_err());
    }

    #[test]
    fn a_peer_that_is_not_installed_is_noticed() {
        assert!(missing(Path::new("/nowhere")).is_some_and(|what| what.contains("packages")));
    }

    #[test]
    #[should_panic(expected = "run tests/peers/install")]
    fn a_missing_peer_fails_where_peers_are_required() {
        skip_or_fail("it is not there", true);
    }

    #[test]
    fn an_answer_that_is_cut_or_chunked_is_an_error() {
        assert!(parse(b"HTTP/1.1 200 OK\r\nContent-Le").is_err());
        assert!(parse(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n").is_err());
        let answer = parse(b"HTTP/1.1 204 No Content\r\nA: b\r\n\r\n").expect("an answer");
        assert_eq!((answer.status, answer.body.len()), (204, 0));
    }
}
