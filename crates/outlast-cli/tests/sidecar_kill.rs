//! Steps over the control socket of a sidecar, which is killed again and again, as are its clients. A server
//! that we did not write counts what was paid. Kills come after so many requests and answers, and not after so
//! many milliseconds: on a busy machine they hit the same moments.
//!
//! `OUTLAST_SIDECAR_KILLS` sets how many kills, `OUTLAST_SEED` which.
#![allow(clippy::unwrap_used, clippy::disallowed_methods, clippy::print_stdout)]

mod support;

use outlast_testkit::peer::OidcProvider;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use support::judged::{Dice, figures, number};

const STEPS: u64 = 100;

/// Whom a kill hits.
#[derive(Clone, Copy, PartialEq)]
enum Victim {
    Both,
    Client,
    Sidecar,
}

/// When who is killed.
struct Reaper {
    dice: Dice,
    passed: u64,
    /// The number of the passage that kills next.
    next: u64,
    wanted: u64,
    kills: BTreeMap<&'static str, u64>,
    sidecar: Option<Child>,
    client: Option<Child>,
    /// Requests that the API was sent and has not answered.
    in_flight: u64,
}

impl Reaper {
    fn kills(&self) -> u64 {
        self.kills.values().sum()
    }

    /// Something passes from one process to another: whether somebody is killed, and whether only after it passed.
    fn pass(&mut self) -> Option<(Victim, bool)> {
        self.passed += 1;
        if self.passed < self.next || self.kills() >= self.wanted {
            return None;
        }
        self.next = self.passed + 1 + self.dice.below(9);
        let victim = [Victim::Sidecar, Victim::Sidecar, Victim::Client, Victim::Both][self.dice.below(4) as usize];
        Some((victim, self.dice.below(2) == 0))
    }

    fn kill(&mut self, victim: Victim) {
        if victim != Victim::Client && kill(&mut self.sidecar) {
            *self.kills.entry("sidecar").or_default() += 1;
        }
        if victim != Victim::Sidecar && kill(&mut self.client) {
            *self.kills.entry("client").or_default() += 1;
        }
    }
}

fn kill(child: &mut Option<Child>) -> bool {
    // One that has ended by itself, or was killed a moment ago, is not killed.
    child.as_mut().is_some_and(|child| child.try_wait().unwrap().is_none() && child.kill().is_ok())
}

#[derive(Clone)]
struct Shared(Arc<Mutex<Reaper>>);

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Reaper> {
        self.0.lock().unwrap()
    }

    /// Passes on what has come, with a kill before or after it where one is due.
    fn pass(&self, chunk: &[u8], to: &mut impl Write) -> bool {
        let due = self.lock().pass();
        if let Some((victim, false)) = due {
            self.lock().kill(victim);
        }
        let passed = to.write_all(chunk).is_ok();
        if let Some((victim, true)) = due {
            self.lock().kill(victim);
        }
        passed
    }

    /// Stands before the control socket.
    fn before_the_socket(&self, at: &Path, socket: &Path) {
        let (listener, socket, shared) = (UnixListener::bind(at).unwrap(), socket.to_owned(), self.clone());
        std::thread::spawn(move || {
            for client in listener.incoming() {
                let Ok(sidecar) = UnixStream::connect(&socket) else { continue };
                let client = client.unwrap();
                let (there, back) = ((client.try_clone(), sidecar.try_clone()), (sidecar, client));
                shared.pump(there.0.unwrap(), there.1.unwrap(), |stream| stream.shutdown(Shutdown::Both));
                shared.pump(back.0, back.1, |stream| stream.shutdown(Shutdown::Both));
            }
        });
    }

    fn pump<S: Read + Write + Send + 'static>(&self, mut from: S, mut to: S, end: fn(&S) -> std::io::Result<()>) {
        let shared = self.clone();
        std::thread::spawn(move || {
            let mut chunk = vec![0; 64 * 1024];
            while let Ok(length @ 1..) = from.read(&mut chunk) {
                if !shared.pass(&chunk[..length], &mut to) {
                    break;
                }
            }
            // Either may be gone already.
            let _ = (end(&from), end(&to));
        });
    }

    /// Stands before the API: one request at a time on each connection, whose answer is waited for even where
    /// whoever asked is gone, so that nothing is under way that nobody knows of.
    fn before_the_api(&self, api: &str) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let (api, shared) = (api.strip_prefix("http://").unwrap().to_owned(), self.clone());
        std::thread::spawn(move || {
            for sidecar in listener.incoming() {
                let (sidecar, api, shared) = (sidecar.unwrap(), TcpStream::connect(&api).unwrap(), shared.clone());
                std::thread::spawn(move || shared.exchanges(sidecar, api));
            }
        });
        address
    }

    fn exchanges(&self, mut sidecar: TcpStream, mut api: TcpStream) {
        let mut chunk = vec![0; 64 * 1024];
        while let Ok(length @ 1..) = sidecar.read(&mut chunk) {
            let mut request = chunk[..length].to_vec();
            while !is_whole(&request) {
                match sidecar.read(&mut chunk) {
                    Ok(length @ 1..) => request.extend_from_slice(&chunk[..length]),
                    // Never sent whole: it does not reach the API.
                    Ok(_) | Err(_) => return,
                }
            }
            self.lock().in_flight += 1;
            self.pass(&request, &mut api);
            let mut answer = Vec::new();
            while !is_whole(&answer) {
                let length = api.read(&mut chunk).unwrap();
                assert!(length > 0, "the API went away in the middle of an answer");
                answer.extend_from_slice(&chunk[..length]);
            }
            self.lock().in_flight -= 1;
            if !self.pass(&answer, &mut sidecar) {
                return;
            }
        }
    }
}

/// Whether a message is there to its end.
fn is_whole(message: &[u8]) -> bool {
    let text = String::from_utf8_lossy(message).to_lowercase();
    let Some((head, body)) = text.split_once("\r\n\r\n") else { return false };
    if head.contains("transfer-encoding: chunked") {
        return body.ends_with("0\r\n\r\n");
    }
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
    body.len() >= length.map_or(0, |length| length.trim().parse().unwrap())
}

struct World {
    server: OidcProvider,
    folder: tempfile::TempDir,
    shared: Shared,
    proxy: String,
}

impl World {
    fn start(seed: u64, wanted: u64) -> Option<Self> {
        let server = OidcProvider::start(&[("ACCESS_TTL", "3600"), ("AUTO_LOGIN", "1")])?;
        let folder = tempfile::tempdir().unwrap();
        let mut dice = Dice::new(seed);
        let next = 1 + dice.below(9);
        let shared = Shared(Arc::new(Mutex::new(Reaper {
            dice,
            passed: 0,
            next,
            wanted,
            kills: BTreeMap::new(),
            sidecar: None,
            client: None,
            in_flight: 0,
        })));
        let upstream = shared.before_the_api(server.api());
        // The same for every sidecar that is started: a client goes on with the next one.
        let listen = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let text = format!(
            "[grant.crm]\nissuer = \"{}\"\nclient_id = \"public\"\nscope = [\"api:read\"]\nupstream = \"{upstream}\"\n\n\
             [proxy]\nlisten = \"{listen}\"\n",
            server.issuer(),
        );
        let path = folder.path().join("outlast.toml");
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        let world = Self { server, folder, shared, proxy: format!("http://{listen}/crm") };
        world.import();
        world.shared.before_the_socket(&world.gate(), &world.socket());
        Some(world)
    }

    fn outlast(&self, arguments: &[&str]) -> Command {
        support::outlast(self.folder.path(), arguments)
    }

    fn import(&self) {
        let mut child = self.outlast(&["import", "crm"]).stdin(Stdio::piped()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(self.server.mint("public").to_string().as_bytes()).unwrap();
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "{output:?}");
    }

    fn socket(&self) -> PathBuf {
        self.folder.path().join("state/control.sock")
    }

    fn gate(&self) -> PathBuf {
        self.folder.path().join("gate.sock")
    }

    fn charges(&self) -> u64 {
        self.server.counters()["charges"].as_u64().unwrap()
    }

    /// Starts the sidecar, and is back once it listens.
    fn start_sidecar(&self) {
        let mut child = self.outlast(&["serve"]).spawn().unwrap();
        let mut said = BufReader::new(child.stderr.take().unwrap());
        let mut line = String::new();
        said.read_line(&mut line).unwrap();
        assert!(line.starts_with("outlast serves "), "{line}");
        // So that it never waits to write.
        std::thread::spawn(move || std::io::copy(&mut said, &mut std::io::sink()));
        self.shared.lock().sidecar = Some(child);
    }

    /// Starts the client; what it tells comes when it has ended.
    fn start_client(&self, task: &str, first: usize, kind: &str) -> JoinHandle<(String, String)> {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/support/step_client.py");
        let mut command = Command::new("python3");
        command.arg(script).args([task, &first.to_string(), &STEPS.to_string(), kind]);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command.env("OUTLAST_SOCKET", self.gate()).env("OUTLAST_PROXY", &self.proxy);
        command.env("OUTLAST_CAPABILITY", support::text(&self.folder.path().join("state/capability")).trim());
        let mut child = command.spawn().unwrap();
        let (mut out, mut err) = (child.stdout.take().unwrap(), child.stderr.take().unwrap());
        self.shared.lock().client = Some(child);
        std::thread::spawn(move || {
            let (mut told, mut complained) = (String::new(), String::new());
            out.read_to_string(&mut told).unwrap();
            err.read_to_string(&mut complained).unwrap();
            (told, complained)
        })
    }

    /// Waits until the client has ended, and has a new sidecar started as often as one was killed.
    fn until_the_client_ends(&self) -> ExitStatus {
        let began = Instant::now();
        loop {
            self.keep_a_sidecar();
            let mut reaper = self.shared.lock();
            if let Some(status) = reaper.client.as_mut().unwrap().try_wait().unwrap() {
                reaper.client = None;
                return status;
            }
            drop(reaper);
            assert!(began.elapsed() < Duration::from_secs(600), "the client neither ends nor is killed");
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    fn keep_a_sidecar(&self) {
        let ended = self.shared.lock().sidecar.as_mut().and_then(|child| child.try_wait().unwrap());
        if let Some(status) = ended {
            assert_eq!(status.signal(), Some(9), "the sidecar ended by itself");
            self.start_sidecar();
        }
    }

    fn until_nothing_is_under_way(&self) {
        let began = Instant::now();
        while self.shared.lock().in_flight > 0 {
            assert!(began.elapsed() < Duration::from_secs(30));
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// Those steps whose output is not what somebody was told before.
    fn lost(&self, task: &str, told: &BTreeMap<String, String>) -> usize {
        let differs = |(key, output): &(&String, &String)| {
            let shown = self.outlast(&["task", "show", task, key]).output().unwrap();
            shown.stdout != output.as_bytes()
        };
        told.iter().filter(differs).count()
    }
}

impl Drop for World {
    fn drop(&mut self) {
        let mut reaper = match self.shared.0.lock() {
            Ok(reaper) => reaper,
            Err(poisoned) => poisoned.into_inner(),
        };
        for child in [reaper.sidecar.take(), reaper.client.take()] {
            let Some(mut child) = child else { continue };
            // They may have ended.
            let _ = (child.kill(), child.wait());
        }
    }
}

/// What the runs of the clients came to.
#[derive(Default)]
struct Account {
    told: BTreeMap<String, String>,
    starts: u64,
    /// Steps that a person was asked about, and how often it was said that they be run again though they were done.
    in_doubt: u64,
    asked_twice: u64,
}

impl Account {
    /// Takes in what a client told; the step that a person is to decide on, if there is one.
    fn take(&mut self, lines: &str) -> Option<String> {
        // The last line of one that was killed may be half a line.
        for told in lines.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok()) {
            let text = |at: usize| told[at].as_str().unwrap().to_owned();
            if text(0) == "ambiguous" {
                return Some(text(1));
            }
            let earlier = self.told.entry(text(1)).or_insert_with(|| text(2));
            assert_eq!(*earlier, text(2), "what was told of a step is never told otherwise");
        }
        None
    }

    /// A person looks whether it was done, and says so; or wishes for it once more, now and then.
    fn decide(&mut self, world: &World, task: &str, key: &str, dice: &mut Dice) {
        world.until_nothing_is_under_way();
        self.in_doubt += 1;
        let paid_before = self.told.len() as u64 + self.asked_twice;
        let paid = world.charges();
        assert!(paid == paid_before || paid == paid_before + 1, "{key}: {paid} instead of {paid_before}");
        let is_done = paid > paid_before;
        let again = !is_done || dice.below(4) == 0;
        self.asked_twice += u64::from(is_done && again);
        let decision: &[&str] = if again { &["--rerun"] } else { &["--done", "seen there"] };
        world.keep_a_sidecar();
        // The sidecar that told of it has the task for a moment more: that is waited for.
        let output = world.outlast(&[&["task", "resolve", task, key], decision].concat()).output().unwrap();
        assert!(output.status.success(), "{output:?}");
    }
}

/// Runs a task to its end over all kills.
fn outlive(kind: &str, seed: u64, wanted: u64) {
    let Some(world) = World::start(seed, wanted) else { return };
    let began = Instant::now();
    let mut account = Account::default();
    let mut dice = Dice::new(seed + 1);
    world.start_sidecar();
    loop {
        // The last one that was told is asked for again; all of them would leave few kills for those that run.
        let client = world.start_client("paid", account.told.len().saturating_sub(1), kind);
        account.starts += 1;
        let status = world.until_the_client_ends();
        let (told, complained) = client.join().unwrap();
        let in_doubt = account.take(&told);
        match (in_doubt, status.code(), status.signal()) {
            (Some(key), Some(65), None) => account.decide(&world, "paid", &key, &mut dice),
            // Killed between the line and its end, perhaps: then it is told again.
            (_, None, Some(9)) => {}
            (None, Some(0), None) => break,
            other => panic!("{other:?}, seed {seed}: {complained}"),
        }
    }
    world.keep_a_sidecar();
    let lost = world.lost("paid", &account.told);
    let (paid, kills) = (world.charges(), world.shared.lock().kills.clone());
    let all: u64 = kills.values().sum();
    figures(
        &format!("sidecar-kills-{kind}"),
        &json!({
            "seed": seed, "kills": all, "of": kills, "steps": STEPS, "client_starts": account.starts, "paid": paid,
            "answered_by_the_key": world.server.counters()["charges_replayed"], "in_doubt": account.in_doubt,
            "repeats_asked_for": account.asked_twice, "outputs_told": account.told.len(), "outputs_lost": lost,
            "seconds": began.elapsed().as_secs(),
        }),
    );
    assert_eq!((account.told.len() as u64, lost), (STEPS, 0), "seed {seed}");
    assert_eq!(paid, STEPS + account.asked_twice, "seed {seed}: nothing is paid again that nobody asked for");
    assert!(all >= wanted, "only {all} kills of {wanted}, seed {seed}");
    assert_eq!(account.in_doubt > 0, kind == "unkeyed", "seed {seed}");
}

#[test]
fn keyed_steps_are_paid_once_however_often_their_sidecar_and_their_client_are_killed() {
    outlive("keyed", number("OUTLAST_SEED", 21), number("OUTLAST_SIDECAR_KILLS", 40));
}

#[test]
fn steps_without_a_key_are_repeated_only_where_a_person_asks_for_it_however_often_the_sidecar_is_killed() {
    outlive("unkeyed", number("OUTLAST_SEED", 22), number("OUTLAST_SIDECAR_KILLS", 40));
}
