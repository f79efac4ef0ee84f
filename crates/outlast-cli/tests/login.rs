//! `outlast login` by the real binary: a real Chromium, a person who pastes, another device; against a
//! certified authorization server.
#![allow(clippy::unwrap_used, clippy::print_stderr, missing_docs)]
#![allow(clippy::disallowed_methods, reason = "a test prepares files and reads its own environment")]

mod support;

use outlast_testkit::peer::{OidcProvider, REQUIRE_PEERS};
use serde_json::{Value, json};
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use support::home::Watched;

struct World {
    server: OidcProvider,
    watched: Watched,
    folder: tempfile::TempDir,
}

fn script(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/support").join(name);
    path.to_str().unwrap().to_owned()
}

impl World {
    fn start(config: &[(&str, &str)], grant: &str) -> Option<Self> {
        let server = OidcProvider::start(&[&[("ACCESS_TTL", "600")], config].concat())?;
        let folder = tempfile::tempdir().unwrap();
        let (issuer, api) = (server.issuer(), server.api());
        let text = format!(
            "[grant.crm]\nissuer = \"{issuer}\"\n{grant}scope = [\"openid\", \"api:read\"]\n\
             resource = \"{api}/api\"\nupstream = \"{api}\"\n"
        );
        let path = folder.path().join("outlast.toml");
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        let watched = Watched::over(folder.path());
        Some(Self { server, watched, folder })
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn outlast(&self, arguments: &[&str]) -> Command {
        let mut command = support::outlast(self.folder.path(), arguments);
        command.env("SECRET", "basic-secret");
        command
    }

    fn assert_signed_in(&self, told: &Output) {
        self.watched.look(told);
        let (out, err) = (text(&told.stdout), text(&told.stderr));
        assert!(told.status.success(), "{out}{err}");
        assert!(out.contains("signed in to crm as alice") || out.contains("\"subject\":\"alice\""), "{out}{err}");
        let token = self.outlast(&["token", "crm", "--renew"]).output().unwrap();
        assert!(token.status.success(), "what was got is renewed: {}", text(&token.stderr));
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

const PUBLIC: &str = "client_id = \"public\"\n";

fn has_chromium() -> bool {
    let found = ["chromium", "chromedriver"]
        .iter()
        .all(|program| Command::new(program).arg("--version").output().is_ok_and(|told| told.status.success()));
    if !found {
        assert!(
            std::env::var(REQUIRE_PEERS).is_err(),
            "chromium and chromedriver are missing: run tests/peers/install"
        );
        eprintln!("skipped: chromium and chromedriver are missing; run tests/peers/install");
    }
    found
}

#[test]
fn a_person_signs_in_with_a_real_chromium_through_login_and_consent() {
    if !has_chromium() {
        return;
    }
    let Some(world) = World::start(&[("AUTO_CONSENT", "0")], PUBLIC) else { return };
    let browser = format!("python3 {}", script("chromium.py"));
    let told = world.outlast(&["login", "crm", "--timeout", "2m"]).env("BROWSER", browser).output().unwrap();
    world.assert_signed_in(&told);
}

#[test]
fn each_client_signs_in_by_loopback_at_a_server_nobody_here_wrote() {
    let with = |id: &str| format!("client_id = \"{id}\"\nclient_secret = {{ env = \"SECRET\" }}\n");
    for (grant, secret) in [
        (PUBLIC.to_owned(), ""),
        (with("basic"), "basic-secret"),
        (with("post") + "client_auth = \"client_secret_post\"\n", "post-secret"),
        (with("par-only"), "par-secret"),
        (with("odd:client+1"), "s3cr+t/with=odd%25 &?:chars"),
        ("client_id = \"dpop\"\ndpop = true\n".to_owned(), ""),
    ] {
        let Some(world) = World::start(&[("AUTO_LOGIN", "1")], &grant) else { return };
        let browser = format!("python3 {}", script("browser.py"));
        let mut login = world.outlast(&["login", "crm", "--timeout", "1m"]);
        let told = login.env("BROWSER", browser).env("SECRET", secret).output().unwrap();
        let (out, err) = (text(&told.stdout), text(&told.stderr));
        assert!(told.status.success() && out.contains("signed in to crm as alice"), "{grant}: {out}{err}");
        let token = world.outlast(&["token", "crm", "--renew"]).env("SECRET", secret).output().unwrap();
        assert!(token.status.success(), "{grant}: {}", text(&token.stderr));
    }
}

#[test]
fn a_preset_of_ones_own_is_added_signed_in_to_and_renewed_at_a_server_nobody_here_wrote() {
    let Some(world) = World::start(&[("AUTO_LOGIN", "1")], PUBLIC) else { return };
    let (issuer, api) = (world.server.issuer(), world.server.api());
    fs::create_dir(world.path("providers")).unwrap();
    let preset = format!(
        "issuer = \"{issuer}\"\nauthorization_endpoint = \"{issuer}/authorize\"\n\
         token_endpoint = \"{issuer}/oauth/{{last}}\"\nrevocation_endpoint = \"{issuer}/oauth/revoke\"\n\
         pkce = \"required\"\nrotates = \"yes\"\nupstreams = [\"{api}\"]\n\
         [parameters.last]\nmeaning = \"the last part of the address\"\n"
    );
    fs::write(world.path("providers/bench.toml"), preset).unwrap();
    fs::write(world.path("outlast.toml"), "").unwrap();
    let (resource, browser) = (format!("{api}/api"), format!("python3 {}", script("browser.py")));
    let mut add = vec!["add", "crm", "--provider", "bench", "--parameter", "last=token", "--client-id", "public"];
    add.extend(["--scope", "openid", "--scope", "api:read", "--resource", &resource]);
    let added = world.outlast(&add).output().unwrap();
    assert!(added.status.success(), "{}", text(&added.stderr));
    let mut login = world.outlast(&["login", "crm", "--timeout", "1m"]);
    world.assert_signed_in(&login.env("BROWSER", browser).output().unwrap());
    assert_eq!(world.server.counters()["reuse_detections"], 0);
    let out = world.outlast(&["logout", "crm"]).output().unwrap();
    assert!(out.status.success(), "{}", text(&out.stderr));
    let families = world.server.families();
    let alive = families.as_object().unwrap().values().any(|family| family["alive"] == true);
    assert!(!alive, "revoked at the address that the file names: {families}");
}

#[test]
fn r15_without_a_browser_the_address_it_ended_at_is_pasted() {
    let Some(world) = World::start(&[("AUTO_LOGIN", "1")], PUBLIC) else { return };
    let mut login = world.outlast(&["login", "crm", "--no-browser", "--json"]).stdin(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(login.stdout.take().unwrap()).lines();
    let visit: Value = serde_json::from_str(&lines.next().unwrap().unwrap()).unwrap();
    assert_eq!((&visit["event"], &visit["listening"]), (&json!("visit"), &json!(false)));
    let address = visit["address"].as_str().unwrap();
    let browsed = Command::new("python3").args([&script("browser.py"), "--stop", address]).output().unwrap();
    let mut stdin = login.stdin.take().unwrap();
    stdin.write_all(b"https://elsewhere.example/callback?code=CANARY&state=forged\n").unwrap();
    let refused: Value = serde_json::from_str(&lines.next().unwrap().unwrap()).unwrap();
    assert_eq!(refused["event"], "paste_refused", "{refused}");
    stdin.write_all(&browsed.stdout).unwrap();
    let done: Value = serde_json::from_str(&lines.next().unwrap().unwrap()).unwrap();
    assert_eq!((&done["event"], &done["subject"]), (&json!("logged_in"), &json!("alice")));
    assert!(login.wait().unwrap().success());
}

#[test]
fn n23_a_device_code_is_shown_with_who_asks_and_a_warning_and_its_approval_signs_in() {
    let Some(world) = World::start(&[], PUBLIC) else { return };
    let mut login = world.outlast(&["login", "crm", "--device"]).spawn().unwrap();
    let mut shown = BufReader::new(login.stderr.take().unwrap()).lines();
    let mut seen = Vec::new();
    while !seen.iter().any(|line: &String| line.contains("if somebody sent you here")) {
        seen.push(shown.next().unwrap().unwrap());
    }
    assert!(seen[0].contains("127.0.0.1") && seen[0].contains("crm"), "who asks: {seen:?}");
    assert!(seen.iter().any(|line| line.contains("openid api:read")), "for what: {seen:?}");
    let code = seen.iter().skip_while(|line| !line.contains("enter the code")).nth(2).unwrap().trim().to_owned();
    world.server.admin_post("/device/approve", &json!({ "user_code": code }));
    let told = login.wait_with_output().unwrap();
    world.assert_signed_in(&told);
}

#[test]
fn a_denied_device_code_exits_77_and_keeps_what_was_held() {
    let Some(world) = World::start(&[("AUTO_LOGIN", "1")], PUBLIC) else { return };
    let browser = format!("python3 {}", script("browser.py"));
    let first = world.outlast(&["login", "crm"]).env("BROWSER", &browser).output().unwrap();
    world.assert_signed_in(&first);
    let before = world.outlast(&["token", "crm"]).output().unwrap().stdout;
    let mut login = world.outlast(&["login", "crm", "--device", "--json"]).spawn().unwrap();
    let mut lines = BufReader::new(login.stdout.take().unwrap()).lines();
    let event: Value = serde_json::from_str(&lines.next().unwrap().unwrap()).unwrap();
    world.server.admin_post("/device/deny", &json!({ "user_code": event["user_code"] }));
    assert_eq!(login.wait().unwrap().code(), Some(77));
    assert_eq!(world.outlast(&["token", "crm"]).output().unwrap().stdout, before);
}

#[test]
fn nothing_is_asked_without_a_terminal_and_a_time_limit_is_kept() {
    let Some(world) = World::start(&[], PUBLIC) else { return };
    let told = world.outlast(&["login", "crm", "--no-browser", "--timeout", "200ms"]).output().unwrap();
    assert_eq!(told.status.code(), Some(77), "{}", text(&told.stderr));
    assert!(text(&told.stderr).contains("login-expired"), "{}", text(&told.stderr));
    let unknown = world.outlast(&["login", "nobody"]).output().unwrap();
    assert_eq!(unknown.status.code(), Some(78));
}

#[test]
fn from_nothing_to_a_stored_grant_in_three_answers() {
    let Some(world) = World::start(&[("AUTO_LOGIN", "1")], PUBLIC) else { return };
    let answers = json!([world.server.issuer(), "basic", "basic-secret"]).to_string();
    let login = world.outlast(&["login", "fresh", "--timeout", "1m"]);
    let mut terminal = Command::new("python3");
    terminal.args([&script("answers.py"), &answers]).arg(login.get_program()).args(login.get_args()).env_clear();
    for (name, value) in login.get_envs() {
        terminal.env(name, value.unwrap_or_default());
    }
    let browser = format!("python3 {}", script("browser.py"));
    let told = terminal.env("BROWSER", browser).output().unwrap();
    let shown = text(&told.stdout);
    assert!(told.status.success() && shown.contains("signed in to fresh"), "{shown}{}", text(&told.stderr));
    assert_eq!(shown.lines().next(), Some("3"), "{shown}");
    assert!(!shown.contains("basic-secret"), "what is secret is not shown: {shown}");
    let file = world.path("fresh.secret");
    assert_eq!(fs::read_to_string(&file).unwrap(), "basic-secret");
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
}

struct Mock(std::process::Child, u16);

impl Drop for Mock {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A second server that nobody here wrote: no rotation, and no refresh token in the answer to a refresh.
fn oidc_provider_mock() -> Option<Mock> {
    let program = "../../tests/peers/oidc-provider-mock/.venv/bin/oidc-provider-mock";
    let program = Path::new(env!("CARGO_MANIFEST_DIR")).join(program);
    if !program.exists() {
        assert!(std::env::var(REQUIRE_PEERS).is_err(), "oidc-provider-mock is missing: run tests/peers/install");
        eprintln!("skipped: oidc-provider-mock is missing; run tests/peers/install");
        return None;
    }
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let mut mock = Command::new(program);
    mock.args(["-p", &port.to_string(), "--user", "alice"]).stdout(Stdio::null()).stderr(Stdio::null());
    let mock = Mock(mock.spawn().unwrap(), port);
    for _ in 0..600 {
        if std::net::TcpStream::connect(("127.0.0.1", port)).is_ok() {
            return Some(mock);
        }
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    panic!("oidc-provider-mock does not start");
}

#[test]
fn n07_a_server_with_other_habits_is_signed_in_to_and_its_one_refresh_token_is_kept() {
    let Some(mock) = oidc_provider_mock() else { return };
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("outlast.toml");
    let written = format!(
        "[grant.crm]\nissuer = \"http://127.0.0.1:{}\"\nclient_id = \"agent\"\nclient_secret = {{ env = \"SECRET\" }}\n\
         scope = [\"openid\"]\n",
        mock.1
    );
    fs::write(&config, written).unwrap();
    fs::set_permissions(&config, fs::Permissions::from_mode(0o600)).unwrap();
    let outlast = |arguments: &[&str]| {
        let mut command = support::outlast(folder.path(), arguments);
        command.env("SECRET", "a-secret").env("BROWSER", format!("python3 {}", script("browser.py")));
        command.output().unwrap()
    };
    let told = outlast(&["login", "crm", "--timeout", "1m"]);
    assert!(told.status.success(), "{}{}", text(&told.stdout), text(&told.stderr));
    assert!(text(&told.stdout).contains("signed in to crm as alice"), "{}", text(&told.stdout));
    let mut seen = std::collections::BTreeSet::new();
    for _ in 0..3 {
        let token = outlast(&["token", "crm", "--renew"]);
        assert!(token.status.success(), "{}", text(&token.stderr));
        assert!(seen.insert(token.stdout), "each renewal brings another token");
    }
}
