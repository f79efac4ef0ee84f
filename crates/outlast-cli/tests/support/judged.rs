//! Processes of the real binary over one store, judged by a server in another process.

use super::home::Home;
use outlast_testkit::canary::Kind;
use outlast_testkit::judge::Judge;
use serde_json::Value;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

/// One thing that the judge saw.
#[derive(Clone, Debug)]
pub struct Event {
    pub kind: String,
    pub family: String,
    /// The rotation it is about.
    pub rotation: u64,
    /// Which process asked.
    pub client: String,
    /// By the clock of [`monotonic`], in seconds.
    pub at: f64,
}

/// What the judge saw, as it happens.
#[derive(Clone, Default)]
pub struct Events(Arc<(Mutex<Vec<Event>>, Condvar)>);

impl Events {
    fn follow(told: impl Iterator<Item = Value> + Send + 'static) -> Self {
        let events = Self::default();
        let own = events.clone();
        std::thread::spawn(move || {
            for told in told {
                let text = |name: &str| told[name].as_str().unwrap_or_default().to_owned();
                let rotation = told["to"].as_u64().or(told["token"].as_u64()).unwrap_or(0);
                let at = told["monotonic"].as_f64().unwrap();
                let (kind, family, client) = (text("event"), text("family"), text("client"));
                own.0.0.lock().unwrap().push(Event { kind, family, rotation, client, at });
                own.0.1.notify_all();
            }
        });
        events
    }

    pub fn all(&self) -> Vec<Event> {
        self.0.0.lock().unwrap().clone()
    }

    /// How many there are by now.
    pub fn count(&self) -> usize {
        self.0.0.lock().unwrap().len()
    }

    /// The first after number `from` that is wanted, and its number.
    pub fn wait(&self, from: usize, at_most: Duration, wanted: impl Fn(&Event) -> bool) -> Option<(usize, Event)> {
        let found = |events: &Vec<Event>| {
            events.iter().enumerate().skip(from).find(|(_, event)| wanted(event)).map(|(n, event)| (n, event.clone()))
        };
        let events = self.0.0.lock().unwrap();
        let (events, _) = self.0.1.wait_timeout_while(events, at_most, |events| found(events).is_none()).unwrap();
        found(&events)
    }
}

/// Seconds on the clock that the judge's events bear.
pub fn monotonic() -> f64 {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    now.tv_sec as f64 + now.tv_nsec as f64 / 1e9
}

/// A store and a configuration of some grants at a judge.
pub struct Field {
    home: Home,
    pub judge: Judge,
    pub events: Events,
}

impl std::ops::Deref for Field {
    type Target = Home;

    fn deref(&self) -> &Home {
        &self.home
    }
}

impl Field {
    /// With these grants configured, and nothing held yet.
    pub fn new(grants: &[String]) -> Self {
        let (judge, told) = Judge::with_events();
        let events = Events::follow(told);
        let home = Home::new();
        let tables: String = grants.iter().map(|name| grant_table(name, &judge)).collect();
        configure(home.path(), &tables);
        Self { home, judge, events }
    }

    /// The binary, as a process that the judge knows by `tag`.
    pub fn command(&self, tag: &str, arguments: &[&str]) -> Command {
        command(&self.home, tag, arguments)
    }

    /// What a command says, to its end.
    pub fn output(&self, tag: &str, arguments: &[&str]) -> Output {
        self.ended(self.command(tag, arguments).spawn().unwrap())
    }

    /// Gives a grant a new family, of this name.
    pub fn import(&self, grant: &str, wish: &Value) {
        import(&self.home, grant, &self.judge.family(wish));
    }

    pub fn status(&self, grant: &str) -> Value {
        let output = self.output("status", &["status", grant, "--json"]);
        serde_json::from_slice(&output.stdout).unwrap_or_else(|cause| panic!("{cause}: {output:?}"))
    }
}

pub fn grant_table(name: &str, judge: &Judge) -> String {
    format!(
        "[grant.{name}]\ntoken_endpoint = \"{}\"\ngrant_type = \"refresh_token\"\nclient_id = \"agent\"\n\
         client_secret = {{ env = \"JUDGED\" }}\nupstream = \"{}\"\n\n",
        judge.token_endpoint(),
        judge.origin()
    )
}

pub fn configure(home: &Path, tables: &str) {
    use std::os::unix::fs::OpenOptionsExt;
    let folder = home.join(".config/outlast");
    std::fs::create_dir_all(&folder).unwrap();
    let path = folder.join("outlast.toml");
    let mut file = std::fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path).unwrap();
    write!(file, "{tables}[proxy]\nlisten = \"127.0.0.1:0\"\n").unwrap();
}

pub fn command(home: &Home, tag: &str, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_outlast"));
    command
        .args(arguments)
        .env_clear()
        .env("HOME", home.path())
        .env("TMPDIR", home.path().join("tmp"))
        .env("PATH", "/usr/bin:/bin")
        .env("JUDGED", format!("CANARY-client-secret-1f3c:{tag}"))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    home.expose(&mut command);
    command
}

pub fn import(home: &Home, grant: &str, tokens: &Value) {
    let mut child = command(home, "import", &["import", grant]).stdin(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(tokens.to_string().as_bytes()).unwrap();
    let output = home.ended(child);
    assert!(output.status.success(), "{output:?}");
}

/// A sidecar that serves, by `serve` or `run`, and where its control socket is.
pub struct Serving {
    pub child: Child,
    pub socket: PathBuf,
    /// What it said first.
    pub said: String,
}

impl Serving {
    /// `outlast serve`, once it listens.
    pub fn serve(home: &Home, tag: &str) -> Self {
        let mut child = command(home, tag, &["serve"]).spawn().unwrap();
        home.watch.listen("stdout of serve", child.stdout.take().unwrap(), &[]);
        let said = first_line(home, "stderr of serve", child.stderr.take().unwrap(), "outlast serves ");
        home.watch.look_at_process("serve", child.id(), &[Kind::Client]);
        Self { child, socket: home.state().join("control.sock"), said }
    }

    /// `outlast run` with a child that ends when its standard input does, once that child runs.
    pub fn run(home: &Home, tag: &str) -> Self {
        let arguments = ["run", "--", "sh", "-c", "echo \"$OUTLAST_SOCKET\"; exec cat > /dev/null"];
        let mut child = command(home, tag, &arguments).stdin(Stdio::piped()).spawn().unwrap();
        home.watch.listen("stderr of run", child.stderr.take().unwrap(), &[]);
        let said = first_line(home, "stdout of run", child.stdout.take().unwrap(), "/");
        home.watch.look_at_process("run", child.id(), &[Kind::Client]);
        Self { child, socket: PathBuf::from(said.trim()), said }
    }
}

/// The first line of a stream that begins so, or all of it if none does. The rest is read on a thread of its
/// own, so that nobody waits to write. All of it is watched.
fn first_line(home: &Home, place: &str, stream: impl Read + Send + 'static, beginning: &str) -> String {
    let mut stream = BufReader::new(stream);
    let mut all = String::new();
    loop {
        let mut line = String::new();
        if !stream.read_line(&mut line).is_ok_and(|length| length > 0) {
            return all;
        }
        home.watch.look(place, line.as_bytes(), &[]);
        if line.starts_with(beginning) {
            home.watch.listen(place, stream, &[]);
            return line;
        }
        all.push_str(&line);
    }
}

/// One question to a control socket: the status and the JSON of the answer; none if nobody answers.
pub fn ask(socket: &Path, path: &str) -> Option<(u16, Value)> {
    let mut stream = UnixStream::connect(socket).ok()?;
    write!(stream, "GET {path} HTTP/1.0\r\nHost: localhost\r\n\r\n").ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    let (head, body) = answer.split_once("\r\n\r\n")?;
    Some((head.get(9..12)?.parse().ok()?, serde_json::from_str(body).ok()?))
}

/// Sends a signal by its name.
pub fn signal(child: &Child, name: &str) {
    let sent = Command::new("kill").args([format!("-{name}"), child.id().to_string()]).status().unwrap();
    assert!(sent.success());
}

/// A small generator, so that a run can be told by its seed.
pub struct Dice(u64);

impl Dice {
    pub fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    /// A number below `limit`.
    pub fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % limit
    }
}

/// Prints the figures of a proof, and writes them to `target/proof/NAME.json`, where documents quote
/// them from.
#[expect(clippy::print_stdout, reason = "figures are for whoever reads the run")]
pub fn figures(name: &str, figures: &Value) {
    println!("figures of {name}: {figures}");
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap().join("proof");
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join(format!("{name}.json")), format!("{figures:#}\n")).unwrap();
}

/// A number from the environment, for runs that are longer than those of every day.
pub fn number(variable: &str, usual: u64) -> u64 {
    std::env::var(variable).map_or(usual, |text| text.parse().unwrap())
}

/// The value at the given thousandth of what was measured.
pub fn permille(mut measured: Vec<f64>, at: usize) -> Option<f64> {
    measured.sort_by(f64::total_cmp);
    measured.get((measured.len() * at / 1000).min(measured.len().checked_sub(1)?)).copied()
}
