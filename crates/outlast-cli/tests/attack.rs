//! Attacks on a sign-in, against the real binary: hostile servers, forged answers, addresses that are
//! no addresses, text that would move a cursor.
#![allow(clippy::unwrap_used, clippy::print_stderr, missing_docs)]
#![allow(clippy::disallowed_methods, reason = "a test prepares files and reads its own environment")]

#[path = "support/hostile.rs"]
mod hostile;
mod support;

use hostile::Hostile;
use outlast_testkit::canary::{Sink, Watch};
use serde_json::{Value, json};
use std::fs;
use std::io::{BufRead, BufReader, Lines, Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Child, ChildStdout, Command};
use url::Url;

/// A folder with a configuration of one grant at `server`, under a watch for secrets.
struct Victim {
    folder: tempfile::TempDir,
    watch: Watch,
    /// What the environment names as its proxy.
    proxy: Sink,
}

impl Drop for Victim {
    fn drop(&mut self) {
        if std::thread::panicking() {
            return;
        }
        self.watch.look_into(&self.path("state"), &|_| &[]);
        assert!(!self.proxy.heard(), "something was sent through a proxy that only the environment names");
        self.watch.assert_clean();
    }
}

/// A login that goes on.
struct Going {
    login: Child,
    events: Lines<BufReader<ChildStdout>>,
}

/// What a command that ended had said.
struct Said {
    code: i32,
    out: String,
    err: String,
}

impl Victim {
    fn of(server: &Hostile) -> Self {
        Self::with(&format!("issuer = \"{}\"\nclient_id = \"client\"\nscope = [\"openid\"]\n", server.issuer))
    }

    fn with(grant: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let config = folder.path().join("outlast.toml");
        fs::write(&config, format!("[grant.crm]\n{grant}")).unwrap();
        fs::set_permissions(&config, fs::Permissions::from_mode(0o600)).unwrap();
        Self { folder, watch: Watch::new(), proxy: Sink::start() }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn outlast(&self, arguments: &[&str]) -> Command {
        let mut command = support::outlast(self.folder.path(), arguments);
        command.env("OUTLAST_LOG", "trace").envs(self.proxy.as_proxy());
        command
    }

    fn run(&self, arguments: &[&str]) -> Said {
        ended(self.outlast(arguments).spawn().unwrap())
    }

    /// A login without a browser of its own: the test is the browser.
    fn begin(&self) -> Going {
        let arguments = ["login", "crm", "--browser", "--json", "--timeout", "30s"];
        let mut login = self.outlast(&arguments).spawn().unwrap();
        let events = BufReader::new(login.stdout.take().unwrap()).lines();
        Going { login, events }
    }
}

impl Going {
    fn next(&mut self) -> Value {
        let line = self.events.next().expect("one more event").unwrap();
        serde_json::from_str(&line).unwrap()
    }

    /// The address that a person is sent to.
    fn visit(&mut self) -> Url {
        let event = self.next();
        assert_eq!(event["event"], "visit", "{event}");
        Url::parse(event["address"].as_str().unwrap()).unwrap()
    }

    fn ended(self) -> Said {
        ended(self.login)
    }
}

fn ended(child: Child) -> Said {
    let told = child.wait_with_output().unwrap();
    let watch = Watch::new();
    watch.look("stdout", &told.stdout, &[]);
    watch.look("stderr", &told.stderr, &[]);
    watch.assert_clean();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    Said { code: told.status.code().unwrap_or(-1), out: text(told.stdout), err: text(told.stderr) }
}

fn parameter(address: &Url, name: &str) -> String {
    address.query_pairs().find(|(key, _)| key == name).unwrap().1.into_owned()
}

/// Where a browser that was sent to `address` comes back to, with `rest` as the server's answer.
fn callback(address: &Url, rest: &str) -> String {
    format!("{}?state={}&{rest}", parameter(address, "redirect_uri"), parameter(address, "state"))
}

fn encoded(text: &str) -> String {
    url::form_urlencoded::byte_serialize(text.as_bytes()).collect()
}

/// One request as it is written, to whoever listens where `callback` leads.
fn send(callback: &str, request: &str) -> Option<String> {
    let url = Url::parse(callback).unwrap();
    let mut stream = TcpStream::connect((url.host_str().unwrap(), url.port().unwrap())).ok()?;
    stream.write_all(request.as_bytes()).ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    Some(answer)
}

fn get(address: &str, fields: &str) -> Option<String> {
    let url = Url::parse(address).unwrap();
    let target = &url[url::Position::BeforePath..];
    send(address, &format!("GET {target} HTTP/1.1\r\nHost: x\r\n{fields}\r\n"))
}

fn status(answer: &str) -> &str {
    answer.get(9..12).unwrap_or_default()
}

/// Tokens for whoever redeems a code.
fn gives_tokens(path: &str, _issuer: &str) -> (u16, Value) {
    match path {
        "/token" => (
            200,
            json!({"access_token": "CANARY-access", "token_type": "Bearer", "expires_in": 600, "refresh_token": "CANARY-refresh"}),
        ),
        _ => (404, json!({"error": "not_found"})),
    }
}

fn names_itself() -> Value {
    json!({"authorization_response_iss_parameter_supported": true})
}

#[test]
fn n36_a_code_of_another_server_reaches_no_token_endpoint() {
    // The victim signs in at the attacker's server, whose pages send the browser on to the honest one
    // with the same state: the honest server answers with a code of its own, and its own name.
    for names_issuer in [true, false] {
        let (honest, evil) = (
            Hostile::start(&names_itself(), gives_tokens),
            Hostile::start(&json!({"authorization_response_iss_parameter_supported": names_issuer}), gives_tokens),
        );
        let victim = Victim::of(&evil);
        let mut going = victim.begin();
        let address = going.visit();
        assert!(address.as_str().starts_with(&evil.issuer));
        let mixed_up = callback(&address, &format!("code=CANARY-code&iss={}", encoded(&honest.issuer)));
        let page = get(&mixed_up, "").unwrap();
        assert!(!page.contains("CANARY"), "{page}");
        let said = going.ended();
        assert!(said.err.contains("\"code\":\"login-refused\""), "{}{}", said.out, said.err);
        assert!(!said.err.contains("CANARY") && !said.out.contains("CANARY"), "{}", said.err);
        assert!(evil.sent_to("/token").is_empty() && honest.sent_to("/token").is_empty(), "the code went to nobody");
    }
}

#[test]
fn n36_two_logins_at_once_take_no_answer_of_one_another() {
    let (one, other) = (Hostile::start(&names_itself(), gives_tokens), Hostile::start(&names_itself(), gives_tokens));
    let (first, second) = (Victim::of(&one), Victim::of(&other));
    let (mut here, mut there) = (first.begin(), second.begin());
    let (at_one, at_other) = (here.visit(), there.visit());
    // The answer of each, brought to the port of the other.
    for (port_of, answer_of, server) in [(&at_one, &at_other, &other), (&at_other, &at_one, &one)] {
        let crossed = format!(
            "{}?state={}&code=CANARY&iss={}",
            parameter(port_of, "redirect_uri"),
            parameter(answer_of, "state"),
            encoded(&server.issuer)
        );
        assert_eq!(status(&get(&crossed, "").unwrap()), "400", "state is bound to its login");
    }
    assert!(one.sent_to("/token").is_empty() && other.sent_to("/token").is_empty());
    for (address, server, mut going) in [(&at_one, &one, here), (&at_other, &other, there)] {
        get(&callback(address, &format!("code=good&iss={}", encoded(&server.issuer))), "").unwrap();
        assert_eq!(going.next()["event"], "logged_in", "what was crossed ended neither");
        let sent = server.sent_to("/token");
        assert!(sent.len() == 1 && sent[0].body.contains("code=good"), "{sent:?}");
        assert_eq!(going.ended().code, 0);
    }
}

#[test]
fn n17_f73_of_many_answers_at_once_one_is_taken_and_looking_ahead_takes_none() {
    let server = Hostile::start(&names_itself(), gives_tokens);
    let victim = Victim::of(&server);
    let mut going = victim.begin();
    let address = going.visit();
    let good = callback(&address, &format!("code=good&iss={}", encoded(&server.issuer)));
    let target = Url::parse(&good).unwrap()[url::Position::BeforePath..].to_owned();
    for method in ["HEAD", "POST", "OPTIONS", "CONNECT", "TRACE", "PUT"] {
        let answer = send(&good, &format!("{method} {target} HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n"));
        assert_ne!(answer.as_deref().map(status), Some("200"), "{method}: {answer:?}");
    }
    for ahead in ["Purpose: prefetch", "Sec-Purpose: prefetch;prerender", "X-Moz: prefetch"] {
        assert_eq!(status(&get(&good, &format!("{ahead}\r\n")).unwrap()), "404", "{ahead}");
    }
    assert!(server.sent_to("/token").is_empty(), "nothing of that was an answer");
    let forged = callback(&address, "code=forged&iss=https%3A%2F%2Fevil.example").replace("state=", "state=x");
    let asked: Vec<_> = (0..8)
        .map(|turn| if turn % 2 == 0 { forged.clone() } else { good.clone() })
        .map(|each| std::thread::spawn(move || get(&each, "").map(|answer| status(&answer).to_owned())))
        .collect();
    let answered: Vec<_> = asked.into_iter().map(|each| each.join().unwrap().unwrap_or_default()).collect();
    assert_eq!(answered.iter().filter(|status| *status == "200").count(), 1, "{answered:?}");
    assert_eq!(going.next()["event"], "logged_in");
    let sent = server.sent_to("/token");
    assert!(sent.len() == 1 && sent[0].body.contains("code=good"), "{sent:?}");
    assert_eq!(get(&good, ""), None, "nobody listens any more");
    assert_eq!(going.ended().code, 0);
}

#[test]
fn n37_the_listener_redirects_nowhere_and_repeats_nothing() {
    let server = Hostile::start(&names_itself(), gives_tokens);
    let victim = Victim::of(&server);
    let mut going = victim.begin();
    let address = going.visit();
    let redirect = parameter(&address, "redirect_uri");
    let path = Url::parse(&redirect).unwrap().path().to_owned();
    let state = parameter(&address, "state");
    let targets = [
        format!("{path}?next=//evil.example/MARK&redirect_uri=https://evil.example/MARK&state=MARK"),
        format!("{path}?state=MARK%0d%0aLocation:%20https://evil.example/&code=MARK"),
        format!("{path}?state={state}&state=MARK&code=MARK"),
        format!("{path}?<script>MARK</script>"),
        "//evil.example/MARK".to_owned(),
        "/%2f%2fevil.example/MARK".to_owned(),
        "/\\evil.example/MARK".to_owned(),
        format!("{path}/../MARK?state={state}&code=c"),
        format!("{path}/?state={state}&code=MARK"),
        "http://evil.example/MARK".to_owned(),
        format!("http://evil.example{path}?state=MARK&code=MARK"),
        format!("{path};MARK?state={state}&code=c"),
    ];
    for target in targets {
        let fields = "Host: evil.example\r\nReferer: https://evil.example/MARK\r\nOrigin: https://evil.example\r\n";
        let Some(answer) = send(&redirect, &format!("GET {target} HTTP/1.1\r\n{fields}\r\n")) else { continue };
        let told = answer.to_ascii_lowercase();
        assert!(status(&answer).starts_with('4'), "{target}: {answer}");
        for never in ["location:", "refresh", "access-control-", "set-cookie", "mark", "evil.example"] {
            assert!(!told.contains(never), "{never}: {target}: {answer}");
        }
    }
    assert!(server.sent_to("/token").is_empty());
    // A denial and its words too.
    let denial = format!("error=access_denied&error_description=MARK&iss={}", encoded(&server.issuer));
    let page = get(&callback(&address, &denial), "").unwrap();
    assert!(status(&page) == "200" && !page.contains("MARK") && !page.contains("access_denied"), "{page}");
    let said = going.ended();
    assert!(said.err.contains("login-denied") && !said.err.contains("MARK"), "{}", said.err);
}

/// A browser that writes down what it is started with, one argument a line.
fn recorder(victim: &Victim) -> String {
    let program = victim.path("recorder");
    fs::write(&program, "#!/bin/sh\nprintf '%s\\n' \"$@\" >\"$0.log\"\n").unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o700)).unwrap();
    program.to_str().unwrap().to_owned()
}

#[test]
fn n53_an_address_that_is_none_is_never_opened() {
    let addresses = [
        "javascript:alert(1)",
        "-x",
        "--remote-debugging-port=9222",
        "$(touch PWNED)",
        "`touch PWNED`",
        "&calc",
        "; touch PWNED",
        "file:///etc/passwd",
        "data:text/html,x",
        "vbscript:x",
        "ms-msdt:/id",
        "http://as.example/authorize",
        "https://user:pass@as.example/authorize",
        "https://as.example/ -x",
        "https://as.example/a?x=$(touch PWNED)",
        " -x",
        "",
    ];
    for address in addresses {
        let server = Hostile::start(&json!({"authorization_endpoint": address}), gives_tokens);
        let victim = Victim::of(&server);
        let browser = recorder(&victim);
        for format in [&[][..], &["--json"][..]] {
            let arguments = [&["login", "crm", "--browser", "--timeout", "5s"], format].concat();
            let mut login = victim.outlast(&arguments);
            let said = ended(login.env("BROWSER", &browser).current_dir(victim.folder.path()).spawn().unwrap());
            assert_ne!(said.code, 0, "{address}");
            assert!(!said.err.contains("login-expired"), "it is refused and not waited for: {address}: {}", said.err);
            assert!(!said.out.contains("\"visit\""), "{address}: {}", said.out);
        }
        assert!(!victim.path("recorder.log").exists(), "{address} was opened");
        assert!(!victim.path("PWNED").exists(), "{address} was run");
    }
}

#[test]
fn n53_what_is_in_an_address_is_one_argument_and_no_command() {
    let server = Hostile::start(&json!({}), gives_tokens);
    // Without blanks, which no address has: `n53_an_address_that_is_none_is_never_opened`.
    for nasty in [
        "/a?x=$(touch${IFS}PWNED)",
        "/a?x=`touch${IFS}PWNED`",
        "/a?x=1&calc&x=|touch${IFS}PWNED",
        "/a;touch${IFS}PWNED;%s",
    ] {
        let endpoint = format!("{}{nasty}", server.issuer);
        let server = Hostile::start(&json!({"authorization_endpoint": endpoint}), gives_tokens);
        let victim = Victim::of(&server);
        let mut login = victim.outlast(&["login", "crm", "--browser", "--timeout", "1s"]);
        login.env("BROWSER", recorder(&victim)).current_dir(victim.folder.path());
        let said = ended(login.spawn().unwrap());
        assert!(said.err.contains("login-expired"), "{}", said.err);
        let opened = support::text(&victim.path("recorder.log"));
        assert_eq!(opened.lines().count(), 1, "{opened}");
        assert!(opened.starts_with("http://127.0.0.1:") && !opened.trim_end().contains(' '), "{opened}");
        assert!(!victim.path("PWNED").exists(), "{opened}");
    }
}

#[test]
fn n40_metadata_sends_a_login_to_no_address_where_its_server_is_not() {
    let places = [
        "https://169.254.169.254/latest/meta-data",
        "https://10.0.0.1/token",
        "https://192.168.1.1/token",
        "https://[fd00::1]/token",
        "https://[fe80::1]/token",
        "https://0.0.0.0/token",
        "https://0xa9fea9fe/token",
    ];
    for name in ["token_endpoint", "authorization_endpoint", "device_authorization_endpoint"] {
        for place in places {
            let server = Hostile::start(&json!({name: place}), gives_tokens);
            let said = Victim::of(&server).run(&["login", "crm", "--browser", "--json", "--timeout", "5s"]);
            assert!(said.err.contains("\"code\":\"insecure-address\""), "{name} {place}: {}", said.err);
            assert_eq!(said.out, "", "nobody is sent there");
        }
    }
}

/// What would move a cursor, colour a text, set a title, turn a line around or hide a letter: C0, C1 as
/// one character, DEL, and marks of direction.
const MOVES: &str = "\u{1b}[2J\u{1b}]0;owned\u{7}\u{9b}31m\u{7f}\r\u{8}\u{202e}\u{2066}\u{200b}\u{85}";

fn assert_still(said: &Said) {
    for text in [&said.out, &said.err] {
        let moving: Vec<char> = text
            .chars()
            .filter(|c| (c.is_control() && *c != '\n') || "\u{202e}\u{2066}\u{200b}".contains(*c))
            .collect();
        assert!(moving.is_empty(), "{moving:?} in {text:?}");
    }
}

#[test]
fn n49_nothing_a_server_writes_into_an_error_moves_the_cursor() {
    let word = |before: &str| format!("{before}{MOVES}");
    for error in ["invalid_client", "access_denied", "slow down"] {
        let body = json!({
            "error": word(error), "error_description": word("text"), "error_uri": word("https://as.example/"),
            "message": word("more"), "state": word("s"),
        });
        let answers = move |path: &str, _: &str| match path {
            "/token" | "/device" => (400, body.clone()),
            _ => (404, json!({})),
        };
        let server = Hostile::start(&json!({}), answers);
        let victim = Victim::of(&server);
        for format in [&[][..], &["--json"][..]] {
            let device = victim.run(&[&["login", "crm", "--device", "--timeout", "5s"], format].concat());
            assert_ne!(device.code, 0);
            assert_still(&device);
        }
        let mut going = victim.begin();
        let address = going.visit();
        get(&callback(&address, "code=c"), "").unwrap();
        let said = going.ended();
        assert_ne!(said.code, 0);
        assert_still(&said);
        let mut going = victim.begin();
        let address = going.visit();
        let words = encoded(&word(error));
        get(&callback(&address, &format!("error={words}&error_description={words}&error_uri={words}")), "").unwrap();
        assert_still(&going.ended());
    }
}

#[test]
fn n49_nothing_in_metadata_moves_the_cursor() {
    let word = |before: &str| format!("{before}{MOVES}");
    for metadata in [
        json!({"issuer": word("https://as.example")}),
        json!({"authorization_endpoint": word("https://as.example/")}),
        json!({"token_endpoint": word("http://as.example/")}),
        json!({"token_endpoint": word("https://10.0.0.1/")}),
        json!({"code_challenge_methods_supported": [MOVES]}),
        json!({"token_endpoint_auth_methods_supported": [MOVES]}),
        json!({"scopes_supported": MOVES}),
    ] {
        let server = Hostile::start(&metadata, gives_tokens);
        let victim = Victim::of(&server);
        for format in [&[][..], &["--json"][..]] {
            let said = victim.run(&[&["login", "crm", "--browser", "--timeout", "300ms"], format].concat());
            assert_ne!(said.code, 0, "{metadata}");
            assert_still(&said);
        }
    }
}

#[test]
fn n23_nothing_of_a_device_code_moves_the_cursor() {
    let word = |before: &str| format!("{before}{MOVES}");
    for (name, value) in [
        ("user_code", word("WDJB")),
        ("verification_uri", word("https://as.example/")),
        ("verification_uri_complete", word("https://as.example/")),
        ("device_code", word("d")),
        ("message", word("visit")),
    ] {
        let mut body = json!({
            "device_code": "d", "user_code": "WDJB", "verification_uri": "https://as.example/d", "interval": 1,
        });
        body[name] = value.into();
        let answers = move |path: &str, _: &str| match path {
            "/device" => (200, body.clone()),
            _ => (400, json!({"error": "authorization_pending"})),
        };
        let server = Hostile::start(&json!({}), answers);
        for format in [&[][..], &["--json"][..]] {
            let victim = Victim::of(&server);
            let said = victim.run(&[&["login", "crm", "--device", "--timeout", "300ms"], format].concat());
            assert_ne!(said.code, 0, "{name}");
            assert_still(&said);
        }
    }
}

#[test]
fn n23_no_browser_is_opened_with_a_code() {
    let answers = |path: &str, _: &str| match path {
        "/device" => (
            200,
            json!({
                "device_code": "d", "user_code": "WDJB-MJHT", "verification_uri": "https://as.example/d",
                "verification_uri_complete": "https://as.example/d?c=WDJB-MJHT",
            }),
        ),
        _ => (400, json!({"error": "authorization_pending"})),
    };
    let server = Hostile::start(&json!({}), answers);
    let victim = Victim::of(&server);
    let browser = recorder(&victim);
    for format in [&[][..], &["--json"][..]] {
        let arguments = [&["login", "crm", "--device", "--timeout", "500ms"], format].concat();
        let said = ended(victim.outlast(&arguments).env("BROWSER", &browser).spawn().unwrap());
        assert!(said.err.contains("WDJB-MJHT") || said.out.contains("WDJB-MJHT"), "{}{}", said.out, said.err);
        assert!(!victim.path("recorder.log").exists(), "whoever sent the code would be signed in");
    }
}

/// The review of N18: people sign in with their own browser, and none is part of this.
#[test]
fn n18_no_engine_of_a_browser_is_built_in() {
    let lock = support::text(&PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../Cargo.lock"));
    let packages = lock.lines().filter_map(|line| line.strip_prefix("name = \""));
    for package in packages.map(|name| name.trim_end_matches('"')) {
        let engine = ["webview", "webkit", "wry", "tauri", "servo", "cef", "headless_chrome", "chromiumoxide", "gtk"];
        assert!(!engine.iter().any(|engine| package.starts_with(engine)), "{package}");
    }
}

fn id_token(issuer: &str, name: &str) -> String {
    use base64::Engine;
    let part = |value: &Value| base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(value.to_string());
    let claims = json!({"iss": issuer, "sub": name, "aud": "client", "exp": 32_503_680_000_u64, "email": name});
    format!("{}.{}.c2ln", part(&json!({"alg": "ES256"})), part(&claims))
}

#[test]
fn r18_no_name_of_an_account_moves_the_cursor() {
    // A device login: its ID token has no nonce to repeat.
    let turn = std::sync::atomic::AtomicUsize::new(0);
    let answers = move |path: &str, issuer: &str| match path {
        "/device" => (
            200,
            json!({"device_code": "d", "user_code": "A", "verification_uri": "https://as.example/", "interval": 1}),
        ),
        "/token" => {
            let turn = turn.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
            let name = format!("{}{MOVES}", ["alice", "alice", "bob", "bob"][turn.min(3)]);
            let id_token = id_token(issuer, &name);
            (200, json!({"access_token": "a", "token_type": "Bearer", "expires_in": 60, "id_token": id_token}))
        }
        _ => (404, json!({})),
    };
    let server = Hostile::start(&json!({}), answers);
    let victim = Victim::of(&server);
    for (format, code) in [(&[][..], 0), (&["--json"][..], 0), (&[][..], 77), (&["--json"][..], 77)] {
        let said = victim.run(&[&["login", "crm", "--device", "--timeout", "20s"], format].concat());
        assert_eq!(said.code, code, "{}{}", said.out, said.err);
        assert_still(&said);
        for shown in [&["status"][..], &["status", "--json"], &["status", "crm"], &["doctor"]] {
            assert_still(&victim.run(shown));
        }
    }
}
