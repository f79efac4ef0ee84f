//! A judge, a store per case, and processes that are made to fail.

#![allow(clippy::disallowed_methods, reason = "children are told by environment; the clock is made here")]
#![allow(clippy::unwrap_used, clippy::print_stdout, missing_docs, unreachable_pub, dead_code)]

use outlast::{
    Ask, BoxFuture, Cause, Clock, Code, Grant, GrantHandle, GrantId, GrantSettings, KeySource, Provider, Server,
    Settings, Timestamp, TokenError, TokenResponse, TokenSet,
};
use outlast_testkit::faults::{Faults, Kind, Operation, read_log};
use outlast_testkit::judge::Judge;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

/// How much faster than ours the clock of the processes runs: pauses of seconds take milliseconds.
const SPEED: u64 = 20;
/// For how long, by that clock, a process whose disk refuses a token set goes on trying.
const UNPERSISTED_TIME_MAX: Duration = Duration::from_secs(30);
/// The same where trying has to succeed: a busy machine may take its time.
const PERSISTED_TIME_MAX: Duration = Duration::from_secs(1200);
const LIFE: Duration = Duration::from_secs(1_000_000);

const HOME: &str = "OUTLAST_TEST_CHILD_HOME";
const ENDPOINT: &str = "OUTLAST_TEST_CHILD_ENDPOINT";
const EPOCH: &str = "OUTLAST_TEST_CHILD_EPOCH";
/// If it is there, the child takes over the token set of standard input instead.
const IMPORT: &str = "OUTLAST_TEST_CHILD_IMPORT";
/// If it is there, the process goes on trying for `PERSISTED_TIME_MAX`.
const PATIENT: &str = "OUTLAST_TEST_CHILD_PATIENT";
const TOLD: &str = "told ";

/// The same for all processes of a run, so that time never goes back from one to the next.
#[derive(Clone, Copy)]
pub struct FastClock {
    epoch: u64,
}

impl FastClock {
    fn system() -> u64 {
        SystemTime::UNIX_EPOCH.elapsed().unwrap().as_millis().try_into().unwrap()
    }
}

impl Clock for FastClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.epoch + (Self::system() - self.epoch) * SPEED)
    }

    fn sleep(&self, at_most: Duration) -> BoxFuture<'_, ()> {
        Box::pin(tokio::time::sleep(at_most / u32::try_from(SPEED).unwrap()))
    }
}

pub fn crm() -> GrantId {
    GrantId::parse("crm").unwrap()
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

fn handle(home: &Path, endpoint: &str, clock: FastClock) -> Result<GrantHandle, Failure> {
    let provider = Provider { token_endpoint: endpoint.to_owned(), ..Provider::default() };
    let settings = GrantSettings {
        client_id: "client".to_owned(),
        ..GrantSettings::new(crm(), "refresh_token", Server::from(provider))
    };
    let keeper = Settings::new(home).clock(Arc::new(clock)).grant(settings).open();
    let keeper = keeper.map_err(|error| Failure { code: error.code(), cause: None, text: error.to_string() })?;
    Ok(keeper.grant(&crm()).unwrap())
}

#[derive(Clone, Debug)]
pub struct Failure {
    pub code: Code,
    pub cause: Option<Cause>,
    pub text: String,
}

impl From<TokenError> for Failure {
    fn from(error: TokenError) -> Self {
        let cause = if let TokenError::NeedsUser { cause, .. } = &error { Some(*cause) } else { None };
        Self { code: error.code(), cause, text: error.to_string() }
    }
}

/// What a process said.
#[derive(Clone, Debug, Default)]
pub struct Told {
    /// The access token that it handed out.
    pub published: Option<String>,
    /// Whether it said, at its end, that this was not on disk.
    pub unpersisted: bool,
    /// Whether it was known at that moment not to be on disk: a slow commit hangs, for a fast clock.
    pub in_memory: bool,
    /// Why it handed out none.
    pub failed: Option<String>,
    /// Whether it came to its end.
    pub ended: bool,
    pub stderr: String,
}

/// Asks for a token as `outlast token` does, and ends as it does: not before what is under way has come to its
/// end, though the caller has been told of a failure meanwhile.
async fn ask(handle: &GrantHandle, published: impl FnOnce(&str)) -> Result<bool, Failure> {
    let asked = handle.access_token(Ask::default()).await.map(|token| published(token.secret().expose()));
    handle.keeper().close();
    let patient = std::env::var_os(PATIENT).is_some();
    let time_max = if patient { PERSISTED_TIME_MAX } else { UNPERSISTED_TIME_MAX };
    // Whether it was in time is asked below.
    let _ = tokio::time::timeout(time_max / u32::try_from(SPEED).unwrap(), handle.keeper().settled()).await;
    asked?;
    Ok(handle.is_persisted())
}

/// A child asks for a token and tells what it got.
pub fn child() {
    let Some(home) = std::env::var_os(HOME).map(PathBuf::from) else { return };
    let clock = FastClock { epoch: std::env::var(EPOCH).unwrap().parse().unwrap() };
    let endpoint = std::env::var(ENDPOINT).unwrap();
    // A line of its own: the harness has begun one.
    println!();
    let told = runtime().block_on(async {
        if std::env::var_os(IMPORT).is_some() {
            let tokens = token_set(&serde_json::from_reader(std::io::stdin()).unwrap(), clock.now());
            let access = tokens.access.clone();
            handle(&home, &endpoint, clock)?.import(tokens).await?;
            println!("{TOLD}published {}", access.expose());
            return Ok(true);
        }
        let handle = handle(&home, &endpoint, clock)?;
        let published = |token: &str| {
            println!("{TOLD}published {token}");
            if !handle.is_persisted() {
                println!("{TOLD}in-memory");
            }
        };
        ask(&handle, published).await
    });
    match told {
        Ok(true) => println!("{TOLD}ended"),
        Ok(false) => println!("{TOLD}unpersisted"),
        Err(failure) => println!("{TOLD}failed {} {}", failure.code, failure.text.replace('\n', " ")),
    }
}

/// A token response, from its JSON.
fn token_set(answer: &Value, issued_at: Timestamp) -> TokenSet {
    let text = |name: &str| answer[name].as_str().unwrap().to_owned();
    let response = TokenResponse {
        expires_in: Some(LIFE),
        refresh: Some(outlast::Secret::new(text("refresh_token"))),
        ..TokenResponse::bearer(text("access_token"))
    };
    TokenSet::first(response, issued_at)
}

fn read_told(stdout: &[u8], stderr: &[u8]) -> Told {
    let mut told = Told { stderr: String::from_utf8_lossy(stderr).into_owned(), ..Told::default() };
    for line in String::from_utf8_lossy(stdout).lines().filter_map(|line| line.strip_prefix(TOLD)) {
        match line.split_once(' ').unwrap_or((line, "")) {
            ("published", token) => told.published = Some(token.to_owned()),
            ("ended", _) => told.ended = true,
            ("in-memory", _) => told.in_memory = true,
            ("unpersisted", _) => (told.ended, told.unpersisted) = (true, true),
            ("failed", why) => (told.ended, told.failed) = (true, Some(why.to_owned())),
            other => panic!("not told like this: {other:?}"),
        }
    }
    told
}

pub struct World {
    pub judge: Judge,
    faults: Faults,
    folder: tempfile::TempDir,
    clock: FastClock,
}

/// A store of its own, with a grant whose access token has ended, at a family of its own.
pub struct Case {
    pub folder: tempfile::TempDir,
    pub family: String,
    first: Value,
}

impl Case {
    pub fn home(&self) -> PathBuf {
        self.folder.path().join("home")
    }
}

impl World {
    pub fn new() -> Self {
        // Nothing here is about what a power cut leaves, so a disk in memory does, and is quick.
        let memory = Path::new("/dev/shm");
        let folder = if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() }.unwrap();
        let clock = FastClock { epoch: FastClock::system() };
        let world = Self { judge: Judge::start(None), faults: Faults::build(folder.path()), folder, clock };
        drop(handle(&world.template(), &world.judge.token_endpoint(), clock).unwrap());
        world
    }

    fn template(&self) -> PathBuf {
        self.folder.path().join("template")
    }

    pub fn case(&self) -> Case {
        let case = self.empty_case();
        copy_folder(&self.template(), &case.home());
        let ended = self.clock.now().minus(LIFE * 2);
        runtime().block_on(async {
            let handle = handle(&case.home(), &self.judge.token_endpoint(), self.clock).unwrap();
            handle.import(token_set(&case.first, ended)).await.unwrap();
        });
        case
    }

    /// A family whose token set is nowhere yet, and no store.
    pub fn empty_case(&self) -> Case {
        let folder = tempfile::tempdir_in(self.folder.path()).unwrap();
        let first = self.judge.family(&json!({ "life": LIFE.as_secs() }));
        Case { folder, family: first["family"].as_str().unwrap().to_owned(), first }
    }

    /// Runs a process that asks for a token, with a fault.
    pub fn run(&self, case: &Case, fault: Option<(u64, Kind)>, log: Option<&Path>) -> Told {
        self.run_child(case, self.command(case), fault, log)
    }

    /// Runs a process that takes the case's first token set over.
    pub fn import(&self, case: &Case, fault: Option<(u64, Kind)>, log: Option<&Path>) -> Told {
        let mut command = self.command(case);
        let input = case.folder.path().join("input");
        std::fs::write(&input, case.first.to_string()).unwrap();
        command.env(IMPORT, "1").stdin(std::fs::File::open(input).unwrap());
        self.run_child(case, command, fault, log)
    }

    fn command(&self, case: &Case) -> Command {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command
            .args(["--exact", "child", "--nocapture", "--test-threads=1"])
            .env(HOME, case.home())
            .env(ENDPOINT, self.judge.token_endpoint())
            .env(EPOCH, self.clock.epoch.to_string())
            .stdin(Stdio::null());
        command
    }

    fn run_child(&self, case: &Case, mut command: Command, fault: Option<(u64, Kind)>, log: Option<&Path>) -> Told {
        self.faults.put_into(&mut command, &case.home(), fault, log);
        // A fault that passes, and a full disk, must not keep the token set from being written.
        if fault.is_some_and(|(_, kind)| !kind.lasts() || kind == Kind::FullOn) {
            command.env(PATIENT, "1");
        }
        let output = command.output().unwrap();
        let told = read_told(&output.stdout, &output.stderr);
        let crashed = fault.is_some_and(|(_, kind)| kind.kills());
        assert!(told.ended || crashed, "{fault:?} {told:?} {:?}", output.status);
        told
    }

    /// The operations of a process in which nothing goes wrong.
    pub fn operations(&self, case: &Case, run: impl Fn(&Self, &Case, Option<&Path>) -> Told) -> Vec<Operation> {
        let log = case.folder.path().join("operations");
        let told = run(self, case, Some(&log));
        assert!(told.ended && !told.unpersisted, "{told:?}");
        read_log(&log, false).unwrap()
    }

    /// The record as the next process finds it.
    pub fn record(&self, case: &Case) -> Result<Grant, String> {
        self.record_if_any(case)?.ok_or_else(|| "the record is gone".to_owned())
    }

    pub fn record_if_any(&self, case: &Case) -> Result<Option<Grant>, String> {
        let read = outlast::read_record(&case.home(), &KeySource::File, &crm());
        read.map_err(|error| format!("the store does not open: {error}"))
    }

    /// A restart after the fault is mended: asks until there is a token or only a person can help.
    pub fn recover(&self, case: &Case) -> Result<String, Failure> {
        runtime().block_on(async {
            let handle = handle(&case.home(), &self.judge.token_endpoint(), self.clock)?;
            let mut token = None;
            ask(&handle, |published| token = Some(published.to_owned())).await?;
            Ok(token.unwrap())
        })
    }

    /// Which token set of the case's family a token belongs to.
    pub fn rotation(&self, case: &Case, token: &str) -> Result<u64, String> {
        match self.judge.whose(token) {
            Some((family, rotation)) if family == case.family => Ok(rotation),
            other => Err(format!("a token that is not this family's: {other:?}")),
        }
    }

    /// The rotation of the whole token set in a record: both tokens have to be of one.
    pub fn whole(&self, case: &Case, grant: &Grant) -> Result<u64, String> {
        let tokens = grant.tokens.as_ref().ok_or("the record holds no tokens")?;
        let access = self.rotation(case, tokens.access.expose())?;
        let refresh = self.rotation(case, tokens.refresh.as_ref().ok_or("no refresh token")?.expose())?;
        if access != refresh || grant.generation.0 != access + 1 {
            return Err(format!("half a record: {access}, {refresh}, generation {}", grant.generation));
        }
        Ok(access)
    }
}

fn copy_folder(from: &Path, to: &Path) {
    use std::os::unix::fs::DirBuilderExt;
    std::fs::DirBuilder::new().mode(0o700).create(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap().map(Result::unwrap) {
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy_folder(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}
