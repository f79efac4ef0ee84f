//! A home of its own for the real binary, and a strict server to talk to.
#![allow(dead_code, clippy::unwrap_used, clippy::disallowed_methods, missing_docs, unreachable_pub)]

pub mod home;
pub mod judged;

use outlast_sandbox::{IssuedTokens, Sandbox, Settings};
use outlast_testkit::canary::Kind;
use serde_json::Value;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::Duration;

pub const SECRET: &str = "CANARY-client-secret-1f3c";

/// The real binary in an environment of its own, with everything of its below `folder`.
pub fn outlast(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_outlast"));
    command
        .args(arguments)
        .env_clear()
        .env("PATH", std::env::var("PATH").unwrap())
        .env("HOME", folder)
        .env("OUTLAST_CONFIG", folder.join("outlast.toml"))
        .env("OUTLAST_HOME", folder.join("state"))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

pub struct Bed {
    pub home: home::Home,
    pub sandbox: Sandbox,
    runtime: tokio::runtime::Runtime,
}

impl Bed {
    /// Tokens that live an hour, so that nothing expires by accident.
    pub fn new() -> Self {
        Self::with_life(Duration::from_secs(3600))
    }

    pub fn with_life(access_ttl: Duration) -> Self {
        Self::with_settings(Settings { access_ttl, ..Settings::default() })
    }

    /// With a server that takes the refresh token of before for a minute more.
    pub fn with_grace(access_ttl: Duration) -> Self {
        Self::with_settings(Settings { access_ttl, rotation_grace: Duration::from_secs(60), ..Settings::default() })
    }

    fn with_settings(settings: Settings) -> Self {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let settings = Settings { client_secret: Some(SECRET.to_owned()), ..settings };
        let sandbox = runtime.block_on(Sandbox::start(settings)).unwrap();
        let bed = Self { home: home::Home::for_any_test(), sandbox, runtime };
        bed.configure(&bed.grant("crm"));
        bed
    }

    /// The configuration of a grant on the sandbox.
    pub fn grant(&self, name: &str) -> String {
        format!(
            "[grant.{name}]\ntoken_endpoint = \"{}\"\ngrant_type = \"refresh_token\"\nclient_id = \"sandbox\"\n\
             client_secret = {{ env = \"CRM_SECRET\" }}\nupstream = \"{}\"\n\n[proxy]\nlisten = \"127.0.0.1:0\"\n",
            self.sandbox.token_endpoint(),
            self.sandbox.api()
        )
    }

    pub fn home(&self) -> &Path {
        self.home.path()
    }

    pub fn state(&self) -> PathBuf {
        self.home().join(".local/state/outlast")
    }

    pub fn config_path(&self) -> PathBuf {
        self.home().join(".config/outlast/outlast.toml")
    }

    pub fn configure(&self, text: &str) {
        let path = self.config_path();
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
    }

    /// The binary in an environment that holds nothing else.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_outlast"));
        command
            .args(arguments)
            .env_clear()
            .env("HOME", self.home())
            .env("TMPDIR", self.home().join("tmp"))
            .env("PATH", "/usr/bin:/bin")
            .env("CRM_SECRET", SECRET)
            .stdin(Stdio::null());
        self.home.tell_of_a_proxy(&mut command);
        command
    }

    pub fn run(&self, arguments: &[&str]) -> Told {
        self.told(self.command(arguments).output().unwrap())
    }

    pub fn run_with_input(&self, arguments: &[&str], input: &[u8]) -> Told {
        let mut child = self
            .command(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        // The child may have read enough and gone.
        let _ = child.stdin.take().unwrap().write_all(input);
        self.told(child.wait_with_output().unwrap())
    }

    fn told(&self, output: Output) -> Told {
        self.home.watch.look("stdout of a command", &output.stdout, &[Kind::Access]);
        self.home.watch.look("stderr of a command", &output.stderr, &[]);
        Told::of(output)
    }

    /// Issues a token set and hands it in.
    pub fn import(&self, name: &str) -> IssuedTokens {
        let issued = self.sandbox.issue();
        let told = self.run_with_input(&["import", name], issued.token_response().to_string().as_bytes());
        assert_eq!(told.code, 0, "{told:?}");
        issued
    }

    /// What lies in the store, to see that nothing was changed.
    pub fn generation(&self, name: &str) -> u64 {
        let told = self.run(&["status", name, "--json"]);
        assert_eq!(told.code, 0, "{told:?}");
        told.json()["generation"].as_u64().unwrap()
    }
}

#[derive(Debug)]
pub struct Told {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

impl Told {
    pub fn of(output: Output) -> Self {
        Self {
            code: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }

    pub fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|cause| panic!("{cause}: {self:?}"))
    }

    /// Asserts a failure: its exit code, its code, the page, and that nothing came out as data.
    #[track_caller]
    pub fn assert_failed(&self, exit: i32, code: &str) {
        assert_eq!(self.code, exit, "{self:?}");
        assert!(self.stderr.contains(&format!("error[{code}]: ")), "{self:?}");
        assert!(self.stderr.contains("what to do: "), "{self:?}");
        assert!(self.stderr.contains(&format!("see: docs/errors/{code}.md")), "{self:?}");
        assert_eq!(self.stdout, "", "{self:?}");
    }
}

pub fn text(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap()
}
