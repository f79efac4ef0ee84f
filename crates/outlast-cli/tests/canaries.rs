//! T14, F74, S6: secrets are only where they belong. The whole product is walked through under canaries: what
//! it prints and logs, what it sends and to whom, what it leaves in files, in `/proc`, in core dumps.
#![allow(clippy::unwrap_used, clippy::disallowed_methods, clippy::print_stderr, missing_docs)]

#[path = "support/hostile.rs"]
mod hostile;
mod support;

use hostile::Hostile;
use outlast_testkit::canary::{Kind, Sink};
use serde_json::{Value, json};
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::os::unix::net::UnixStream;
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use support::home::Home;
use support::judged::figures;
use url::Url;

const CLIENT_SECRET: &str = "CANARY-client-secret-1f3c";
const ACCESS: &[Kind] = &[Kind::Access];

/// A user, an authorization server, and a resource that is another server.
struct World {
    home: Home,
    server: Hostile,
    resource: Hostile,
}

impl World {
    /// With one grant `crm` that holds nothing.
    fn new() -> Self {
        let home = Home::new();
        fs::DirBuilder::new().mode(0o700).create(home.path().join("run")).unwrap();
        let metadata = json!({
            "revocation_endpoint": "ISSUER/revoke",
            "authorization_response_iss_parameter_supported": true,
            "token_endpoint_auth_methods_supported": ["client_secret_basic"],
        });
        let (turns, server) = (AtomicU64::new(0), |turn: u64| token_set(&format!("{turn}")));
        let server = Hostile::start(&metadata, move |path, _| match path {
            "/token" => (200, server(turns.fetch_add(1, Ordering::SeqCst))),
            "/device" => (200, device()),
            _ => (200, json!({})),
        });
        let refused = AtomicBool::new(false);
        let resource = Hostile::start(&json!({}), move |path, _| match path {
            "/refuse" if !refused.swap(true, Ordering::SeqCst) => (401, json!({ "error": "invalid_token" })),
            _ => (200, json!({ "path": path })),
        });
        let world = Self { home, server, resource };
        world.configure(&world.grant("crm"));
        world
    }

    fn grant(&self, name: &str) -> String {
        let (issuer, upstream) = (&self.server.issuer, &self.resource.issuer);
        format!(
            "[grant.{name}]\nissuer = \"{issuer}\"\nclient_id = \"client\"\nclient_secret = {{ env = \"CRM_SECRET\" }}\n\
             upstream = \"{upstream}\"\n\n"
        )
    }

    fn configure(&self, text: &str) {
        let path = self.home.path().join(".config/outlast/outlast.toml");
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, format!("{text}[proxy]\nlisten = \"127.0.0.1:0\"\n")).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_outlast"));
        self.prepare(command.args(arguments));
        command
    }

    fn prepare(&self, command: &mut Command) {
        let home = self.home.path();
        command
            .env_clear()
            .env("HOME", home)
            .env("XDG_RUNTIME_DIR", home.join("run"))
            .env("TMPDIR", home.join("tmp"))
            .env("PATH", "/usr/bin:/bin")
            .env("CRM_SECRET", CLIENT_SECRET)
            .current_dir(home)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        self.home.expose(command);
    }

    /// What a command says; of secrets, `may` alone may be on its standard output.
    fn run(&self, arguments: &[&str], may: &[Kind]) -> Output {
        self.run_with_input(arguments, "", may)
    }

    fn run_with_input(&self, arguments: &[&str], input: &str, may: &[Kind]) -> Output {
        let mut child = self.command(arguments).stdin(Stdio::piped()).spawn().unwrap();
        // It may have read enough and gone.
        let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
        let output = child.wait_with_output().unwrap();
        let place = arguments.join(" ");
        self.home.watch.look(&format!("stdout of {place}"), &output.stdout, may);
        self.home.watch.look(&format!("stderr of {place}"), &output.stderr, &[]);
        output
    }

    fn succeed(&self, arguments: &[&str], may: &[Kind]) -> String {
        let output = self.run(arguments, may);
        assert!(output.status.success(), "{arguments:?}: {output:?}");
        String::from_utf8(output.stdout).unwrap()
    }

    fn import(&self, name: &str) {
        let output = self.run_with_input(&["import", name], &token_set("imported").to_string(), &[]);
        assert!(output.status.success(), "{output:?}");
    }

    fn socket(&self) -> PathBuf {
        self.home.path().join("run/outlast/control.sock")
    }

    /// `outlast serve`, once it listens, and the address of its proxy.
    fn serve(&self) -> (Child, String) {
        let mut child = self.command(&["serve"]).spawn().unwrap();
        self.home.watch.listen("stdout of serve", child.stdout.take().unwrap(), &[]);
        let mut said = BufReader::new(child.stderr.take().unwrap());
        let mut line = String::new();
        while !line.starts_with("outlast serves ") {
            line.clear();
            assert_ne!(said.read_line(&mut line).unwrap(), 0, "it ended");
            self.home.watch.look("stderr of serve", line.as_bytes(), &[]);
        }
        self.home.watch.listen("stderr of serve", said, &[]);
        let url = line.split(' ').find_map(|word| word.strip_suffix("/GRANT/PATH")).unwrap();
        (child, url.to_owned())
    }

    /// Looks at an answer of the control socket.
    fn ask(&self, method: &str, path: &str, body: &Value, may: &[Kind]) -> String {
        let mut stream = UnixStream::connect(self.socket()).unwrap();
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let length = body.len();
        write!(stream, "{method} {path} HTTP/1.0\r\nHost: localhost\r\nContent-Length: {length}\r\n\r\n{body}")
            .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        self.home.watch.look(&format!("socket of control, {method} {path}"), answer.as_bytes(), may);
        answer
    }

    /// Looks at an answer of the proxy, with this word as capability.
    fn through_the_proxy(&self, url: &str, path: &str, capability: &str) -> String {
        let fields = format!("Authorization: Bearer {capability}\r\nX-Trace: 1\r\nConnection: close\r\n");
        let answer = request(&format!("{url}{path}"), "GET", &fields);
        self.home.watch.look(&format!("socket of proxy, {path}"), answer.as_bytes(), &[]);
        answer
    }

    /// Looks at what servers were sent: each may know its own secrets and nobody else's.
    fn look_at_servers(&self) {
        self.look_at_server(&self.server, &[Kind::Access, Kind::Client, Kind::Refresh]);
        self.look_at_server(&self.resource, ACCESS);
    }

    fn look_at_server(&self, server: &Hostile, may: &[Kind]) {
        for sent in server.sent() {
            let (place, text) = (format!("server at {}", sent.path), format!("{}\n{}", sent.head, sent.body));
            self.home.watch.look(&place, text.as_bytes(), may);
        }
    }
}

fn token_set(turn: &str) -> Value {
    json!({
        "access_token": format!("CANARY-access-{turn}"),
        "token_type": "Bearer",
        "expires_in": 3600,
        "refresh_token": format!("CANARY-refresh-{turn}"),
    })
}

fn device() -> Value {
    json!({
        "device_code": "CANARY-device-1",
        "user_code": "WDJB-MJHT",
        "verification_uri": "https://login.example.com/device",
        "interval": 1,
        "expires_in": 60,
    })
}

fn request(address: &str, method: &str, fields: &str) -> String {
    let url = Url::parse(address).unwrap();
    let mut stream = std::net::TcpStream::connect((url.host_str().unwrap(), url.port().unwrap())).unwrap();
    let (target, host) = (&url[url::Position::BeforePath..], &url[url::Position::BeforeHost..url::Position::AfterPort]);
    write!(stream, "{method} {target} HTTP/1.1\r\nHost: {host}\r\n{fields}\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

fn parameter(address: &Url, name: &str) -> String {
    address.query_pairs().find(|(key, _)| key == name).unwrap().1.into_owned()
}

/// A login in a browser, whose part the test plays.
fn sign_in(world: &World) {
    let mut login = world.command(&["login", "crm", "--browser", "--json", "--timeout", "60s"]).spawn().unwrap();
    let mut events = BufReader::new(login.stdout.take().unwrap());
    let mut said = String::new();
    events.read_line(&mut said).unwrap();
    assert!(!said.is_empty(), "{:?}", login.wait_with_output());
    let visit: Value = serde_json::from_str(&said).unwrap();
    let address = Url::parse(visit["address"].as_str().unwrap()).unwrap();
    let issuer: String = url::form_urlencoded::byte_serialize(world.server.issuer.as_bytes()).collect();
    let (back, state) = (parameter(&address, "redirect_uri"), parameter(&address, "state"));
    for query in
        ["code=CANARY-code-forged&state=forged".to_owned(), format!("code=CANARY-code-1&state={state}&iss={issuer}")]
    {
        let page = request(&format!("{back}?{query}"), "GET", "Connection: close\r\n");
        world.home.watch.look("socket of login", page.as_bytes(), &[]);
    }
    events.read_to_string(&mut said).unwrap();
    let output = login.wait_with_output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let redeemed = world.server.sent_to("/token").pop().unwrap();
    let verifier =
        url::form_urlencoded::parse(redeemed.body.as_bytes()).find(|(key, _)| key == "code_verifier").unwrap();
    world.home.watch.plant(Kind::Client, verifier.1.as_bytes());
    world.home.watch.look("stdout of login", said.as_bytes(), &[]);
    world.home.watch.look("stderr of login", &output.stderr, &[]);
}

#[test]
fn t14_a_walk_through_the_product_shows_no_secret_where_none_belongs() {
    let world = World::new();
    sign_in(&world);
    commands(&world);
    let (mut serve, url) = world.serve();
    sidecar(&world, &url);
    child_of_run(&world);
    world.home.watch.look_at_process("serve", serve.id(), &[Kind::Client]);
    world.succeed(&["logout", "crm", "--json"], &[]);
    assert!(!world.server.sent_to("/revoke").is_empty(), "the server was told");
    for arguments in [&["token", "crm"][..], &["token", "crm", "--json"], &["status", "--json"], &["doctor"]] {
        world.run(arguments, &[]);
    }
    support::judged::signal(&serve, "TERM");
    assert!(serve.wait().unwrap().success());
    world.look_at_servers();
    for kind in [Kind::Access, Kind::Capability, Kind::Client, Kind::Refresh] {
        assert!(world.home.watch.met(kind), "no {kind:?} secret was ever met");
    }
    world.home.watch.hear_out();
    let looked_at = world.home.watch.looked_at();
    figures("canaries", &json!({ "bytes_looked_at": looked_at, "sightings": world.home.watch.sightings().len() }));
}

/// Every verb that has to do with a grant.
fn commands(world: &World) {
    world.succeed(&["token", "crm"], ACCESS);
    world.succeed(&["token", "crm", "--renew", "--json"], ACCESS);
    world.succeed(&["headers", "crm"], ACCESS);
    world.import("crm");
    for verb in ["status", "doctor"] {
        world.run(&[verb], &[]);
        world.run(&[verb, "--json"], &[]);
    }
    world.succeed(&["status", "crm", "--json"], &[]);
    world.run(&["login", "crm", "--device", "--json", "--timeout", "1s"], &[]);
    world.run(&["token", "nobody"], &[]);
}

fn sidecar(world: &World, url: &str) {
    for path in ["/healthz", "/metrics", "/v1/grants", "/v1/grants/crm", "/v1/grants/nobody/token", "/v1/x"] {
        world.ask("GET", path, &Value::Null, &[]);
    }
    for query in ["", "?renew=1", "?min_ttl=100000"] {
        world.ask("GET", &format!("/v1/grants/crm/token{query}"), &Value::Null, ACCESS);
    }
    let login = "/v1/grants/crm/login";
    for (method, body) in [
        ("POST", json!({ "way": "device" })),
        ("GET", Value::Null),
        ("DELETE", Value::Null),
        ("POST", json!({ "way": "paste" })),
        ("POST", json!({ "pasted": "http://127.0.0.1/callback?code=CANARY-code-2&state=forged" })),
        ("POST", json!({ "pasted": { "CANARY-code-3": 1 } })),
        ("DELETE", Value::Null),
    ] {
        world.ask(method, login, &body, &[]);
    }
    let minted = world.ask("POST", "/v1/capabilities", &json!({ "grants": ["crm"] }), &[Kind::Capability]);
    let minted: Value = serde_json::from_str(minted.split_once("\r\n\r\n").unwrap().1).unwrap();
    let kept = fs::read_to_string(world.home.state().join("capability")).unwrap();
    let wrong = "outlast-capability-of-nobody-0123456789-0123456789";
    for capability in [minted["capability"].as_str().unwrap(), kept.trim(), wrong, "CANARY-access-as-capability"] {
        for path in ["/crm/work", "/crm/refuse", "/crm/../x", "/nobody/x", "/"] {
            world.through_the_proxy(url, path, capability);
        }
    }
    assert_eq!(world.resource.sent_to("/work").len(), 2, "those with a capability came through");
}

/// A program under `run`: it has its capability and its token file, and nothing else.
fn child_of_run(world: &World) {
    let script = "env; cat \"$OUTLAST_CRM_TOKEN_FILE\"; echo ready; cat";
    let mut child =
        world.command(&["run", "--grant", "crm", "--", "sh", "-c", script]).stdin(Stdio::piped()).spawn().unwrap();
    world.home.watch.listen("stderr of run", child.stderr.take().unwrap(), &[]);
    let mut stdout = BufReader::new(child.stdout.take().unwrap());
    let mut said = String::new();
    while !said.ends_with("ready\n") {
        assert_ne!(stdout.read_line(&mut said).unwrap(), 0, "it ended: {said}");
    }
    world.home.watch.look("stdout of run", said.as_bytes(), &[Kind::Access, Kind::Capability]);
    world.home.watch.look_at_process("run", child.id(), &[Kind::Client]);
    drop(child.stdin.take());
    assert!(child.wait().unwrap().success());
    let left: Vec<_> = fs::read_dir(world.home.path().join("tmp")).unwrap().collect();
    assert!(left.is_empty(), "{left:?}");
}

/// What a server may answer that has secrets in it, where nobody expects them.
const ODD_ANSWERS: [(u16, &str); 9] = [
    (400, r#"{"error":"invalid_grant","error_description":"CANARY-refresh-sent is spent"}"#),
    (400, r#"{"error":"CANARY-refresh-sent","error_uri":"https://as.example/?CANARY-client-secret"}"#),
    (401, r#"{"error":"invalid_client","error_description":"secret CANARY-client-secret-1f3c is wrong"}"#),
    (503, r#""<html>CANARY-refresh-sent CANARY-client-secret-1f3c""#),
    (200, r#""CANARY-access-as-text""#),
    (200, r#"{"access_token":{"CANARY-access-1":1},"token_type":"Bearer"}"#),
    (200, r#"{"access_token":"CANARY-access-1","token_type":"CANARY-refresh-1","expires_in":"CANARY-refresh-1"}"#),
    (200, r#"{"access_token":"CANARY-access\n1","token_type":"Bearer","refresh_token":"CANARY-refresh\u0000"}"#),
    (
        200,
        r#"{"access_token":"","token_type":"Bearer","refresh_token":"CANARY-refresh-1","scope":["CANARY-refresh-2"]}"#,
    ),
];

#[test]
fn t14_what_a_server_answers_is_repeated_to_nobody() {
    let world = World::new();
    let odd = Hostile::start(&json!({}), |path, _| {
        let (status, body) = ODD_ANSWERS[path.trim_start_matches("/odd-").parse::<usize>().unwrap()];
        (status, serde_json::from_str(body).unwrap())
    });
    let tables: String = (0..ODD_ANSWERS.len())
        .map(|n| {
            let endpoint = format!("issuer = \"{}\"", world.server.issuer);
            let odd = format!("token_endpoint = \"{}/odd-{n}\"\ngrant_type = \"refresh_token\"", odd.issuer);
            world.grant(&format!("odd-{n}")).replace(&endpoint, &odd)
        })
        .collect();
    world.configure(&tables);
    let names: Vec<String> = (0..ODD_ANSWERS.len()).map(|n| format!("odd-{n}")).collect();
    for name in &names {
        world.import(name);
    }
    let (mut serve, url) = world.serve();
    let capability = fs::read_to_string(world.home.state().join("capability")).unwrap();
    std::thread::scope(|scope| {
        for name in &names {
            let (world, url, capability) = (&world, &url, capability.trim());
            scope.spawn(move || {
                // What is held is good, so that it may be served after all.
                world.run(&["token", name, "--renew", "--json"], ACCESS);
                world.ask("GET", &format!("/v1/grants/{name}/token?renew=1"), &Value::Null, ACCESS);
                world.ask("GET", &format!("/v1/grants/{name}/token?min_ttl=99999"), &Value::Null, ACCESS);
                world.run(&["token", name, "--renew"], ACCESS);
                world.run(&["status", name, "--json"], &[]);
                world.through_the_proxy(url, &format!("/{name}/work"), capability);
            });
        }
    });
    world.run(&["doctor", "--json"], &[]);
    world.run(&["status"], &[]);
    world.ask("GET", "/v1/grants", &Value::Null, &[]);
    world.ask("GET", "/metrics", &Value::Null, &[]);
    for n in 0..ODD_ANSWERS.len() {
        assert!(!odd.sent_to(&format!("/odd-{n}")).is_empty(), "{n} was not asked");
    }
    support::judged::signal(&serve, "TERM");
    assert!(serve.wait().unwrap().success());
    world.look_at_servers();
}

#[test]
fn s6_no_secret_follows_a_redirect() {
    let world = World::new();
    let sink = Sink::start();
    let location = format!("{}/elsewhere", sink.origin());
    let moved = Hostile::start(&json!({}), {
        let location = location.clone();
        move |path, _| (path.trim_start_matches('/').parse().unwrap(), json!({ "location": location }))
    });
    let resource = Hostile::start(&json!({}), move |_, _| (307, json!({ "location": location })));
    let statuses = [301, 302, 303, 307, 308];
    let tables = statuses.map(|status| {
        let endpoint = format!("issuer = \"{}\"", world.server.issuer);
        let moved = format!("token_endpoint = \"{}/{status}\"\ngrant_type = \"refresh_token\"", moved.issuer);
        world
            .grant(&format!("moved-{status}"))
            .replace(&endpoint, &moved)
            .replace(&world.resource.issuer, &resource.issuer)
    });
    world.configure(&tables.concat());
    // Side by side: each is asked a few times, for the server might get well.
    std::thread::scope(|scope| {
        for status in statuses {
            let (world, moved, name) = (&world, &moved, format!("moved-{status}"));
            scope.spawn(move || {
                world.import(&name);
                let output = world.run(&["token", &name, "--renew"], &[]);
                assert!(!output.status.success(), "{status}: {output:?}");
                assert!(!moved.sent_to(&format!("/{status}")).is_empty(), "{status} was not asked");
            });
        }
    });
    let (mut serve, url) = world.serve();
    let capability = fs::read_to_string(world.home.state().join("capability")).unwrap();
    let answer = world.through_the_proxy(&url, "/moved-301/x", capability.trim());
    assert!(answer.starts_with("HTTP/1.1 307"), "whether to follow is the agent's business: {answer}");
    support::judged::signal(&serve, "TERM");
    assert!(serve.wait().unwrap().success());
    world.look_at_server(&moved, &[Kind::Client, Kind::Refresh]);
    world.look_at_server(&resource, ACCESS);
    assert!(!sink.heard(), "somebody was sent what belongs to another");
}

#[test]
fn s6_the_watch_would_hear_a_proxy_of_the_environment() {
    // A program that honours the variables, under the same environment: the sink hears it.
    let sink = Sink::start();
    let script = "import urllib.request as r; r.urlopen('http://as.example/?CANARY-refresh-1')";
    let mut python = Command::new("python3");
    let output = python.args(["-c", script]).envs(sink.as_proxy()).output().unwrap();
    assert!(!output.status.success() && sink.heard(), "{output:?}");
}

/// What people and tools write wrong where a secret is. Names of keys, variables and files are told, or nobody
/// could mend them.
fn wrong_configurations(world: &World) -> Vec<String> {
    let good = world.grant("crm");
    let with = |line: &str| good.replace("client_secret = { env = \"CRM_SECRET\" }", line);
    [
        "client_secret = \"CANARY-client-1\" x",
        "client_secret = \"CANARY-client-1",
        "client_secret = CANARY-client-1",
        "client_secret = [\"CANARY-client-1\"]",
        "client_secret = { env = \"CRM_SECRET\", file = \"CANARY-client-1\" }",
        "client_secret = \"CANARY-client-1\"\nclient_secret = \"CANARY-client-1\"",
        "client_sercet = \"CANARY-client-1\"",
        "client_secret = \"CANARY-client-1\\n\"",
        "client_secret = \"CANARY-client-1 \\u00e9\"",
        "client_secret = { command = [\"sh\", \"-c\", \"echo CANARY-client-1 >&2; exit 1\"] }",
        "client_secret = { command = \"echo CANARY-client-1\" }",
        "private_key = \"CANARY-client-1\"",
        "token_endpoint = \"https://client:CANARY-client-1@as.example/token?secret=CANARY-client-1\"",
        "token_endpoint = \"ftp://client:CANARY-client-1@as.example/CANARY-client-1\"",
        "revocation_endpoint = \"https://as.example/?CANARY-client-1\"",
    ]
    .map(with)
    .into()
}

#[test]
fn t14_what_people_write_wrong_is_not_shown() {
    let world = World::new();
    world.import("crm");
    for text in wrong_configurations(&world) {
        world.configure(&text);
        for arguments in [&["token", "crm", "--renew"][..], &["status", "--json"], &["doctor"], &["doctor", "--json"]] {
            world.run(arguments, ACCESS);
        }
    }
    world.configure(&world.grant("crm"));
    let imports = [
        r#"{"access_token":"CANARY-access-1" "refresh_token":"CANARY-refresh-1"}"#,
        r#"{"access_token":"CANARY-access-1","refresh_token":["CANARY-refresh-1"]}"#,
        r#"{"access_token":"CANARY-access-1","expires_in":"CANARY-refresh-1"}"#,
        r#"{"access_token":"CANARY-access-1","token_type":"CANARY-refresh-1"}"#,
        r#"{"access_token":"CANARY-access-1","refresh_token":"CANARY-refresh-1","refresh_token":"CANARY-refresh-2"}"#,
        r#"{"CANARY-refresh-1":1}"#,
        r#"["CANARY-refresh-1"]"#,
        "CANARY-refresh-1",
        "\"CANARY-refresh-1",
        "refresh_token=CANARY-refresh-1&access_token=CANARY-access-1",
    ];
    for (n, text) in imports.iter().enumerate() {
        world.run_with_input(&["import", "crm", "--json"], text, &[]);
        let path = world.home.path().join("outlast.toml").with_file_name(format!("tokens-{n}.json"));
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        world.run(&["import", "crm", "--from", path.to_str().unwrap()], &[]);
        fs::remove_file(path).unwrap();
    }
}

/// A process ended by a signal that leaves a core, in a folder where it may leave one of any size.
fn crashed(world: &World, program: &str, arguments: &[&str], ready: impl FnOnce(&Child), signal: &str) -> bool {
    let folder = world.home.path().join("crash");
    let _there = fs::create_dir(&folder);
    let mut shell = Command::new("sh");
    shell.args(["-c", "ulimit -c unlimited; exec \"$0\" \"$@\"", program]).args(arguments);
    world.prepare(&mut shell);
    let mut child = shell.current_dir(&folder).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    ready(&child);
    let began = support::judged::monotonic();
    // Again and again: the first SIGSEGV only takes the runtime's own handler away.
    let status = loop {
        support::judged::signal(&child, signal);
        std::thread::sleep(std::time::Duration::from_millis(20));
        if let Some(status) = child.try_wait().unwrap() {
            break status;
        }
        assert!(support::judged::monotonic() - began < 30.0, "it lives on after {signal}");
    };
    assert!(status.signal().is_some(), "{status:?}");
    status.core_dumped()
}

#[test]
fn t14_a_process_that_crashes_leaves_no_core() {
    let world = World::new();
    sign_in(&world);
    // First something that does leave one, or nothing is shown here.
    let pause = |_: &Child| std::thread::sleep(std::time::Duration::from_millis(300));
    if !crashed(&world, "/bin/sleep", &["60"], pause, "SEGV") {
        eprintln!("skipped: no process leaves a core here");
        return;
    }
    fs::remove_dir_all(world.home.path().join("crash")).unwrap();
    for signal in ["ABRT", "SEGV", "BUS"] {
        let serving = |child: &Child| {
            while UnixStream::connect(world.socket()).is_err() {
                std::thread::sleep(std::time::Duration::from_millis(5));
            }
            world.ask("GET", "/v1/grants/crm/token?renew=1", &Value::Null, ACCESS);
            assert!(world.home.watch.count_in_memory(child.id()).iter().any(|(_, count)| *count > 0));
        };
        let dumped = crashed(&world, env!("CARGO_BIN_EXE_outlast"), &["serve"], serving, signal);
        assert!(!dumped, "a process full of secrets left a core at {signal}");
    }
    let left: Vec<_> = fs::read_dir(world.home.path().join("crash")).unwrap().collect();
    assert!(left.is_empty(), "{left:?}");
}
