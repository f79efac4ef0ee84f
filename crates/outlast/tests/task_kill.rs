//! SIGKILL is a test input: a runner is killed again and again in the middle of its steps, at an endpoint
//! that counts. Nothing that was recorded is lost, nothing takes effect twice, and every repeat was asked for.

#![allow(clippy::disallowed_methods, reason = "children are told by environment")]
#![allow(clippy::unwrap_used, clippy::print_stdout, missing_docs)]

use outlast::Settings;
use outlast::task::{Begun, Block, Effect, Failure, Recorded, Resolution, Step, Task, TaskError, TaskId, TaskSettings};
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Command, ExitCode};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

const STEPS: usize = 100;
/// Said by the test itself.
const SETTLED: &str = "settled?";
const HOME: &str = "OUTLAST_TEST_CHILD_HOME";
const ENDPOINT: &str = "OUTLAST_TEST_CHILD_ENDPOINT";

fn id() -> TaskId {
    TaskId::parse("invoices").unwrap()
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
}

/// Counts requests by what they say.
#[derive(Clone, Default)]
struct Endpoint {
    counts: Arc<Mutex<BTreeMap<String, usize>>>,
    open: Arc<AtomicUsize>,
}

impl Endpoint {
    fn listen(&self) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let own = self.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let own = own.clone();
                own.open.fetch_add(1, Ordering::SeqCst);
                std::thread::spawn(move || {
                    let _gone = own.serve(stream);
                    own.open.fetch_sub(1, Ordering::SeqCst);
                });
            }
        });
        address
    }

    fn serve(&self, mut stream: TcpStream) -> std::io::Result<()> {
        let mut line = String::new();
        if BufReader::new(stream.try_clone()?).read_line(&mut line)? > 0 && line.ends_with('\n') {
            *self.counts.lock().unwrap().entry(line.trim().to_owned()).or_default() += 1;
            stream.write_all(b"counted\n")?;
        }
        Ok(())
    }

    /// How much was asked for so far.
    fn asked(&self) -> usize {
        self.counts.lock().unwrap().values().sum()
    }

    /// Once nothing is on its way any more: what was asked for before this has been accepted before it.
    fn settled(&self, address: &str) -> BTreeMap<String, usize> {
        send(address, SETTLED).unwrap();
        while self.open.load(Ordering::SeqCst) > 0 {
            std::thread::sleep(Duration::from_millis(1));
        }
        let mut counts = self.counts.lock().unwrap().clone();
        counts.remove(SETTLED);
        counts
    }
}

fn send(endpoint: &str, what: &str) -> Result<(), std::io::Error> {
    let mut stream = TcpStream::connect(endpoint)?;
    stream.write_all(format!("{what}\n").as_bytes())?;
    let mut answer = String::new();
    BufReader::new(stream).read_line(&mut answer)?;
    if answer == "counted\n" { Ok(()) } else { Err(std::io::Error::other("no answer")) }
}

/// Not a test by itself: runs the task until it is through or killed.
#[test]
fn child() -> ExitCode {
    let Some(home) = std::env::var_os(HOME) else { return ExitCode::SUCCESS };
    let endpoint = std::env::var(ENDPOINT).unwrap();
    let through = runtime().block_on(async {
        let keeper = Settings::new(home).open().unwrap();
        let settings = TaskSettings { patience: Duration::from_secs(20), ..TaskSettings::default() };
        let task = Task::open_with(&keeper, &id(), settings).await.unwrap();
        let mut through = true;
        for number in 0..STEPS {
            let (keyed, unkeyed) = (format!("keyed-{number}"), format!("unkeyed-{number}"));
            let kept: String = task
                .step(&keyed, Effect::Idempotent, &[], |step| {
                    let said = format!("{} {}", step.key(), step.idempotency_key());
                    let sent = send(&endpoint, &said);
                    async move { Ok(sent.map(|()| said)?) }
                })
                .await
                .unwrap();
            assert!(kept.starts_with(&keyed));
            let sent = task
                .step::<String, _, _>(&unkeyed, Effect::Once, &[], |step| {
                    let sent = send(&endpoint, step.key().as_str());
                    async move { sent.map(|()| "sent".to_owned()).map_err(Failure::from) }
                })
                .await;
            match sent {
                Ok(_) => {}
                Err(TaskError::Ambiguous { .. }) => through = false,
                Err(error) => panic!("{error}"),
            }
        }
        through
    });
    if through { ExitCode::SUCCESS } else { ExitCode::from(3) }
}

/// What a person does who looks at the endpoint: says of each ambiguous step whether it was done.
fn decide(home: &Path, counts: &BTreeMap<String, usize>) -> usize {
    runtime().block_on(async {
        let tasks = Settings::new(home).open().unwrap().tasks();
        let Ok((summary, _)) = tasks.show(&id()).await else { return 0 };
        let mut decided = 0;
        for block in summary.blocks {
            let Block::Ambiguous { key, .. } = block else { panic!("{block:?}") };
            let resolution = match counts.contains_key(key.as_str()) {
                true => Resolution::Done(Recorded { exit: None, bytes: b"\"by hand\"".to_vec() }),
                false => Resolution::Rerun,
            };
            tasks.resolve(&id(), &key, resolution, "the test").await.unwrap();
            decided += 1;
        }
        decided
    })
}

#[test]
fn f81_a_runner_that_is_killed_again_and_again_does_nothing_twice_and_loses_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let home = folder.path().join("home");
    let endpoint = Endpoint::default();
    let address = endpoint.listen();
    let (mut kills, mut decided, mut pause) = (0, 0, 7);
    loop {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "child"])
            .env(HOME, &home)
            .env(ENDPOINT, &address)
            .stdout(std::process::Stdio::null())
            .spawn()
            .unwrap();
        // Somewhere in the middle of something: a few requests on, however fast the machine is, and a
        // moment later, another one each round.
        pause = (pause * 31 + 17) % 97;
        let enough = endpoint.asked() + 1 + usize::try_from(pause % 11).unwrap();
        while endpoint.asked() < enough && child.try_wait().unwrap().is_none() {
            std::thread::sleep(Duration::from_micros(100));
        }
        std::thread::sleep(Duration::from_micros(pause * 30));
        child.kill().unwrap();
        let status = child.wait().unwrap();
        kills += usize::from(status.code().is_none());
        decided += decide(&home, &endpoint.settled(&address));
        if status.success() {
            break;
        }
        assert!(status.code().is_none_or(|code| code == 3), "{status}");
        assert!(kills < 2000, "it does not come to an end");
    }
    let counts = endpoint.settled(&address);
    for number in 0..STEPS {
        let key = format!("keyed-{number} ");
        let under: Vec<_> = counts.keys().filter(|said| said.starts_with(&key)).collect();
        assert_eq!(under.len(), 1, "every repeat of a keyed step carries the same key: {under:?}");
        assert_eq!(counts.get(&format!("unkeyed-{number}")), Some(&1), "nothing unkeyed is done twice");
    }
    assert_eq!(counts.len(), 2 * STEPS);
    let recorded = runtime().block_on(async {
        let keeper = Settings::new(&home).open().unwrap();
        let task = Task::open(&keeper, &id()).await.unwrap();
        let mut recorded = 0;
        for number in 0..STEPS {
            for step in [Step::idempotent(format!("keyed-{number}")), Step::once(format!("unkeyed-{number}"))] {
                let Begun::Reuse(_) = task.begin(&step.unwrap()).await.unwrap() else { panic!("{number} is lost") };
                recorded += 1;
            }
        }
        recorded
    });
    assert_eq!(recorded, 2 * STEPS);
    println!("{kills} kills, {decided} steps decided by a person");
    assert!(kills >= 10, "{kills}");
}
