//! F26: a fault at every single storage operation of a change of the key, and then at every one of the next
//! change or the next opening. Every record opens after each.

#![allow(clippy::disallowed_methods, reason = "children are told by environment; the test measures itself")]
#![allow(clippy::unwrap_used, clippy::print_stdout, missing_docs)]

mod support;

use outlast_core::journal::Journal;
use outlast_core::{Generation, TaskId, Timestamp, TokenStore};
use outlast_store::{KeySource, SqliteStore, read_grant, rotate_key};
use outlast_testkit::faults::{Faults, Kind, Operation, read_log};
use std::collections::BTreeSet;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;
use support::{Folder, PATIENCE, grant, id, put, runtime, told_home};

/// Cases that are under way at once.
const LANES: usize = 4;
/// Set to 1, nothing is left out.
const NIGHTLY: &str = "OUTLAST_NIGHTLY";
/// How many writes of a run are tried at each of its ends.
const RUN_ENDS: [usize; 2] = [1, 2];
/// What a child is to do: open the store, or change its key.
const DEED: &str = "OUTLAST_TEST_CHILD_DEED";

/// Not a test by itself: the process that the cases start.
#[test]
fn child() {
    let Some(home) = told_home() else { return };
    let done = match std::env::var(DEED).as_deref() {
        Ok("open") => SqliteStore::open(&home, KeySource::File).map(drop),
        _ => rotate_key(&home, &KeySource::File).map(|rotated| assert!(rotated.is_some())),
    };
    // A line of its own: the harness has begun one.
    match done {
        Ok(()) => println!("\ndone"),
        Err(cause) => println!("\nfailed {cause}"),
    }
}

struct World {
    faults: Faults,
    folder: tempfile::TempDir,
    template: Folder,
}

struct Case {
    folder: tempfile::TempDir,
}

impl Case {
    fn home(&self) -> PathBuf {
        self.folder.path().join("home")
    }

    fn key(&self) -> Vec<u8> {
        std::fs::read(self.home().join("key-beside-data")).unwrap()
    }
}

/// What a process said; nothing if it was killed.
type Told = Option<Result<(), String>>;

impl World {
    fn new() -> Self {
        // Nothing here is about what a power cut leaves, so a disk in memory does, and is quick.
        let memory = Path::new("/dev/shm");
        let folder = if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() }.unwrap();
        let template = Folder::new();
        let store = template.open();
        runtime().block_on(async {
            for name in ["crm", "mail", "gone"] {
                put(&store, 0, &grant(name, 1)).await.unwrap();
            }
            let lease = store.lease(&id("gone"), PATIENCE).await.unwrap();
            store.forget(&lease, Generation(1)).await.unwrap();
            let now = Timestamp::from_secs(1_800_000_000);
            drop(store.journal().claim(&task(), "test", now).await.unwrap());
        });
        Self { faults: Faults::build(folder.path()), folder, template }
    }

    fn case(&self) -> Case {
        let case = Case { folder: tempfile::tempdir_in(self.folder.path()).unwrap() };
        copy_folder(&self.template.home, &case.home());
        case
    }

    fn run(&self, case: &Case, deed: &str, fault: Option<(u64, Kind)>, log: Option<&Path>) -> Told {
        let mut command = support::child(&case.home());
        command.env(DEED, deed).arg("--test-threads=1");
        self.faults.put_into(&mut command, &case.home(), fault, log);
        let output = command.output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let told = text.lines().find_map(|line| match line.strip_prefix("failed ") {
            Some(cause) => Some(Err(cause.to_owned())),
            None => (line == "done").then_some(Ok(())),
        });
        let killed = fault.is_some_and(|(_, kind)| kind.kills());
        assert!(told.is_some() || killed, "{fault:?}: {text} {}", String::from_utf8_lossy(&output.stderr));
        told
    }

    fn operations(&self, case: &Case, deed: &str) -> Vec<Operation> {
        let log = case.folder.path().join("operations");
        assert_eq!(self.run(case, deed, None, Some(&log)), Some(Ok(())));
        read_log(&log, false).unwrap()
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

fn task() -> TaskId {
    TaskId::parse("harvest").unwrap()
}

/// Every record opens, with whatever is there, before and after somebody opens the store; and then one key is
/// there, and a change of it succeeds.
fn judge(case: &Case, key_before: &[u8], told: &[Told]) -> Result<(), String> {
    let home = case.home();
    whole(&home).map_err(|cause| format!("after the fault: {cause}; told {told:?}"))?;
    let changed = told.last() == Some(&Some(Ok(())));
    let store = SqliteStore::open(&home, KeySource::File).map_err(|cause| format!("it does not open: {cause}"))?;
    let journal = runtime().block_on(store.journal().read(&task())).map_err(|cause| format!("the journal: {cause}"))?;
    if journal.is_none() {
        return Err("the journal is gone".to_owned());
    }
    whole(&home).map_err(|cause| format!("after it was opened: {cause}"))?;
    if home.join("key-beside-data.new").exists() {
        return Err("two keys are left".to_owned());
    }
    if changed && case.key() == key_before {
        return Err("the change was told to be done, and the old key is there".to_owned());
    }
    let before = case.key();
    rotate_key(&home, &KeySource::File).map_err(|cause| format!("the next change fails: {cause}"))?;
    whole(&home).map_err(|cause| format!("after the next change: {cause}"))?;
    if case.key() == before { Err("the next change changed nothing".to_owned()) } else { Ok(()) }
}

fn whole(home: &Path) -> Result<(), String> {
    for name in ["crm", "mail"] {
        let read = read_grant(home, &KeySource::File, &id(name)).map_err(|cause| format!("{name}: {cause}"))?;
        if read != Some(grant(name, 1)) {
            return Err(format!("{name} is not what was written"));
        }
    }
    Ok(())
}

fn for_all<C: Sync + std::fmt::Debug>(what: &str, cases: &[C], each: impl Fn(&C) -> Result<(), String> + Sync) {
    let (began, next, wrong) = (Instant::now(), AtomicUsize::new(0), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..LANES {
            scope.spawn(|| {
                while let Some(case) = cases.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| each(case)));
                    if let Err(cause) = outcome.unwrap_or_else(|_| Err("panicked".to_owned())) {
                        wrong.lock().unwrap().push(format!("{case:?}: {cause}"));
                    }
                }
            });
        }
    });
    // Not by a print macro, which the harness would swallow.
    let seconds = began.elapsed().as_secs();
    let _best_effort = writeln!(std::io::stderr(), "{what}: {} cases, {seconds} s", cases.len());
    let wrong = wrong.into_inner().unwrap();
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), cases.len(), wrong.join("\n"));
}

fn is_thorough() -> bool {
    std::env::var(NIGHTLY).is_ok_and(|value| value == "1")
}

/// The operations that are tried: all, but of a run of writes to one file without a sync between them the first
/// and the last few. By night each.
fn tried(operations: &[Operation]) -> Vec<&Operation> {
    let is_write = |operation: &Operation| operation.name == "write";
    let in_a_run = |at: usize, from: &Operation| {
        operations.get(at).is_some_and(|other| is_write(other) && other.path == from.path)
    };
    let is_inside = |at: usize, operation: &Operation| {
        let ends = RUN_ENDS.map(|end| (at.checked_sub(end), at + end));
        is_write(operation)
            && ends.iter().all(|(before, after)| {
                before.is_some_and(|before| in_a_run(before, operation)) && in_a_run(*after, operation)
            })
    };
    let each = operations.iter().enumerate();
    each.filter(|(at, operation)| is_thorough() || !is_inside(*at, operation)).map(|(_, operation)| operation).collect()
}

/// Every kind of fault. A crash after an operation leaves what one before the next does, and one at a read what
/// one at the next write.
fn singles(operations: &[Operation]) -> Vec<(u64, Kind)> {
    let differs = |operation: &Operation, kind: Kind| match kind {
        Kind::CrashAfter => operation.name == "sync",
        Kind::CrashBefore => operation.changes,
        _ => true,
    };
    let each = tried(operations).into_iter().flat_map(|operation| {
        let kinds = Kind::EACH.into_iter().filter(|kind| kind.applies_to(operation) && differs(operation, *kind));
        kinds.map(|kind| (operation.number, kind))
    });
    each.collect()
}

/// What a crash left, as far as it decides what is done about it: the files, which key is named, and whether a
/// commit has to be undone.
fn left(case: &Case) -> Vec<Vec<u8>> {
    let names = std::fs::read_dir(case.home()).unwrap().map(|entry| entry.unwrap().file_name().into_encoded_bytes());
    let mut left: Vec<_> = names.collect();
    left.sort();
    let journal = std::fs::read(case.home().join("outlast.db-journal")).unwrap();
    let length = |name: &str| std::fs::metadata(case.home().join(name)).map_or(0, |file| file.len());
    left.push(vec![u8::from(journal.first().is_some_and(|first| *first != 0))]);
    left.extend(["key-beside-data.new", "outlast.db"].map(|file| length(file).to_be_bytes().to_vec()));
    left.push(std::fs::read(case.home().join("outlast.db")).unwrap()[24..28].to_vec());
    left
}

/// Crashes that differ in what they leave on the disk.
fn crashes(operations: &[Operation]) -> Vec<(u64, Kind)> {
    let changing = tried(operations).into_iter().filter(|operation| operation.changes);
    changing.map(|operation| (operation.number, Kind::CrashBefore)).collect()
}

#[test]
fn f26_a_fault_at_any_storage_operation_of_a_change_of_the_key_loses_no_record() {
    let world = World::new();
    let cases = singles(&world.operations(&world.case(), "rotate"));
    for_all("one fault in a change of the key", &cases, |fault| {
        let case = world.case();
        let before = case.key();
        let told = world.run(&case, "rotate", Some(*fault), None);
        judge(&case, &before, &[told])
    });
    assert!(cases.len() > 500, "{}", cases.len());
}

#[test]
fn f26_a_second_crash_in_whatever_ends_the_change_loses_no_record() {
    let world = World::new();
    let (mut cases, mut seen) = (Vec::new(), BTreeSet::new());
    for first in crashes(&world.operations(&world.case(), "rotate")) {
        for deed in ["open", "rotate"] {
            let case = world.case();
            world.run(&case, "rotate", Some(first), None);
            if !seen.insert((deed, left(&case))) && !is_thorough() {
                continue;
            }
            let second = crashes(&world.operations(&case, deed));
            cases.extend(second.into_iter().map(|second| (first, deed, second)));
        }
    }
    for_all("a second crash", &cases, |(first, deed, second)| {
        let case = world.case();
        let before = case.key();
        let told = [world.run(&case, "rotate", Some(*first), None), world.run(&case, deed, Some(*second), None)];
        judge(&case, &before, &told)
    });
}
