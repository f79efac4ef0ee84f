//! The examples of docs/grant-types.md, run as they stand: only addresses are those of test servers.
#![allow(clippy::unwrap_used, missing_docs)]
#![allow(clippy::disallowed_methods, reason = "a test prepares files and reads its own environment")]

use outlast_testkit::peer::OidcProvider;
use serde_json::json;
use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};

/// Each example: what is configured, and the commands with what they print.
fn examples() -> BTreeMap<String, (String, String)> {
    let page = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/grant-types.md")).unwrap();
    let mut blocks = page.split("\n```").skip(1).step_by(2);
    let mut found = BTreeMap::new();
    while let Some(block) = blocks.next() {
        let (opening, configuration) = block.split_once('\n').unwrap();
        let name = opening.strip_prefix("toml ").unwrap_or_else(|| panic!("{opening}"));
        let transcript = blocks.next().and_then(|block| block.strip_prefix("console\n")).unwrap();
        found.insert(name.to_owned(), (configuration.to_owned(), transcript.to_owned()));
    }
    found
}

/// Answers as GitHub documents it: 201 with a token and its end.
fn github() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut head = [0; 16 * 1024];
            let read = stream.read(&mut head).unwrap();
            let head = String::from_utf8_lossy(&head[..read]).into_owned();
            assert!(head.starts_with("POST /app/installations/42/access_tokens "), "{head}");
            let body = json!({"token": "ghs_example", "expires_at": "2099-01-01T00:00:00Z"}).to_string();
            let length = body.len();
            let _ =
                write!(stream, "HTTP/1.1 201 Created\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}");
        }
    });
    address
}

fn private(path: &Path, text: &str) {
    fs::write(path, text).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
}

/// Printed lives pass while the test runs.
fn without_life(line: &str) -> String {
    match line.find("good for ").or_else(|| line.find("access token ").filter(|_| line.contains(" left"))) {
        Some(at) => line[..at].to_owned(),
        None => line.to_owned(),
    }
}

struct Stage<'s> {
    server: &'s OidcProvider,
    folder: tempfile::TempDir,
}

impl Stage<'_> {
    fn run(&self, line: &str) -> String {
        let support = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/support/browser.py");
        let binary = Path::new(env!("CARGO_BIN_EXE_outlast")).parent().unwrap();
        let mut shell = Command::new("/bin/sh");
        shell
            .args(["-c", line])
            .current_dir(self.folder.path())
            .env_clear()
            .env("PATH", format!("{}:{}", binary.display(), std::env::var("PATH").unwrap()))
            .env("HOME", self.folder.path())
            .env("OUTLAST_CONFIG", self.folder.path().join("outlast.toml"))
            .env("OUTLAST_HOME", self.folder.path().join("state"))
            .env("SECRET", "basic-secret")
            .env("BROWSER", format!("python3 {}", support.display()))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = shell.spawn().unwrap();
        let mut told = String::new();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        while let Some(Ok(shown)) = lines.next() {
            told.push_str(&shown);
            told.push('\n');
            if shown == "and enter the code" {
                lines.next();
                let code = lines.next().unwrap().unwrap();
                self.server.admin_post("/device/approve", &json!({ "user_code": code.trim() }));
            }
        }
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "{line}: {told}");
        String::from_utf8(output.stdout).unwrap().trim_end().to_owned()
    }
}

#[test]
fn every_example_of_the_page_works_and_every_grant_type_has_one() {
    let Some(server) = OidcProvider::start(&[("ACCESS_TTL", "600"), ("AUTO_LOGIN", "1")]) else { return };
    let examples = examples();
    let types: Vec<&str> = outlast::grant_type::TABLE.iter().map(|row| row.strategy().grant_type).collect();
    assert_eq!(examples.keys().map(String::as_str).collect::<Vec<_>>(), types);
    let key = server.client("pkjwt")["private_pem"].as_str().map(str::to_owned);
    for (name, (configuration, transcript)) in &examples {
        let stage = Stage { server: &server, folder: tempfile::tempdir().unwrap() };
        let api = if name == "github_app" { github() } else { server.api().to_owned() };
        let configuration = configuration
            .replace("https://login.example.com", server.issuer())
            .replace("https://api.example.com", &api);
        let path = |file: &str| stage.folder.path().join(file);
        private(&path("outlast.toml"), &configuration);
        let rsa = matches!(name.as_str(), "github_app" | "key_pair_jwt");
        let key =
            if rsa { server.client("pkjwt-rs256")["private_pem"].as_str().map(str::to_owned) } else { key.clone() };
        private(&path("client.key"), &key.unwrap());
        private(&path("weather.key"), "a-key");
        private(&path("token-response.json"), &server.mint("basic").to_string());
        for each in transcript.strip_prefix("$ ").unwrap().split("\n$ ") {
            let (line, wanted) = each.split_once('\n').unwrap();
            let printed = stage.run(line);
            if wanted.trim_end() == "(an access token)" {
                assert!(printed.len() > 10 && !printed.contains(char::is_whitespace), "{name}: {printed}");
            } else {
                assert_eq!(without_life(&printed), without_life(wanted.trim_end()), "{name}: {line}");
            }
        }
    }
}
