//! Clients and grants that sign, through the real binary: against a certified server that nobody here
//! wrote, and, for those of one company, against a server of the shape its documents give.
#![allow(clippy::unwrap_used, clippy::print_stderr, missing_docs)]
#![allow(
    clippy::disallowed_methods,
    reason = "a test prepares files, reads its own environment and waits for real time"
)]

mod support;

use outlast_testkit::peer::OidcProvider;
use serde_json::{Value, json};
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use support::home::Watched;

/// A folder with a configuration, state and private files of its own.
struct Home {
    watched: Watched,
    folder: tempfile::TempDir,
}

#[derive(Debug)]
struct Told {
    code: Option<i32>,
    stdout: String,
    stderr: String,
}

impl Home {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        Self { watched: Watched::over(folder.path()), folder }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).unwrap();
        fs::set_permissions(self.path(name), fs::Permissions::from_mode(0o600)).unwrap();
    }

    fn configure(&self, text: &str) {
        self.write("outlast.toml", text);
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_outlast"));
        command
            .args(arguments)
            .env_clear()
            .env("PATH", std::env::var("PATH").unwrap())
            .env("HOME", self.folder.path())
            .env("OUTLAST_CONFIG", self.path("outlast.toml"))
            .env("OUTLAST_HOME", self.path("state"))
            .stdin(Stdio::null());
        command
    }

    fn run_with(&self, arguments: &[&str], environment: &[(&str, &str)], input: &str) -> Told {
        let mut command = self.command(arguments);
        command.envs(environment.iter().copied());
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        // It may have no use for it.
        let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
        let output = child.wait_with_output().unwrap();
        self.watched.look(&output);
        Told {
            code: output.status.code(),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }

    fn run(&self, arguments: &[&str]) -> Told {
        self.run_with(arguments, &[], "")
    }

    #[track_caller]
    fn token(&self, arguments: &[&str]) -> String {
        let told = self.run(&[&["token", "crm"], arguments].concat());
        assert_eq!(told.code, Some(0), "{told:?}");
        assert!(!told.stdout.trim().is_empty(), "{told:?}");
        told.stdout.trim().to_owned()
    }
}

fn grant(server: &OidcProvider, client: &str, grant_type: &str, more: &str) -> String {
    format!(
        "[grant.crm]\nissuer = \"{}\"\ngrant_type = \"{grant_type}\"\nclient_id = \"{client}\"\n\
         scope = [\"api:read\"]\nresource = \"{}/api\"\n{more}\n",
        server.issuer(),
        server.api()
    )
}

#[test]
fn private_key_jwt_mints_with_every_algorithm_and_every_form_of_key() {
    let Some(server) = OidcProvider::start(&[]) else { return };
    for client in ["pkjwt", "pkjwt-rs256", "pkjwt-eddsa"] {
        let known = server.client(client);
        for key in [known["private_jwk"].to_string(), known["private_pem"].as_str().unwrap().to_owned()] {
            let home = Home::new();
            home.write("client.key", &key);
            home.configure(&grant(&server, client, "client_credentials", "private_key = { file = \"client.key\" }"));
            home.token(&[]);
            home.token(&["--renew"]);
        }
    }
    assert_eq!(server.counters()["token_errors"]["total"], 0);
}

#[test]
fn private_key_jwt_refreshes_and_the_key_may_come_from_a_command() {
    let Some(server) = OidcProvider::start(&[("ACCESS_TTL", "600")]) else { return };
    let home = Home::new();
    home.write("client.key", &server.client("pkjwt")["private_jwk"].to_string());
    let command = format!("private_key = {{ command = [\"cat\", \"{}\"] }}", home.path("client.key").display());
    home.configure(&grant(&server, "pkjwt", "authorization_code", &command));
    let imported = home.run_with(&["import", "crm"], &[], &server.mint("pkjwt").to_string());
    assert_eq!(imported.code, Some(0), "{imported:?}");
    let first = home.token(&[]);
    assert_ne!(home.token(&["--renew"]), first);
    let counters = server.counters();
    assert_eq!((&counters["refreshes"], &counters["reuse_detections"]), (&json!(1), &json!(0)));
}

#[test]
fn f18_a_server_whose_date_lies_is_served_with_jwts_of_the_right_time() {
    let Some(server) = OidcProvider::start(&[("DATE_SKEW_S", "-180")]) else { return };
    let home = Home::new();
    home.write("client.key", &server.client("pkjwt")["private_jwk"].to_string());
    home.configure(&grant(&server, "pkjwt", "client_credentials", "private_key = { file = \"client.key\" }"));
    home.token(&[]);
    home.token(&["--renew"]);
}

#[test]
fn a_wrong_key_is_told_apart_from_an_unreadable_one_and_mending_it_ends_the_pause() {
    let Some(server) = OidcProvider::start(&[]) else { return };
    let home = Home::new();
    home.configure(&grant(&server, "pkjwt", "client_credentials", "private_key = { file = \"client.key\" }"));

    home.write("client.key", "CANARY-no-key");
    let unreadable = home.run(&["token", "crm"]);
    assert_eq!(unreadable.code, Some(78), "{unreadable:?}");
    assert!(unreadable.stderr.contains("private_key of [grant.crm]"), "{unreadable:?}");
    assert!(!unreadable.stderr.contains("CANARY"), "{unreadable:?}");

    let mut other = server.client("pkjwt-eddsa")["private_jwk"].clone();
    other["kid"] = json!("pkjwt-1");
    home.write("client.key", &other.to_string());
    let wrong = home.run(&["token", "crm"]);
    assert_eq!(wrong.code, Some(78), "{wrong:?}");
    assert!(wrong.stderr.contains("client-misconfigured"), "{wrong:?}");

    home.write("client.key", &server.client("pkjwt")["private_jwk"].to_string());
    home.token(&[]);
}

#[test]
fn jwt_bearer_is_minted_anew_and_no_assertion_is_used_twice() {
    let Some(server) = OidcProvider::start(&[]) else { return };
    let home = Home::new();
    home.write("client.key", &server.client("pkjwt")["private_jwk"].to_string());
    let signs = "client_auth = \"private_key_jwt\"\nprivate_key = { file = \"client.key\" }";
    home.configure(&grant(&server, "pkjwt", "jwt_bearer", signs));
    let tokens: Vec<_> = (0..3).map(|_| home.token(&["--renew"])).collect();
    assert!(tokens[0] != tokens[1] && tokens[1] != tokens[2], "the judge refuses a jti that it has seen");

    // Another audience is another server's assertion.
    home.configure(&grant(&server, "pkjwt", "jwt_bearer", &format!("{signs}\naudience = \"https://other.example\"")));
    let refused = home.run(&["token", "crm", "--renew"]);
    assert_ne!(refused.code, Some(0), "{refused:?}");
    home.configure(&grant(&server, "pkjwt", "jwt_bearer", signs));
    home.token(&["--renew"]);
}

fn openssl(home: &Home, arguments: &[&str]) -> bool {
    let made = Command::new("openssl").args(arguments).current_dir(home.folder.path()).stderr(Stdio::null()).status();
    made.is_ok_and(|status| status.success())
}

#[test]
fn a_certificate_authenticates_the_client_and_another_one_does_not() {
    let home = Home::new();
    let tls = concat!(env!("CARGO_MANIFEST_DIR"), "/../outlast-oauth/tests/tls");
    let subject = "/CN=outlast-client";
    for name in ["client", "other"] {
        let (key, certificate) = (format!("{name}.key"), format!("{name}.pem"));
        let made = openssl(
            &home,
            &[
                "req",
                "-x509",
                "-newkey",
                "ec",
                "-pkeyopt",
                "ec_paramgen_curve:P-256",
                "-nodes",
                "-days",
                "2",
                "-subj",
                subject,
                "-keyout",
                &key,
                "-out",
                &certificate,
            ],
        );
        if !made {
            eprintln!("skipped: no openssl to make a certificate with");
            return;
        }
        for file in [key, certificate] {
            fs::set_permissions(home.path(&file), fs::Permissions::from_mode(0o600)).unwrap();
        }
    }
    let (certificate, key) = (home.path("client.pem"), format!("{tls}/server.key"));
    let Some(server) = OidcProvider::start(&[
        ("TLS_CERT", &format!("{tls}/good.pem")),
        ("TLS_KEY", &key),
        ("MTLS_CLIENT_CERT", certificate.to_str().unwrap()),
    ]) else {
        return;
    };
    let trusted = format!("{tls}/root.pem");
    let ask = |client: &str, proof: &str| {
        home.configure(&grant(&server, client, "client_credentials", proof));
        home.run_with(&["token", "crm", "--renew"], &[("SSL_CERT_FILE", &trusted)], "")
    };
    let in_two = "client_certificate = { file = \"client.pem\" }\nprivate_key = { file = \"client.key\" }";
    for (client, method) in [("mtls", ""), ("mtls-self", "client_auth = \"self_signed_tls_client_auth\"\n")] {
        let told = ask(client, &format!("{method}{in_two}"));
        assert_eq!(told.code, Some(0), "{client}: {told:?}");
    }
    let both =
        [fs::read_to_string(home.path("client.key")).unwrap(), fs::read_to_string(certificate).unwrap()].concat();
    home.write("both.pem", &both);
    let told = ask("mtls", "client_certificate = { file = \"both.pem\" }");
    assert_eq!(told.code, Some(0), "{told:?}");

    let other = in_two.replace("client.", "other.");
    let told = ask("mtls-self", &format!("client_auth = \"self_signed_tls_client_auth\"\n{other}"));
    assert_eq!(told.code, Some(78), "{told:?}");
    let mixed = "client_certificate = { file = \"client.pem\" }\nprivate_key = { file = \"other.key\" }";
    let told = ask("mtls", mixed);
    assert!(told.code == Some(78) && told.stderr.contains("the unlocked key that belongs to it"), "{told:?}");
}

/// A server that gives every request the same answer, and keeps them.
struct Recorder {
    address: String,
    requests: Arc<Mutex<Vec<String>>>,
}

impl Recorder {
    fn answering(status: &'static str, body: String) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let requests: Arc<Mutex<Vec<String>>> = Arc::default();
        let kept = Arc::clone(&requests);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = BufReader::new(stream.unwrap());
                let mut request = String::new();
                while !request.ends_with("\r\n\r\n") && stream.read_line(&mut request).unwrap() > 0 {}
                let lower = request.to_ascii_lowercase();
                let length = lower.split("content-length: ").nth(1).and_then(|rest| rest.lines().next());
                let mut content = vec![0; length.map_or(0, |length| length.trim().parse().unwrap())];
                stream.read_exact(&mut content).unwrap();
                request.push_str(std::str::from_utf8(&content).unwrap());
                kept.lock().unwrap().push(request);
                let answer = format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\n\r\n{body}", body.len());
                stream.get_mut().write_all(answer.as_bytes()).unwrap();
            }
        });
        Self { address, requests }
    }

    fn last(&self) -> String {
        self.requests.lock().unwrap().last().unwrap().clone()
    }
}

/// The claims of a JWT.
fn claims(jwt: &str) -> Value {
    use base64::Engine;
    let part = jwt.split('.').nth(1).unwrap();
    serde_json::from_slice(&base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap()
}

fn rsa_key(home: &Home, name: &str) -> bool {
    let made = openssl(home, &["genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048", "-out", name]);
    if made {
        fs::set_permissions(home.path(name), fs::Permissions::from_mode(0o600)).unwrap();
    } else {
        eprintln!("skipped: no openssl to make a key with");
    }
    made
}

#[test]
fn a_github_app_signs_exchanges_and_is_told_what_a_refusal_means() {
    let home = Home::new();
    if !rsa_key(&home, "app.pem") {
        return;
    }
    let server = Recorder::answering(
        "201 Created",
        json!({"token": "ghs_recorded", "expires_at": "2016-07-11T22:14:10Z", "permissions": {"contents": "read"}})
            .to_string(),
    );
    let configured = |api: &str| {
        format!(
            "[grant.crm]\ngrant_type = \"github_app\"\nclient_id = \"Iv23liExample\"\ninstallation_id = 42\n\
             private_key = {{ file = \"app.pem\" }}\nrepositories = [\"one\"]\npermissions = {{ contents = \"read\" }}\n\
             api = \"{api}\"\n"
        )
    };
    home.configure(&configured(&server.address));
    assert_eq!(home.token(&[]), "ghs_recorded");
    let request = server.last();
    assert!(request.starts_with("POST /app/installations/42/access_tokens HTTP/1.1"), "{request}");
    let body: Value = serde_json::from_str(request.split("\r\n\r\n").nth(1).unwrap()).unwrap();
    assert_eq!(body, json!({"repositories": ["one"], "permissions": {"contents": "read"}}));
    let bearer = request.lines().find_map(|line| line.strip_prefix("authorization: Bearer ")).unwrap();
    let claims = claims(bearer);
    assert_eq!(claims["iss"], "Iv23liExample");
    let (issued, ends) = (claims["iat"].as_u64().unwrap(), claims["exp"].as_u64().unwrap());
    assert_eq!(ends - issued, 600, "a minute back and nine ahead");

    for (status, body) in [
        (
            "401 Unauthorized",
            r#"{"message":"A JSON web token could not be decoded","documentation_url":"https://docs.github.com/rest"}"#,
        ),
        ("404 Not Found", r#"{"message":"Not Found","documentation_url":"https://docs.github.com/rest"}"#),
        (
            "422 Unprocessable Entity",
            r#"{"message":"The permissions requested are not granted to this installation."}"#,
        ),
    ] {
        let refusing = Recorder::answering(status, body.to_owned());
        home.configure(&configured(&refusing.address));
        let told = home.run(&["token", "crm", "--renew"]);
        assert_eq!(told.code, Some(78), "{status}: {told:?}");
        assert!(!told.stderr.contains("eyJ"), "{told:?}");
    }
    home.configure(&configured(&server.address));
    home.token(&["--renew"]);
}

#[test]
fn a_service_account_needs_its_file_and_a_scope_and_nothing_else() {
    let home = Home::new();
    if !rsa_key(&home, "key.pem") {
        return;
    }
    let server = Recorder::answering(
        "200 OK",
        r#"{"access_token":"ya29.recorded","expires_in":3599,"token_type":"Bearer"}"#.to_owned(),
    );
    let file = json!({"type": "service_account", "client_email": "robot@p.iam.gserviceaccount.com",
        "private_key_id": "kid-1", "private_key": fs::read_to_string(home.path("key.pem")).unwrap(),
        "token_uri": format!("{}/token", server.address)});
    home.write("account.json", &file.to_string());
    let path = home.path("account.json");
    for source in ["{ file = \"account.json\" }", "{ env = \"GOOGLE_APPLICATION_CREDENTIALS\" }"] {
        home.configure(&format!("[grant.crm]\nservice_account = {source}\nscope = [\"cloud\"]\n"));
        let environment = [("GOOGLE_APPLICATION_CREDENTIALS", path.to_str().unwrap())];
        let told = home.run_with(&["token", "crm", "--renew"], &environment, "");
        assert_eq!((told.code, told.stdout.trim()), (Some(0), "ya29.recorded"), "{told:?}");
    }
    let request = server.last();
    assert!(request.starts_with("POST /token HTTP/1.1"), "{request}");
    let assertion = request.split("assertion=").nth(1).unwrap();
    assert_eq!(claims(assertion)["scope"], "cloud");
    assert_eq!(claims(assertion)["aud"], json!(format!("{}/token", server.address)));

    home.write("account.json", r#"{"type":"authorized_user","refresh_token":"CANARY"}"#);
    home.configure("[grant.crm]\nservice_account = { file = \"account.json\" }\n");
    let told = home.run(&["token", "crm", "--renew"]);
    assert_eq!(told.code, Some(78), "{told:?}");
    assert!(told.stderr.contains("a person's own credentials") && !told.stderr.contains("CANARY"), "{told:?}");
}

#[test]
fn a_service_account_and_a_private_key_are_added_by_their_files_and_wrong_files_are_told_at_once() {
    let home = Home::new();
    if !rsa_key(&home, "key.pem") {
        return;
    }
    let file = json!({"type": "service_account", "client_email": "robot@p.iam.gserviceaccount.com",
        "private_key": fs::read_to_string(home.path("key.pem")).unwrap()});
    home.write("account.json", &file.to_string());
    home.write("person.json", r#"{"type":"authorized_user","refresh_token":"CANARY"}"#);
    let (account, person, key) = (home.path("account.json"), home.path("person.json"), home.path("key.pem"));

    let told = home.run(&["add", "crm", "--service-account", person.to_str().unwrap()]);
    assert_eq!(told.code, Some(78), "{told:?}");
    assert!(told.stderr.contains("a person's own credentials") && !told.stderr.contains("CANARY"), "{told:?}");
    assert!(!home.path("outlast.toml").exists(), "nothing is written for a file that cannot be used");

    let told = home.run(&["add", "crm", "--service-account", account.to_str().unwrap(), "--scope", "cloud"]);
    assert_eq!(told.code, Some(0), "{told:?}");
    assert!(told.stdout.contains("next: outlast token crm"), "{told:?}");
    let told = home.run(&[
        "add",
        "ci",
        "--token-endpoint",
        "https://login.example.com/token",
        "--grant-type",
        "client_credentials",
        "--client-id",
        "ci",
        "--private-key-file",
        key.to_str().unwrap(),
        "--key-id",
        "k1",
    ]);
    assert_eq!(told.code, Some(0), "{told:?}");
    let written = fs::read_to_string(home.path("outlast.toml")).unwrap();
    assert!(written.contains("key_id = \"k1\"") && !written.contains("BEGIN"), "{written}");
}

#[test]
fn salesforce_tells_no_life_and_the_configured_one_is_taken() {
    let home = Home::new();
    if !rsa_key(&home, "key.pem") {
        return;
    }
    let server = Recorder::answering(
        "200 OK",
        r#"{"access_token":"00Dx!recorded","scope":"api","instance_url":"https://example.my.salesforce.com","token_type":"Bearer"}"#.to_owned(),
    );
    home.configure(&format!(
        "[grant.crm]\ntoken_endpoint = \"{}/services/oauth2/token\"\ngrant_type = \"jwt_bearer\"\nclient_id = \"3MVG9\"\n\
         private_key = {{ file = \"key.pem\" }}\nsubject = \"user@example.com\"\n\
         audience = \"https://login.salesforce.com\"\ntoken_life = \"2h\"\n",
        server.address
    ));
    assert_eq!(home.token(&[]), "00Dx!recorded");
    let request = server.last();
    let signed = claims(request.split("assertion=").nth(1).unwrap().split('&').next().unwrap());
    assert_eq!((&signed["iss"], &signed["sub"]), (&json!("3MVG9"), &json!("user@example.com")));
    assert_eq!(signed["aud"], "https://login.salesforce.com");
    let status = home.run(&["status", "crm", "--json"]);
    assert!(status.stdout.contains("expires_at"), "{status:?}");
    assert_eq!(server.requests.lock().unwrap().len(), 1);
    home.token(&[]);
    assert_eq!(server.requests.lock().unwrap().len(), 1, "a token with a configured life is kept");
}

#[test]
fn a_key_pair_jwt_is_made_without_asking_anybody() {
    let home = Home::new();
    if !rsa_key(&home, "key.pem") {
        return;
    }
    home.configure(
        "[grant.crm]\ngrant_type = \"key_pair_jwt\"\naccount = \"exampleorg-account1\"\nuser = \"robot\"\n\
         private_key = { file = \"key.pem\" }\n",
    );
    let token = home.token(&[]);
    let claims = claims(&token);
    assert_eq!(claims["sub"], "EXAMPLEORG-ACCOUNT1.ROBOT");
    assert!(claims["iss"].as_str().unwrap().starts_with("EXAMPLEORG-ACCOUNT1.ROBOT.SHA256:"), "{claims}");
    assert_eq!(home.token(&[]), token, "one serves until it is due");
    assert_ne!(home.token(&["--renew"]), token);
}
