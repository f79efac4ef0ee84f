//! T4: what a power cut may leave. A process keeps records and tells which are durable; every write and
//! sync of it is recorded. Then, for each moment, the disk is rebuilt with every subset of what was not
//! synced yet, and opened.

#![allow(clippy::disallowed_methods, reason = "children are told by environment; the images are written here")]
#![allow(clippy::unwrap_used, missing_docs)]

#[path = "power_loss/disk.rs"]
mod disk;
mod support;

use disk::{Disk, Image};
use outlast_core::{Generation, Grant, Secret, TokenStore};
use outlast_store::{KeySource, SqliteStore, read_grant, rotate_key};
use outlast_testkit::faults::{Faults, Operation, read_log};
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;
use std::sync::Arc;
use support::{grant, id, open, put, runtime, told_home};

/// The file by which the child tells what is durable; not part of any image.
const ACKNOWLEDGED: &str = "acknowledged";
/// The generations that are written, and the length of the access token in each: records that grow, so that
/// pages are taken and given back, and the journal holds many of them.
const LENGTHS: [usize; 12] = [10, 20, 10, 6_000, 10, 30_000, 30_001, 10, 9_000, 12, 60_000, 10];
/// Up to so many things that are not synced, every subset is tried; else [`SAMPLES`].
const EXHAUSTIVE_MAX: usize = 10;
const SAMPLES: usize = 1000;
/// Every so many images, the store is opened for writing too and carries on.
const CARRY_ON_EVERY: usize = 16;
/// In the environment of a child: the generation after which it changes the store's key, before it writes one more.
const ROTATES_AFTER: &str = "OUTLAST_TEST_CHILD_ROTATES_AFTER";

fn record(generation: u64) -> Grant {
    let mut record = grant("crm", generation);
    let length = LENGTHS[generation as usize - 1];
    record.tokens.as_mut().unwrap().access = Secret::new(format!("{generation}-{}", "x".repeat(length)));
    record
}

/// Not a test by itself: keeps one generation after the other, and tells each once it is durable.
#[test]
fn child() {
    let Some(home) = told_home() else { return };
    let store = open(&home);
    let mut acknowledged = std::fs::File::create(home.join(ACKNOWLEDGED)).unwrap();
    let rotates_after: Option<u64> = std::env::var(ROTATES_AFTER).ok().map(|number| number.parse().unwrap());
    runtime().block_on(async {
        for generation in 1..=rotates_after.map_or(LENGTHS.len() as u64, |last| last + 1) {
            put(&store, generation - 1, &record(generation)).await.unwrap();
            acknowledged.write_all(&[generation as u8]).unwrap();
            if rotates_after == Some(generation) {
                rotate_key(&home, &KeySource::File).unwrap();
            }
        }
    });
}

fn recorded(folder: &Path, rotates_after: Option<u64>) -> Vec<Operation> {
    let (home, log) = (folder.join("home"), folder.join("log"));
    let mut child = support::child(&home);
    child.envs(rotates_after.map(|generation| (ROTATES_AFTER, generation.to_string())));
    Faults::build(folder).put_into(&mut child, &home, None, Some(&log));
    assert!(child.env("FAULTS_DATA", "1").output().unwrap().status.success());
    read_log(&log, true).unwrap()
}

/// What may be left at one moment, and the newest generation that had been told to be durable by then.
struct Case {
    disk: Arc<Disk>,
    reached: Vec<bool>,
    acknowledged: u64,
    moment: u64,
}

/// What may be left at any moment.
fn cases(operations: &[Operation]) -> Vec<Case> {
    let (mut disk, mut acknowledged, mut cases) = (Disk::default(), 0, Vec::new());
    let mut add = |disk: &Disk, acknowledged: u64, moment: u64| {
        let all = Arc::new(disk.clone());
        let case = |reached| Case { disk: Arc::clone(&all), reached, acknowledged, moment };
        cases.extend(subsets(disk.unsynced(), moment).into_iter().map(case));
    };
    for operation in operations {
        if operation.path == ACKNOWLEDGED {
            acknowledged = operation.data.first().map_or(acknowledged, |generation| u64::from(*generation));
            continue;
        }
        // What is not synced only grows until a sync: what a power cut at an earlier moment leaves is among
        // the subsets of the last one before it.
        if operation.name == "sync" {
            add(&disk, acknowledged, operation.number);
        }
        disk.apply(operation);
    }
    add(&disk, acknowledged, u64::MAX);
    cases
}

/// Which of `count` things have reached the disk: all subsets, or the extreme ones and a sample.
fn subsets(count: usize, seed: u64) -> Vec<Vec<bool>> {
    if count <= EXHAUSTIVE_MAX {
        return (0..1_usize << count).map(|bits| (0..count).map(|bit| bits >> bit & 1 == 1).collect()).collect();
    }
    let mut chosen = Vec::new();
    for one in 0..count {
        chosen.push((0..count).map(|each| each == one).collect());
        chosen.push((0..count).map(|each| each != one).collect());
        chosen.push((0..count).map(|each| each <= one).collect());
        chosen.push((0..count).map(|each| each > one).collect());
    }
    // SplitMix64: the same sample in every run.
    let mut state = seed;
    let mut random = || {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    };
    while chosen.len() < SAMPLES {
        chosen.push((0..count).map(|_| random() & 1 == 1).collect());
    }
    chosen
}

fn write(image: &Image, home: &Path) {
    let _absent_at_first = std::fs::remove_dir_all(home);
    std::fs::DirBuilder::new().mode(0o700).create(home).unwrap();
    for (name, content) in image {
        let mut file =
            std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(home.join(name)).unwrap();
        file.write_all(content).unwrap();
    }
}

/// What a restart finds: the durable record or the next one, whole.
fn judge(case: &Case, home: &Path, carries_on: bool) -> Result<(), String> {
    write(&case.disk.image(&case.reached), home);
    let found = read_grant(home, &KeySource::File, &id("crm")).map_err(|error| format!("does not open: {error}"))?;
    let generation = found.as_ref().map_or(0, |found| found.generation.0);
    if generation < case.acknowledged || generation > case.acknowledged + 1 {
        return Err(format!("generation {generation} after {} was durable", case.acknowledged));
    }
    if found.is_some_and(|found| found != record(generation)) {
        return Err(format!("generation {generation} opens and is not what was written"));
    }
    if carries_on { carry_on(home, generation) } else { Ok(()) }
}

fn carry_on(home: &Path, generation: u64) -> Result<(), String> {
    let store = SqliteStore::open(home, KeySource::File).map_err(|error| format!("does not open: {error}"))?;
    let next = grant("crm", generation + 1);
    runtime().block_on(async {
        put(&store, generation, &next).await.map_err(|error| format!("does not carry on: {error}"))?;
        let found = store.load(&id("crm")).await.map_err(|error| format!("does not read: {error}"))?;
        if found.as_ref() == Some(&next) && found.is_some_and(|found| found.generation == Generation(generation + 1)) {
            Ok(())
        } else {
            Err("does not keep".to_owned())
        }
    })
}

/// What is wrong with the cases, each with its reason.
fn wrong_of(cases: &[Case], folder: &Path) -> Vec<String> {
    let lanes = std::thread::available_parallelism().map_or(2, usize::from);
    let lane = |lane: usize| {
        let home = folder.join(format!("image-{lane}"));
        move || {
            let own = cases.iter().enumerate().filter(|(number, _)| number % lanes == lane);
            let judged = own.filter_map(|(number, case)| {
                let why = judge(case, &home, (number / lanes).is_multiple_of(CARRY_ON_EVERY)).err()?;
                Some(format!("image {number}, before operation {}: {why}", case.moment))
            });
            judged.collect::<Vec<_>>()
        }
    };
    std::thread::scope(|scope| {
        let lanes: Vec<_> = (0..lanes).map(|number| scope.spawn(lane(number))).collect();
        lanes.into_iter().flat_map(|lane| lane.join().unwrap()).collect()
    })
}

/// In memory where there is such a place: nothing here depends on a disk.
fn folder() -> tempfile::TempDir {
    let memory = Path::new("/dev/shm");
    if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() }.unwrap()
}

#[test]
fn t4_after_a_power_cut_the_durable_record_or_the_next_one_is_there_and_whole() {
    let (folder, began) = (folder(), std::time::Instant::now());
    let cases = cases(&recorded(folder.path(), None));
    let wrong = wrong_of(&cases, folder.path());
    let seconds = began.elapsed().as_secs();
    let _best_effort = writeln!(std::io::stderr(), "power cuts: {} images, {seconds} s", cases.len());
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), cases.len(), wrong[..wrong.len().min(20)].join("\n"));
    assert!(cases.len() >= 5000, "{}", cases.len());
}

/// F26: at any moment of a change of the key, whatever a power cut leaves opens, and the change is ended or was
/// not begun.
#[test]
fn f26_a_power_cut_in_a_change_of_the_key_loses_no_record() {
    let (folder, began) = (folder(), std::time::Instant::now());
    let operations = recorded(folder.path(), Some(3));
    let is_next_made =
        |each: &&Operation| (each.name.as_str(), each.path.as_str()) == ("create", "key-beside-data.new");
    let first = operations.iter().find(is_next_made).unwrap().number;
    let mut during = cases(&operations);
    during.retain(|case| case.moment >= first);
    let wrong = wrong_of(&during, folder.path());
    let seconds = began.elapsed().as_secs();
    let _best_effort =
        writeln!(std::io::stderr(), "power cuts in a change of the key: {} images, {seconds} s", during.len());
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), during.len(), wrong[..wrong.len().min(20)].join("\n"));
    // The proof of the proof, with what would lose everything.
    for left_out in [("write", "key-beside-data.new"), ("sync", "key-beside-data.new"), ("sync", "outlast.db-journal")]
    {
        let is_left_out =
            |each: &&Operation| (each.name.as_str(), each.path.as_str()) == left_out && each.number >= first;
        let without: Vec<_> = operations.iter().filter(|each| !is_left_out(each)).cloned().collect();
        let mut some = cases(&without);
        some.retain(|case| case.moment >= first);
        assert!(!wrong_of(&some, folder.path()).is_empty(), "nothing depends on {left_out:?}");
    }
}

/// The proof of the proof: a process that leaves out one kind of sync does not pass.
#[test]
fn t4_a_sync_that_is_left_out_is_noticed() {
    let folder = folder();
    let operations = recorded(folder.path(), None);
    for left_out in ["outlast.db", "outlast.db-journal", "."] {
        let without: Vec<_> =
            operations.iter().filter(|each| each.name != "sync" || each.path != left_out).cloned().collect();
        // Towards the end, where there is something to lose.
        let mut cases = cases(&without);
        let some = cases.split_off(cases.len().saturating_sub(400));
        assert!(!wrong_of(&some, folder.path()).is_empty(), "nothing depends on syncing {left_out}");
    }
}
