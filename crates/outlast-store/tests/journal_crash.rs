//! A journal whose process or machine dies, or whose disk refuses, at every single operation: what was told
//! to be durable is there, what was told to have failed is not, and the next runner goes on.

#![allow(clippy::disallowed_methods, reason = "children are told by environment; images are written here")]
#![allow(clippy::unwrap_used, clippy::print_stdout, missing_docs)]

#[path = "power_loss/disk.rs"]
mod disk;
mod support;

use disk::Disk;
use outlast_core::journal::{Claim, Journal, JournalError};
use outlast_core::task::{Effect, Event, Output, Place, StepKey, StepState, TaskId, TaskView};
use outlast_core::{StoreError, Timestamp};
use outlast_testkit::faults::{Faults, Kind, Operation, read_log};
use std::collections::BTreeMap;
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;
use support::{open, runtime, told_home};

/// Where a child tells what became of each entry; not part of the folder that is judged.
const TOLD: &str = "told";
/// How often a child tries what the disk refused.
const TRIES: usize = 3;
/// The outputs of the steps: small, such that the journal has to grow, and one that is kept apart.
const LENGTHS: [usize; 6] = [10, 20_000, 25_000, 30_000, 40_000, 700];

fn task() -> TaskId {
    TaskId::parse("harvest").unwrap()
}

fn key(number: usize) -> StepKey {
    StepKey::parse(&format!("page-{number}")).unwrap()
}

fn output(number: usize) -> Vec<u8> {
    (0..LENGTHS[number]).map(|at| (at * 31 + number) as u8).collect()
}

fn started(number: usize) -> Event {
    Event::Started { key: key(number), effect: Effect::Once, input: None }
}

fn done(number: usize) -> Event {
    let bytes = output(number);
    let output = Output { exit: Some(0), length: bytes.len() as u64, place: Place::Here(bytes) };
    Event::Done { key: key(number), output, took: Duration::from_millis(1) }
}

fn now() -> Timestamp {
    Timestamp::from_secs(1_800_000_000)
}

/// What a child told: for each entry, whether it is durable.
type Told = BTreeMap<String, bool>;

fn read_told(folder: &Path) -> Told {
    let lines = std::fs::read_to_string(folder.join(TOLD)).unwrap_or_default();
    lines.lines().filter_map(|line| line.split_once(' ')).map(|(kept, name)| (name.to_owned(), kept == "+")).collect()
}

/// Not a test by itself: runs a task, and tells of each entry whether it is durable.
#[test]
fn child() {
    let Some(home) = told_home() else { return };
    let mut told =
        std::fs::OpenOptions::new().append(true).create(true).open(home.parent().unwrap().join(TOLD)).unwrap();
    let journal = open(&home).journal();
    runtime().block_on(async {
        let mut claim = None;
        for _ in 0..TRIES {
            claim = journal.claim(&task(), "child", now()).await.ok();
            if claim.is_some() {
                break;
            }
        }
        let Some(claim) = claim else { return };
        for number in 0..LENGTHS.len() {
            for (what, event) in [("started", started(number)), ("done", done(number))] {
                let kept = tried(claim.as_ref(), &event).await;
                writeln!(told, "{} {what} {number}", if kept { '+' } else { '-' }).unwrap();
                if !kept {
                    return;
                }
            }
        }
    });
}

async fn tried(claim: &dyn Claim, event: &Event) -> bool {
    for _ in 0..TRIES {
        match claim.append(now(), vec![event.clone()]).await {
            Ok(()) => return true,
            Err(JournalError::Store(StoreError::Unwritable { .. })) => {}
            Err(error) => panic!("{error}"),
        }
    }
    false
}

/// The entries of a journal, as a child names them.
fn entries(view: &TaskView) -> Vec<String> {
    let mut found = Vec::new();
    for step in view.steps() {
        let number = step.key.as_str().strip_prefix("page-").unwrap();
        if number == "more" {
            continue;
        }
        found.push(format!("started {number}"));
        if matches!(step.state, StepState::Done { .. }) {
            found.push(format!("done {number}"));
        }
    }
    found
}

/// What is wrong with a folder that a child left, seen by the next runner. `failed_is_absent`: what was told
/// to have failed may not be there, for the process lived to take it back.
fn judge(home: &Path, told: &Told, failed_is_absent: bool) -> Result<(), String> {
    let journal = open(home).journal();
    runtime().block_on(async {
        let looked = journal.read(&task()).await.map_err(|error| format!("cannot be looked at: {error}"))?;
        let claim = journal.claim(&task(), "next", now()).await.map_err(|error| format!("does not open: {error}"))?;
        let view = claim.view().read().unwrap().clone();
        let found = entries(&view);
        if looked.is_some_and(|looked| entries(&looked) != found) {
            return Err("who looks on and who runs it see different things".to_owned());
        }
        for (name, kept) in told {
            if *kept && !found.contains(name) {
                return Err(format!("{name} was durable, and there is {found:?}"));
            }
            if !*kept && failed_is_absent && found.contains(name) {
                return Err(format!("{name} was told to have failed, and is there"));
            }
        }
        if found.len() > told.len() + 1 {
            return Err(format!("more than was begun: {found:?}"));
        }
        for step in view.steps() {
            let StepState::Done { output: kept, .. } = &step.state else { continue };
            let number: usize = step.key.as_str().strip_prefix("page-").unwrap().parse().unwrap();
            let bytes = journal.output(&task(), kept).await.map_err(|error| error.to_string())?;
            if bytes != output(number) {
                return Err(format!("the output of {} is another", step.key));
            }
        }
        let more = Event::Started { key: StepKey::parse("page-more").unwrap(), effect: Effect::Once, input: None };
        claim.append(now(), vec![more]).await.map_err(|error| format!("does not go on: {error}"))?;
        let seen = journal.read(&task()).await.map_err(|error| format!("afterwards: {error}"))?.unwrap();
        if seen == *claim.view().read().unwrap() { Ok(()) } else { Err("afterwards it tells otherwise".to_owned()) }
    })
}

/// In memory where there is such a place: nothing here depends on a disk.
fn folder() -> tempfile::TempDir {
    let memory = Path::new("/dev/shm");
    if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() }.unwrap()
}

/// A store without tasks, as every case begins.
fn made(folder: &Path) -> PathBuf {
    let home = folder.join("home");
    drop(open(&home));
    home
}

fn copied(from: &Path, to: &Path) {
    std::fs::DirBuilder::new().mode(0o700).recursive(true).create(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap().map(Result::unwrap) {
        let there = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copied(&entry.path(), &there);
        } else {
            std::fs::copy(entry.path(), &there).unwrap();
        }
    }
}

/// The operations of a child, from the first that has to do with the journal on.
fn recorded(faults: &Faults, folder: &Path, home: &Path) -> Vec<Operation> {
    let log = folder.join("log");
    let mut child = support::child(home);
    faults.put_into(&mut child, home, None, Some(&log));
    assert!(child.env("FAULTS_DATA", "1").output().unwrap().status.success());
    read_log(&log, true).unwrap()
}

fn concerns_the_journal(operation: &Operation) -> bool {
    operation.path.starts_with("tasks") || operation.path.contains("task-harvest")
}

fn is_of_the_journal(operation: &Operation) -> bool {
    operation.path.ends_with(".journal")
}

#[test]
fn t3_whatever_fails_at_whatever_operation_no_entry_is_lost_or_comes_back() {
    let folder = folder();
    let faults = Faults::build(folder.path());
    let template = made(&folder.path().join("template"));
    let probe = folder.path().join("probe/home");
    copied(&template, &probe);
    let operations = recorded(&faults, folder.path(), &probe);
    assert!(read_told(probe.parent().unwrap()).values().all(|kept| *kept), "without a fault all is durable");
    let cases: Vec<(u64, Kind)> = operations
        .iter()
        .filter(|operation| concerns_the_journal(operation))
        .flat_map(|operation| {
            Kind::EACH.into_iter().filter(|kind| kind.applies_to(operation)).map(|k| (operation.number, k))
        })
        .collect();
    assert!(cases.len() > 300, "{}", cases.len());
    let lanes = std::thread::available_parallelism().map_or(2, usize::from) * 2;
    let wrong: Vec<String> = std::thread::scope(|scope| {
        let lane = |lane: usize| {
            let (cases, faults, folder, template) = (&cases, &faults, folder.path(), &template);
            move || {
                let own = cases.iter().enumerate().filter(|(number, _)| number % lanes == lane);
                own.filter_map(|(number, (at, kind))| {
                    let home = folder.join(format!("case-{number}/home"));
                    copied(template, &home);
                    let mut child = support::child(&home);
                    faults.put_into(&mut child, &home, Some((*at, *kind)), None);
                    let output = child.output().unwrap();
                    let parent = home.parent().unwrap();
                    let judged = match kind.kills() || output.status.success() {
                        // A disk that fails from here on cannot be told to forget, either.
                        true => judge(&home, &read_told(parent), !kind.kills() && !kind.lasts()),
                        false => Err(String::from_utf8_lossy(&output.stdout).into_owned()),
                    };
                    std::fs::remove_dir_all(parent).unwrap();
                    Some(format!("operation {at}, {kind:?}: {}", judged.err()?))
                })
                .collect::<Vec<_>>()
            }
        };
        let lanes: Vec<_> = (0..lanes).map(|number| scope.spawn(lane(number))).collect();
        lanes.into_iter().flat_map(|lane| lane.join().unwrap()).collect()
    });
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), cases.len(), wrong[..wrong.len().min(12)].join("\n"));
    println!("{} faults", cases.len());
}

/// Puts down what a power cut at this moment may leave, for every subset of what was not synced.
fn images_of(disk: &Disk, home: &Path, template: &Path, mut judge: impl FnMut()) -> usize {
    let subsets = subsets(disk.unsynced());
    for reached in &subsets {
        let _absent_at_first = std::fs::remove_dir_all(home);
        copied(template, home);
        for (name, content) in disk.image(reached) {
            let path = home.join(name);
            std::fs::DirBuilder::new().mode(0o700).recursive(true).create(path.parent().unwrap()).unwrap();
            let mut file =
                std::fs::OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(path).unwrap();
            file.write_all(&content).unwrap();
        }
        judge();
    }
    subsets.len()
}

/// The disk at each moment of a recorded run, with every subset of what was not synced.
fn power_cuts(operations: &[Operation], home: &Path, template: &Path) -> (usize, Vec<String>) {
    let (mut disk, mut told, mut images, mut wrong) = (Disk::default(), Told::new(), 0, Vec::new());
    let ours = operations.iter().filter(|operation| operation.path.starts_with("tasks"));
    let mut look = |disk: &Disk, told: &Told, moment: u64| {
        images += images_of(disk, home, template, || {
            wrong.extend(judge(home, told, false).err().map(|why| format!("before operation {moment}: {why}")));
        });
    };
    let mut appended = 0;
    for operation in ours {
        if operation.name == "sync" {
            look(&disk, &told, operation.number);
        }
        disk.apply(operation);
        // A frame's own sync is what makes an entry durable; the first is the opening.
        if operation.name == "write" && operation.path.ends_with(".journal") && operation.data.iter().any(|b| *b != 0) {
            appended += 1;
        }
        if operation.name == "sync" && operation.path.ends_with(".journal") && appended > 1 {
            let entry = appended - 2;
            told.insert(format!("{} {}", if entry % 2 == 0 { "started" } else { "done" }, entry / 2), true);
        }
    }
    look(&disk, &told, u64::MAX);
    (images, wrong)
}

fn subsets(count: usize) -> Vec<Vec<bool>> {
    let bits = count.min(8);
    let each = |bits: usize| (0..count).map(|bit| bits >> (bit % 8) & 1 == 1).collect();
    (0..1_usize << bits).map(each).collect()
}

#[test]
fn t4_after_a_power_cut_every_acknowledged_entry_is_there_and_the_next_runner_goes_on() {
    let folder = folder();
    let faults = Faults::build(folder.path());
    let template = made(&folder.path().join("template"));
    let probe = folder.path().join("probe/home");
    copied(&template, &probe);
    let operations = recorded(&faults, folder.path(), &probe);
    let image = folder.path().join("image/home");
    let (images, wrong) = power_cuts(&operations, &image, &template);
    println!("{images} images");
    assert!(images > 60, "{images}");
    assert!(wrong.is_empty(), "{} of {images}:\n{}", wrong.len(), wrong[..wrong.len().min(12)].join("\n"));
}

/// The next runner writes behind what a killed one did not come to sync: the power cut that keeps the second
/// and loses the first must not be taken for damage.
#[test]
fn t4_a_power_cut_soon_after_a_kill_tears_nothing_between_two_runners() {
    let folder = folder();
    let faults = Faults::build(folder.path());
    let template = made(&folder.path().join("template"));
    let probe = folder.path().join("probe/home");
    copied(&template, &probe);
    let syncs: Vec<u64> = recorded(&faults, folder.path(), &probe)
        .iter()
        .filter(|operation| operation.name == "sync" && is_of_the_journal(operation))
        .map(|operation| operation.number)
        .collect();
    let (mut images, mut wrong) = (0, Vec::new());
    for sync in &syncs {
        let home = folder.path().join(format!("killed-{sync}/home"));
        copied(&template, &home);
        let mut operations = Vec::new();
        for fault in [Some((*sync, Kind::CrashBefore)), None] {
            let log = folder.path().join(format!("log-{sync}-{}", fault.is_some()));
            let mut child = support::child(&home);
            faults.put_into(&mut child, &home, fault, Some(&log));
            assert_eq!(child.env("FAULTS_DATA", "1").output().unwrap().status.success(), fault.is_none());
            let mut done = read_log(&log, true).unwrap();
            if fault.is_some() {
                // The sync before which it was killed is in its log, and was not made.
                assert_eq!(done.pop().unwrap().number, *sync);
            }
            operations.push(done);
        }
        let [killed, next] = operations.as_slice() else { panic!() };
        // What the next runner does before anything of its own is durable: afterwards nothing is left to tear.
        let opening = next.iter().position(|operation| operation.name == "write" && is_of_the_journal(operation));
        let opened =
            opening.and_then(|at| next[at..].iter().position(|each| each.name == "sync").map(|more| at + more));
        // Which entries are there is the concern of others: whatever they are, it opens and goes on.
        let may_be = (0..LENGTHS.len()).flat_map(|number| [format!("started {number}"), format!("done {number}")]);
        let told = may_be.map(|name| (name, false)).collect();
        let mut disk = Disk::default();
        let ours = |operation: &&Operation| operation.path.starts_with("tasks");
        killed.iter().filter(ours).for_each(|operation| disk.apply(operation));
        for operation in next[..=opened.unwrap()].iter().filter(ours) {
            if operation.name == "sync" {
                let image = folder.path().join("image/home");
                images += images_of(&disk, &image, &template, || {
                    let why = judge(&image, &told, false).err();
                    wrong
                        .extend(why.map(|why| format!("killed before {sync}, cut before {}: {why}", operation.number)));
                });
            }
            disk.apply(operation);
        }
    }
    println!("{} kills, {images} images", syncs.len());
    assert!(images > 60, "{images}");
    assert!(wrong.is_empty(), "{} of {images}:\n{}", wrong.len(), wrong[..wrong.len().min(12)].join("\n"));
}

/// The proof of the proof: a journal whose syncs are left out does not pass.
#[test]
fn t4_a_sync_that_is_left_out_is_noticed() {
    let folder = folder();
    let faults = Faults::build(folder.path());
    let template = made(&folder.path().join("template"));
    let probe = folder.path().join("probe/home");
    copied(&template, &probe);
    let operations = recorded(&faults, folder.path(), &probe);
    let mut last = 0;
    for left_out in [".journal", "tasks", ".outputs"] {
        let mut kept = operations.clone();
        // The entry is told as durable all the same: the sync reaches nothing.
        kept.iter_mut().filter(|each| each.name == "sync" && each.path.ends_with(left_out)).for_each(|each| {
            each.changes = false;
        });
        let (_, wrong) = power_cuts(&kept, &folder.path().join("image/home"), &template);
        assert!(!wrong.is_empty(), "nothing depends on syncing {left_out}");
        last += wrong.len();
    }
    assert!(last > 3);
}
