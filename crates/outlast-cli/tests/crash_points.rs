//! T3 with the real binary: `outlast token` is killed at every storage operation, or its disk fails there;
//! the next `outlast token` has the newest token, or says in words what was lost.

#![allow(clippy::disallowed_methods, reason = "files are written for the binary, and the test measures itself")]
#![allow(clippy::unwrap_used, missing_docs)]

use outlast_testkit::canary::{Kind as Canary, Watch};
use outlast_testkit::faults::{Faults, Kind, Operation, read_log};
use outlast_testkit::judge::Judge;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant, SystemTime};

/// Most of a case is waiting, half a second at least for a grant in doubt.
const LANES: usize = 16;
/// Of the faults that do not kill, every so many operations' are tried here; all are in the library's test.
const SAMPLE_EVERY: u64 = 7;
const LIFE: u64 = 3600;

struct World {
    judge: Judge,
    faults: Faults,
    watch: Watch,
    folder: tempfile::TempDir,
}

struct Case {
    folder: tempfile::TempDir,
    family: String,
}

#[derive(Debug)]
struct Told {
    code: Option<i32>,
    stdout: String,
    stderr: String,
}

impl Drop for World {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            self.watch.assert_clean();
        }
    }
}

impl World {
    fn new() -> Self {
        let memory = Path::new("/dev/shm");
        let folder = if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() }.unwrap();
        let world =
            Self { judge: Judge::start(None), faults: Faults::build(folder.path()), watch: Watch::new(), folder };
        let configuration = format!(
            "[grant.crm]\ntoken_endpoint = \"{}\"\ngrant_type = \"refresh_token\"\nclient_id = \"agent\"\n\
             upstream = \"http://127.0.0.1:9\"\n",
            world.judge.token_endpoint()
        );
        private(&world.folder.path().join("outlast.toml"), &configuration);
        world
    }

    /// A grant whose access token was issued `ago`, in a store of its own.
    fn case(&self, ago: u64) -> Case {
        let folder = tempfile::tempdir_in(self.folder.path()).unwrap();
        std::fs::DirBuilder::new().mode(0o700).create(folder.path().join("state")).unwrap();
        let mut tokens = self.judge.family(&json!({ "life": LIFE }));
        let family = tokens["family"].as_str().unwrap().to_owned();
        tokens["saved_at"] = (SystemTime::UNIX_EPOCH.elapsed().unwrap().as_secs() - ago).into();
        private(&folder.path().join("tokens.json"), &json!({ "crm": tokens }).to_string());
        let case = Case { folder, family };
        let file = case.folder.path().join("tokens.json");
        let told = self.run(&case, &["import", "crm", "--from", file.to_str().unwrap()], None, None);
        assert_eq!(told.code, Some(0), "{told:?}");
        case
    }

    fn run(&self, case: &Case, arguments: &[&str], fault: Option<(u64, Kind)>, log: Option<&Path>) -> Told {
        let mut command = Command::new(env!("CARGO_BIN_EXE_outlast"));
        command
            .args(arguments)
            .env_clear()
            .env("PATH", "/usr/bin:/bin")
            .env("HOME", case.folder.path())
            .env("OUTLAST_CONFIG", self.folder.path().join("outlast.toml"))
            .env("OUTLAST_HOME", case.state())
            .stdin(Stdio::null());
        if fault.is_some() || log.is_some() {
            self.faults.put_into(&mut command, &case.state(), fault, log);
        }
        let output = command.output().unwrap();
        self.watch.look("stdout of a command", &output.stdout, &[Canary::Access]);
        self.watch.look("stderr of a command", &output.stderr, &[]);
        self.watch.look_into(&case.state(), &|_| &[]);
        Told {
            code: output.status.code(),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }

    /// Which token set of the case's family the token is of that was printed.
    fn printed(&self, case: &Case, told: &Told) -> Option<u64> {
        let token = told.stdout.trim();
        let found = (!token.is_empty()).then(|| self.judge.whose(token).unwrap());
        found.map(|(family, rotation)| {
            assert_eq!(family, case.family);
            rotation
        })
    }

    fn operations(&self) -> Vec<Operation> {
        let case = self.case(LIFE * 2);
        let log = case.folder.path().join("log");
        let told = self.run(&case, &["token", "crm"], None, Some(&log));
        assert_eq!((told.code, self.printed(&case, &told)), (Some(0), Some(1)), "{told:?}");
        read_log(&log, false).unwrap()
    }

    fn status(&self, case: &Case) -> Value {
        let told = self.run(case, &["status", "crm", "--json"], None, None);
        serde_json::from_str(&told.stdout).unwrap_or_else(|cause| panic!("{cause}: {told:?}"))
    }
}

impl Case {
    fn state(&self) -> PathBuf {
        self.folder.path().join("state")
    }
}

fn private(path: &Path, text: &str) {
    let mut file = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).unwrap();
    file.write_all(text.as_bytes()).unwrap();
}

/// Kills, and then the next process; whether the grant was lost in the one window.
fn judge(world: &World, (number, kind): (u64, Kind)) -> bool {
    let about = format!("operation {number}, {kind:?}");
    let case = world.case(LIFE * 2);
    let failed = world.run(&case, &["token", "crm"], Some((number, kind)), None);
    let printed = world.printed(&case, &failed);
    let said_unpersisted = failed.stderr.contains("NOT on disk");
    let next = world.run(&case, &["token", "crm"], None, None);
    let seen = world.judge.seen(&case.family);
    if next.code == Some(0) {
        assert_eq!(world.printed(&case, &next), Some(seen.rotation), "{about}: {failed:?} {next:?}");
        assert!(seen.alive && seen.reuses == 0, "{about}: {seen:?}");
        return false;
    }
    // The server had rotated, and nothing of it was durable, or it was said that it was not.
    assert!(seen.rotation == 1 && (printed.is_none() || said_unpersisted), "{about}: {failed:?} {next:?}");
    assert!(kind.kills() || said_unpersisted, "{about}: {failed:?} {next:?}");
    assert!(seen.reuses <= 1, "{about}: {seen:?}");
    assert_eq!(next.code, Some(77), "{about}: {next:?}");
    for words in ["error[lost-rotation]", "answer", "It happened on 20", "outlast import crm"] {
        assert!(next.stderr.contains(words), "{about}: {words:?} is not said: {next:?}");
    }
    let status = world.status(&case);
    assert_eq!((&status["standing"], &status["code"]), (&json!("parked"), &json!("lost-rotation")), "{about}");
    assert!(status["last_trouble"]["at"].is_u64() && status["what_to_do"].as_str().unwrap().contains("sign in again"));
    true
}

#[test]
fn t3_the_command_is_killed_at_every_storage_operation_and_the_next_one_goes_on_or_says_what_was_lost() {
    let (world, began) = (World::new(), Instant::now());
    let operations = world.operations();
    let applies = |operation: &Operation, kind: Kind| {
        let sampled = operation.number.is_multiple_of(SAMPLE_EVERY);
        kind.applies_to(operation) && (kind == Kind::CrashBefore || sampled)
    };
    let cases: Vec<_> = operations
        .iter()
        .flat_map(|operation| {
            Kind::EACH.into_iter().filter(|kind| applies(operation, *kind)).map(|kind| (operation.number, kind))
        })
        .collect();
    let (next, lost, wrong) = (AtomicUsize::new(0), AtomicUsize::new(0), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..LANES {
            scope.spawn(|| {
                while let Some(case) = cases.get(next.fetch_add(1, Ordering::Relaxed)) {
                    match std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| judge(&world, *case))) {
                        Ok(was_lost) => drop(lost.fetch_add(was_lost.into(), Ordering::Relaxed)),
                        Err(_) => wrong.lock().unwrap().push(*case),
                    }
                }
            });
        }
    });
    let (lost, seconds) = (lost.into_inner(), began.elapsed().as_secs());
    let _best_effort = writeln!(
        std::io::stderr(),
        "the real command: {} cases, {lost} lost in the one window or as was said, {seconds} s",
        cases.len()
    );
    let wrong = wrong.into_inner().unwrap();
    assert!(wrong.is_empty(), "{} of {}: {wrong:?}", wrong.len(), cases.len());
    assert!(lost > 0, "the window is there, so something has to be in it");
}

#[test]
fn f20_a_disk_whose_syncs_take_two_seconds_delays_the_renewal_and_loses_nothing() {
    let world = World::new();
    let (case, began) = (world.case(LIFE * 2), Instant::now());
    let told = world.run(&case, &["token", "crm"], Some((1, Kind::SlowSync)), None);
    assert!(began.elapsed() > Duration::from_secs(4), "no sync was slow");
    assert_eq!((told.code, world.printed(&case, &told)), (Some(0), Some(1)), "{told:?}");
    let next = world.run(&case, &["token", "crm"], None, None);
    assert_eq!((next.code, world.printed(&case, &next)), (Some(0), Some(1)), "{next:?}");
    let seen = world.judge.seen(&case.family);
    assert!(seen.alive && seen.requests == 1, "{seen:?}");
}

#[test]
fn f22_on_a_disk_that_takes_no_writes_nothing_is_spent_and_a_good_token_is_served_to_its_end() {
    let world = World::new();
    for kind in [Kind::ReadOnlyOn, Kind::FullCopyingOn] {
        // Due for renewal, and good for a while.
        let case = world.case(LIFE * 9 / 10);
        let told = world.run(&case, &["token", "crm"], Some((1, kind)), None);
        assert_eq!((told.code, world.printed(&case, &told)), (Some(0), Some(0)), "{told:?}");
        let ended = world.case(LIFE * 2);
        let told = world.run(&ended, &["token", "crm"], Some((1, kind)), None);
        assert!(told.stderr.contains("error[store-unwritable]"), "{told:?}");
        assert_eq!(told.code, Some(78), "{told:?}");
        for case in [&case, &ended] {
            assert_eq!(world.judge.seen(&case.family).requests, 0, "{kind:?}: a token was spent without a note");
            // Mended, it goes on as if nothing had been.
            let told = world.run(case, &["token", "crm"], None, None);
            assert_eq!((told.code, world.printed(case, &told)), (Some(0), Some(1)), "{told:?}");
        }
    }
}

/// F21: the store of a full disk can be read by a process that starts on it.
#[test]
fn f21_a_process_that_starts_on_a_full_disk_reads_the_store_and_serves() {
    let world = World::new();
    for kind in [Kind::FullOn, Kind::FullCopyingOn, Kind::ReadOnlyOn] {
        let case = world.case(0);
        let told = world.run(&case, &["token", "crm"], Some((1, kind)), None);
        assert_eq!((told.code, world.printed(&case, &told)), (Some(0), Some(0)), "{kind:?} {told:?}");
        let told = world.run(&case, &["status", "crm", "--json"], Some((1, kind)), None);
        assert_eq!(told.code, Some(0), "{kind:?} {told:?}");
    }
}

/// F23: after a sync that failed, pages may be called clean that never reached the disk. What was written is
/// written again, into files that are opened anew.
#[test]
fn f23_after_a_sync_that_failed_nothing_is_told_to_be_durable_on_the_same_open_file() {
    let world = World::new();
    let operations = world.operations();
    // Of the files alone: SQLite does not mind a folder's failed sync, and both names were made durable when
    // the store was made.
    let at = |failing: &Operation| operations.iter().position(|it| it.number == failing.number).unwrap();
    let is_file = |operation: &&Operation| operation.name == "sync" && operation.path.starts_with("outlast.db");
    let syncs: Vec<_> = operations.iter().filter(is_file).collect();
    // The second commit, after the server has rotated: here the process may not give up.
    for failing in syncs.iter().skip(syncs.len() / 2) {
        let case = world.case(LIFE * 2);
        let log = case.folder.path().join("log");
        let told = world.run(&case, &["token", "crm"], Some((failing.number, Kind::IoError)), Some(&log));
        assert_eq!((told.code, world.printed(&case, &told)), (Some(0), Some(1)), "{failing:?} {told:?}");
        let after = read_log(&log, false).unwrap().split_off(failing.number as usize);
        let opened = after.iter().position(|each| each.name == "open-rw" && each.path == "outlast.db");
        let opened = opened.unwrap_or_else(|| panic!("{failing:?}: the database is not opened anew"));
        // SQLite undoes the commit first: it may sync the same open file only when it has put back each page.
        let pages = |of: &[Operation]| -> BTreeSet<u64> {
            of.iter().filter(|it| it.name == "write" && it.path == "outlast.db").map(|it| it.offset).collect()
        };
        let undoing = after[..opened].iter().position(|it| it.name == "sync" && it.path == "outlast.db");
        let (lost, undone) = (pages(&operations[..at(failing)]), undoing.map(|sync| pages(&after[..sync])));
        assert!(undone.is_none_or(|undone| undone.is_superset(&lost)), "{failing:?}: {lost:?} on the same open file");
        let synced = |path: &str| after[opened..].iter().any(|each| each.name == "sync" && each.path == path);
        assert!(synced("outlast.db") && synced("outlast.db-journal"), "{failing:?}: not written again");
    }
}
