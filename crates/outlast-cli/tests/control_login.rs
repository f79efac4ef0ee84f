//! A login that is begun at the control socket of `outlast serve`, against a certified authorization
//! server.
#![allow(clippy::unwrap_used, missing_docs)]
#![allow(clippy::disallowed_methods, reason = "a test prepares files and reads its own environment")]

mod support;

use outlast_testkit::peer::{HttpAnswer, OidcProvider, exchange};
use serde_json::{Value, json};
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use support::home::Watched;

struct World {
    server: OidcProvider,
    _watched: Watched,
    folder: tempfile::TempDir,
    sidecar: Child,
    url: String,
}

impl Drop for World {
    fn drop(&mut self) {
        let _ = self.sidecar.kill();
        let _ = self.sidecar.wait();
    }
}

const GRANT: &str = "/v1/grants/crm";
const LOGIN: &str = "/v1/grants/crm/login";

impl World {
    /// `outlast serve` with one grant that holds nothing; requests are held for half a minute.
    fn start(config: &[(&str, &str)]) -> Option<Self> {
        let server = OidcProvider::start(&[&[("ACCESS_TTL", "600"), ("AUTO_LOGIN", "1")], config].concat())?;
        let folder = tempfile::tempdir().unwrap();
        let (issuer, api) = (server.issuer(), server.api());
        let text = format!(
            "[grant.crm]\nissuer = \"{issuer}\"\nclient_id = \"public\"\nscope = [\"openid\", \"api:read\"]\n\
             resource = \"{api}/api\"\nupstream = \"{api}\"\n[proxy]\nlisten = \"127.0.0.1:0\"\n"
        );
        let path = folder.path().join("outlast.toml");
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        let mut sidecar = Self::command(folder.path(), &["serve", "--hold", "30s"]).spawn().unwrap();
        let mut told = BufReader::new(sidecar.stderr.take().unwrap()).lines();
        let line = told.next().unwrap().unwrap();
        let url = line.split_whitespace().find_map(|word| word.strip_suffix("/GRANT/PATH")).unwrap().to_owned();
        std::thread::spawn(move || told.for_each(drop));
        let watched = Watched::over(folder.path());
        Some(Self { server, _watched: watched, folder, sidecar, url })
    }

    fn command(folder: &Path, arguments: &[&str]) -> Command {
        let mut command = support::outlast(folder, arguments);
        command.env("OUTLAST_SOCKET", folder.join("run/control.sock"));
        command
    }

    fn socket(&self) -> PathBuf {
        self.folder.path().join("run/control.sock")
    }

    fn ask(&self, method: &str, path: &str, body: &Value) -> (u16, Value) {
        ask(&self.socket(), method, path, "", body)
    }

    /// Begins a login this way.
    fn begin(&self, way: &str) -> Value {
        let (status, told) = self.ask("POST", LOGIN, &json!({ "way": way }));
        assert_eq!((status, &told["state"]), (200, &json!("waiting")), "{told}");
        told
    }

    /// Waits until the login is over.
    fn ended(&self) -> Value {
        let (status, told) = self.ask("GET", &format!("{LOGIN}?wait=60"), &Value::Null);
        assert_eq!(status, 200, "{told}");
        told
    }

    /// Where the browser of this person ends.
    fn browse(&self, told: &Value, person: &str) -> String {
        self.server.set_config(&json!({ "auto_login_as": person }));
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/support/browser.py");
        let address = told["step"]["address"].as_str().unwrap();
        let mut browser = Command::new("python3");
        let ended = browser.arg(script).args(["--stop", address]).output().unwrap();
        String::from_utf8(ended.stdout).unwrap().trim().to_owned()
    }

    fn counter(&self, pointer: &str) -> u64 {
        let counters = self.server.counters();
        counters.pointer(pointer).and_then(Value::as_u64).unwrap_or_else(|| panic!("no {pointer} in {counters}"))
    }

    fn sign_in_by_paste(&self, person: &str) -> (u16, Value) {
        let visit = self.begin("paste");
        let ended_at = self.browse(&visit, person);
        self.ask("POST", LOGIN, &json!({ "pasted": ended_at }))
    }

    /// A request of an agent, as it is answered once its grant can be used.
    fn held_request(&self) -> std::thread::JoinHandle<HttpAnswer> {
        let capability = fs::read_to_string(self.folder.path().join("state/capability")).unwrap();
        let (url, bearer) = (self.url.clone(), format!("Bearer {}", capability.trim()));
        std::thread::spawn(move || {
            exchange("GET", &url, "/crm/api/whoami", &[("Authorization", &bearer)], b"").unwrap()
        })
    }
}

fn ask(socket: &Path, method: &str, path: &str, fields: &str, body: &Value) -> (u16, Value) {
    let (status, text) = ask_text(socket, method, path, fields, body);
    (status, serde_json::from_str(&text).unwrap_or_else(|_| panic!("{text}")))
}

fn ask_text(socket: &Path, method: &str, path: &str, fields: &str, body: &Value) -> (u16, String) {
    let body = if body.is_null() { String::new() } else { body.to_string() };
    let mut stream = UnixStream::connect(socket).unwrap();
    let length = body.len();
    let head = format!("{method} {path} HTTP/1.0\r\nHost: localhost\r\nContent-Length: {length}\r\n{fields}\r\n");
    stream.write_all(format!("{head}{body}").as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    (status, body.to_owned())
}

#[test]
fn n23_an_approved_device_code_signs_in_and_held_requests_go_on() {
    let Some(world) = World::start(&[]) else { return };
    let held = world.held_request();
    let told = world.begin("device");
    let step = &told["step"];
    assert_eq!((&step["event"], &step["interval"]), (&json!("enter_code"), &json!(5)), "{told}");
    assert!(step["authorization_server"] == "127.0.0.1" && step["scope"][1] == "api:read", "who asks for what: {told}");
    assert!(step["verification_uri"].is_string() && step["expires_in"].as_u64().unwrap() > 500, "{told}");
    let (_, again) = world.ask("POST", LOGIN, &Value::Null);
    assert_eq!(again["step"]["user_code"], step["user_code"], "one login at a time");
    let (status, other) = world.ask("POST", LOGIN, &json!({ "way": "paste" }));
    assert_eq!((status, &other["code"]), (409, &json!("request-invalid")), "{other}");
    assert!(!held.is_finished());
    world.server.admin_post("/device/approve", &json!({ "user_code": step["user_code"] }));
    let done = world.ended();
    assert_eq!((&done["state"], &done["brought"]["subject"]), (&json!("logged-in"), &json!("alice")), "{done}");
    assert_eq!(held.join().unwrap().status, 200, "what was held goes on");
    let (_, status) = world.ask("GET", GRANT, &Value::Null);
    assert_eq!((&status["standing"], &status["generation"]), (&json!("live"), &json!(1)));
    let (_, token) = world.ask("GET", "/v1/grants/crm/token", &Value::Null);
    let access = token["access_token"].as_str().unwrap();
    for text in [told.to_string(), done.to_string()] {
        assert!(!text.contains(access), "no token is part of a login's state");
    }
}

#[test]
fn a_denied_device_code_is_told_and_another_login_may_begin() {
    let Some(world) = World::start(&[]) else { return };
    let told = world.begin("device");
    world.server.admin_post("/device/deny", &json!({ "user_code": told["step"]["user_code"] }));
    let done = world.ended();
    assert_eq!((&done["state"], &done["code"]), (&json!("failed"), &json!("login-denied")), "{done}");
    assert_eq!(done["advice"], "ask-user");
    let next = world.begin("device");
    assert_ne!(next["step"]["user_code"], told["step"]["user_code"]);
}

#[test]
fn a_device_code_that_nobody_entered_expires() {
    let Some(world) = World::start(&[("DEVICE_TTL", "6")]) else { return };
    world.begin("device");
    let done = world.ended();
    assert_eq!((&done["state"], &done["code"]), (&json!("failed"), &json!("login-expired")), "{done}");
}

#[test]
fn a_pasted_address_signs_in_and_one_of_another_login_is_of_no_use() {
    let Some(world) = World::start(&[]) else { return };
    let (status, early) = world.ask("POST", LOGIN, &json!({ "pasted": "http://127.0.0.1/callback?code=CANARY" }));
    assert_eq!((status, &early["code"]), (404, &json!("request-invalid")), "{early}");
    let held = world.held_request();
    let visit = world.begin("paste");
    assert_eq!((&visit["step"]["event"], &visit["step"]["listening"]), (&json!("visit"), &json!(false)), "{visit}");
    let redirect = visit["step"]["redirect_uri"].as_str().unwrap();
    let forged = format!("{redirect}?code=CANARY-code&state=forged");
    let (status, refused) = world.ask("POST", LOGIN, &json!({ "pasted": forged }));
    assert_eq!((status, &refused["code"]), (400, &json!("request-invalid")), "{refused}");
    assert!(!refused.to_string().contains("CANARY"), "{refused}");
    let ended_at = world.browse(&visit, "alice");
    let (status, done) = world.ask("POST", LOGIN, &json!({ "pasted": ended_at }));
    assert_eq!((status, &done["state"]), (200, &json!("logged-in")), "{done}");
    assert_eq!(held.join().unwrap().status, 200);
    let (status, late) = world.ask("POST", LOGIN, &json!({ "pasted": ended_at }));
    assert_eq!((status, &late["code"]), (409, &json!("request-invalid")), "a code is handed in once: {late}");
}

#[test]
fn r18_another_account_is_refused_at_the_socket_and_what_is_held_serves_on() {
    let Some(world) = World::start(&[]) else { return };
    let (status, done) = world.sign_in_by_paste("alice");
    assert_eq!((status, &done["state"]), (200, &json!("logged-in")), "{done}");
    let (_, before) = world.ask("GET", "/v1/grants/crm/token", &Value::Null);
    let (status, refused) = world.sign_in_by_paste("bob");
    assert_eq!((status, &refused["code"]), (503, &json!("account-mismatch")), "{refused}");
    let detail = refused["detail"].as_str().unwrap();
    assert!(detail.contains("alice") && detail.contains("bob"), "{detail}");
    let (_, after) = world.ask("GET", "/v1/grants/crm/token", &Value::Null);
    assert_eq!(after["access_token"], before["access_token"]);
    let (status, wish) = world.ask("POST", LOGIN, &json!({ "way": "paste", "switch_account": true }));
    assert_eq!((status, &wish["code"]), (400, &json!("request-invalid")), "not from here: {wish}");
}

#[test]
fn a_login_that_is_called_off_frees_its_place_and_a_browser_is_waited_for_by_default() {
    let Some(world) = World::start(&[]) else { return };
    let (status, _) = world.ask("DELETE", LOGIN, &Value::Null);
    assert_eq!(status, 404);
    let (_, first) = world.ask("POST", LOGIN, &Value::Null);
    assert_eq!((&first["way"], &first["step"]["listening"]), (&json!("browser"), &json!(true)), "{first}");
    let (_, gone) = world.ask("DELETE", LOGIN, &Value::Null);
    assert_eq!(gone["state"], "cancelled");
    let second = world.begin("browser");
    assert_ne!(first["step"]["address"], second["step"]["address"]);
    let (_, known) = world.ask("GET", &format!("{LOGIN}?after=0"), &Value::Null);
    assert_eq!((&known["state"], &known["version"]), (&json!("waiting"), &second["version"]));
    // The browser of a person on this machine comes back to the sidecar by itself.
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/support/browser.py");
    let address = second["step"]["address"].as_str().unwrap();
    assert!(Command::new("python3").arg(script).arg(address).stderr(Stdio::null()).status().unwrap().success());
    assert_eq!(world.ended()["state"], "logged-in");
}

#[test]
fn whoever_waits_for_a_login_does_not_keep_the_sidecar_from_ending() {
    let Some(mut world) = World::start(&[]) else { return };
    world.begin("device");
    let began = std::time::Instant::now();
    let socket = world.socket();
    let waiting = std::thread::spawn(move || ask(&socket, "GET", &format!("{LOGIN}?wait=60"), "", &Value::Null));
    // Until that request has arrived: the sidecar counts it beside the first one and these.
    for asked in 1.. {
        let (_, metrics) = ask_text(&world.socket(), "GET", "/metrics", "", &Value::Null);
        let counted = metrics.lines().find_map(|line| line.strip_prefix("outlast_control_requests_total "));
        if counted.unwrap().parse::<u64>().unwrap() == asked + 2 {
            break;
        }
    }
    let pid = world.sidecar.id().to_string();
    assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
    assert!(world.sidecar.wait().unwrap().success());
    assert_eq!(waiting.join().unwrap().1["state"], "waiting");
    assert!(began.elapsed().as_secs() < 20, "{:?}", began.elapsed());
}

#[test]
fn an_agent_begins_no_login() {
    let Some(world) = World::start(&[]) else { return };
    let fields = "Authorization: Bearer outlast-capability-CANARY\r\n";
    let (status, refused) = ask(&world.socket(), "POST", LOGIN, fields, &json!({ "way": "device" }));
    assert_eq!((status, &refused["code"]), (403, &json!("capability-refused")), "{refused}");
    let script = r#"
import os, socket
control = socket.socket(socket.AF_UNIX)
control.connect(os.environ["OUTLAST_SOCKET"])
control.sendall(b"POST /v1/grants/crm/login HTTP/1.0\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n")
print(control.makefile().read())
"#;
    let run = ["run", "--grant", "crm", "--", "python3", "-c", script];
    let told = World::command(world.folder.path(), &run).output().unwrap();
    let told = String::from_utf8_lossy(&told.stdout).into_owned();
    assert!(told.starts_with("HTTP/1.0 403") && told.contains("capability-refused"), "{told}");
    let counters = world.server.counters();
    assert_eq!(counters.pointer("/endpoints/device").and_then(Value::as_u64).unwrap_or_default(), 0, "{counters}");
}

/// Set when this ends, in whatever way.
struct Finally<'f>(&'f AtomicBool);

impl Drop for Finally<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

#[test]
fn logins_of_another_process_beside_renewals_of_the_sidecar_lose_nothing_and_are_served_at_once() {
    let Some(world) = World::start(&[("ACCESS_TTL", "2")]) else { return };
    assert_eq!(world.sign_in_by_paste("alice").0, 200);
    // A renewal is under way most of the time, and so a take-over meets one.
    world.server.fault(&json!({ "kind": "latency", "on": "token", "ms": 400, "times": -1 }));
    let over = AtomicBool::new(false);
    let asked = std::thread::scope(|scope| {
        let end = Finally(&over);
        let agent = scope.spawn(|| {
            let mut asked = 0;
            while !over.load(Ordering::SeqCst) {
                assert_eq!(world.held_request().join().unwrap().status, 200, "an agent sees nothing of a login");
                asked += 1;
            }
            asked
        });
        for person in ["bob", "alice", "bob", "alice"] {
            let renewed = world.counter("/refreshes");
            while world.counter("/refreshes") < renewed + 2 {
                std::thread::sleep(Duration::from_millis(20));
            }
            world.server.set_config(&json!({ "auto_login_as": person }));
            let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/support/browser.py");
            let mut login = World::command(world.folder.path(), &["login", "crm", "--switch-account"]);
            let told = login.env("BROWSER", format!("python3 {}", script.display())).output().unwrap();
            assert!(told.status.success(), "{}", String::from_utf8_lossy(&told.stderr));
            let who: Value = serde_json::from_slice(&world.held_request().join().unwrap().body).unwrap();
            assert_eq!(who["sub"], person, "the next request has the new account's token: {who}");
        }
        drop(end);
        agent.join().unwrap()
    });
    assert!(asked > 20, "the agent was at work all the time: {asked}");
    let strict = ["/reuse_detections", "/max_concurrent_refresh_per_grant"].map(|counter| world.counter(counter));
    assert!(strict[0] == 0 && strict[1] <= 1, "{}", world.server.counters());
    let (_, status) = world.ask("GET", GRANT, &Value::Null);
    assert_eq!(status["standing"], "live", "{status}");
}
