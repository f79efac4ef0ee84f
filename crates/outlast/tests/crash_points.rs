//! T3: a renewal in a process of its own, with a fault at every single storage operation, judged by a
//! strict server in another process; then a second fault at every operation of the recovery.

#![allow(clippy::disallowed_methods, reason = "it measures itself")]
#![allow(clippy::unwrap_used, missing_docs)]

#[path = "crash/world.rs"]
mod world;

use outlast::{Cause, Code, Standing};
use outlast_testkit::faults::{Kind, Operation};
use std::collections::BTreeMap;
use std::fmt::Debug;
use std::io::Write;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;
use world::{Case, Failure, Told, World};

/// Cases that are under way at once: they wait for one another's processes more than for a processor.
const LANES: usize = 12;
/// Set to 1, the second crashes are in the middle of each write too.
const NIGHTLY: &str = "OUTLAST_NIGHTLY";

/// Not a test by itself: the process that the cases start.
#[test]
fn child() {
    world::child();
}

/// What became of a case.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Fate {
    /// The newest token set is held, and the family alive.
    Kept,
    /// The server had rotated, and nothing of it was durable: said in words.
    Lost,
    /// The same after a process had said that what it served was not on disk.
    LostAsSaid,
}

/// What the store held when everything had gone wrong, and what a healthy process made of it.
fn judge(world: &World, case: &Case, told: &[Told]) -> Result<Fate, String> {
    let held = world.record(case)?;
    let durable = world.whole(case, &held)?;
    let mut said_unpersisted = false;
    for process in told {
        said_unpersisted |= process.unpersisted;
        let Some(token) = &process.published else { continue };
        let published = world.rotation(case, token)?;
        // S2.
        if published > durable && !process.unpersisted && process.ended {
            return Err(format!("token set {published} was published, and {durable} is what is left"));
        }
        if published > durable && !process.ended && !process.in_memory {
            return Err(format!("token set {published} was published before it was durable; {durable} is left"));
        }
    }
    let before = world.judge.seen(&case.family);
    let recovered = world.recover(case);
    let after = world.judge.seen(&case.family);
    if after.reuses > 1 {
        return Err(format!("a spent token was sent {} times", after.reuses));
    }
    match recovered {
        Ok(token) => kept(world, case, &token, durable, (&held, before.requests, after.requests)),
        Err(failure) => lost(world, case, &failure, durable, before.rotation, said_unpersisted),
    }
}

fn kept(
    world: &World,
    case: &Case,
    token: &str,
    durable: u64,
    (held, asked_before, asked_after): (&outlast::Grant, u64, u64),
) -> Result<Fate, String> {
    let (served, seen) = (world.rotation(case, token)?, world.judge.seen(&case.family));
    let written = world.whole(case, &world.record(case)?)?;
    if !seen.alive || served != seen.rotation || written != served {
        return Err(format!("token set {served} is served, {written} is written, the server says {seen:?}"));
    }
    // F05: what is durable and current is used, and nobody asked.
    if durable > 0 && held.standing == Standing::Live && asked_after != asked_before {
        return Err("the token set was there, and another was asked for".to_owned());
    }
    Ok(Fate::Kept)
}

fn lost(
    world: &World,
    case: &Case,
    failure: &Failure,
    durable: u64,
    rotated: u64,
    said_unpersisted: bool,
) -> Result<Fate, String> {
    let unavoidable = rotated == durable + 1;
    let said = failure.cause == Some(Cause::LostRotation) && failure.code == Code::LostRotation;
    if !unavoidable || !said {
        return Err(format!("{failure:?} with token set {durable} of {rotated} in the store"));
    }
    let held = world.record(case)?;
    if !matches!(held.standing, Standing::Parked { cause: Cause::LostRotation, .. }) || held.trouble.is_none() {
        return Err(format!("a lost rotation is not written down: {:?}", held.standing));
    }
    Ok(if said_unpersisted { Fate::LostAsSaid } else { Fate::Lost })
}

/// Does `each` for every case, on several threads; panics with all that is wrong.
fn for_all<C: Debug + Sync>(cases: &[C], each: impl Fn(&C) -> Result<Fate, String> + Sync) -> Vec<Fate> {
    let (next, found) = (AtomicUsize::new(0), Mutex::new(BTreeMap::new()));
    std::thread::scope(|scope| {
        for _ in 0..LANES {
            scope.spawn(|| {
                loop {
                    let index = next.fetch_add(1, Ordering::Relaxed);
                    let Some(case) = cases.get(index) else { return };
                    let fate = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| each(case)))
                        .unwrap_or_else(|_| Err("panicked".to_owned()));
                    found.lock().unwrap().insert(index, fate);
                }
            });
        }
    });
    let found = found.into_inner().unwrap();
    let wrong: Vec<_> = found
        .iter()
        .filter_map(|(index, fate)| Some(format!("{:?}: {}", cases[*index], fate.as_ref().err()?)))
        .collect();
    assert!(wrong.is_empty(), "{} of {} cases:\n{}", wrong.len(), cases.len(), wrong.join("\n"));
    found.into_values().map(Result::unwrap).collect()
}

/// The figures of the run; not by a print macro, which the harness would swallow.
fn print(what: &str, fates: &[Fate], began: Instant) {
    let count = |fate| fates.iter().filter(|each| **each == fate).count();
    let _best_effort = writeln!(
        std::io::stderr(),
        "{what}: {} cases, {} kept, {} lost in the one window, {} lost as was said, {} s",
        fates.len(),
        count(Fate::Kept),
        count(Fate::Lost),
        count(Fate::LostAsSaid),
        began.elapsed().as_secs()
    );
}

fn singles(operations: &[Operation]) -> Vec<(u64, Kind)> {
    let each = operations.iter().flat_map(|operation| {
        Kind::EACH.into_iter().filter(|kind| kind.applies_to(operation)).map(|kind| (operation.number, kind))
    });
    each.collect()
}

/// Crashes that differ in what they leave on the disk: before each change and after each sync, where the
/// next thing that happens may be a request. Reads and locks between two changes leave what these do.
fn crashes(operations: &[Operation]) -> Vec<(u64, Kind)> {
    let thorough = std::env::var(NIGHTLY).is_ok_and(|value| value == "1");
    let differs = |operation: &Operation| {
        let mut kinds = Vec::new();
        kinds.extend(operation.changes.then_some(Kind::CrashBefore));
        kinds.extend((operation.name == "sync").then_some(Kind::CrashAfter));
        kinds.extend((thorough && Kind::ShortCrash.applies_to(operation)).then_some(Kind::ShortCrash));
        kinds
    };
    let each =
        operations.iter().flat_map(|operation| differs(operation).into_iter().map(|kind| (operation.number, kind)));
    each.collect()
}

#[test]
fn t3_a_fault_at_any_storage_operation_of_a_renewal_loses_nothing_outside_the_one_window() {
    let (world, began) = (World::new(), Instant::now());
    let operations = world.operations(&world.case(), |world, case, log| world.run(case, None, log));
    let cases = singles(&operations);
    let fates = for_all(&cases, |(number, kind)| {
        let case = world.case();
        let told = world.run(&case, Some((*number, *kind)), None);
        judge(&world, &case, &[told])
    });
    print("one fault in a renewal", &fates, began);
    let lost_to = |wanted: fn(Kind) -> bool| {
        let lost = cases.iter().zip(&fates).filter(move |((_, kind), fate)| wanted(*kind) && **fate != Fate::Kept);
        lost.map(|((number, _), _)| *number).collect::<Vec<_>>()
    };
    // The window is one stretch, from the answer to the end of the commit. Two threads take part, so an
    // operation may come earlier in one run than in another, and more of them do while the machine is busy.
    let lost = lost_to(|kind| kind == Kind::CrashBefore);
    let (first, last) = (*lost.first().unwrap(), *lost.last().unwrap());
    assert!(last - first + 1 - lost.len() as u64 <= lost.len() as u64 / 4, "{lost:?}");
    assert!(last - first < operations.len() as u64 / 3, "{lost:?}");
    assert_eq!(lost_to(|kind| !kind.kills() && !kind.lasts()), [] as [u64; 0], "a fault that passes loses nothing");
    assert_eq!(lost_to(|kind| kind == Kind::FullOn), [] as [u64; 0], "nor does a full disk (F20)");
    let _best_effort =
        writeln!(std::io::stderr(), "the window of F04: operations {first} to {last} of {}", operations.len());
}

#[test]
fn t3_a_second_crash_at_any_storage_operation_of_the_recovery_changes_nothing() {
    let (world, began) = (World::new(), Instant::now());
    let operations = world.operations(&world.case(), |world, case, log| world.run(case, None, log));
    let mut cases = Vec::new();
    for first in crashes(&operations) {
        let case = world.case();
        world.run(&case, Some(first), None);
        let recovery = world.operations(&case, |world, case, log| world.run(case, None, log));
        cases.extend(crashes(&recovery).into_iter().map(|second| (first, second)));
    }
    let fates = for_all(&cases, |(first, second)| {
        let case = world.case();
        let told = [world.run(&case, Some(*first), None), world.run(&case, Some(*second), None)];
        judge(&world, &case, &told)
    });
    print("a second crash in the recovery", &fates, began);
    assert!(cases.len() >= 2000, "{}", cases.len());
}

#[test]
fn t3_a_fault_at_any_storage_operation_of_the_first_import_leaves_no_store_or_a_whole_one() {
    let (world, began) = (World::new(), Instant::now());
    let operations = world.operations(&world.empty_case(), |world, case, log| world.import(case, None, log));
    let cases = singles(&operations);
    let fates = for_all(&cases, |(number, kind)| {
        let case = world.empty_case();
        let told = world.import(&case, Some((*number, *kind)), None);
        let held = world.record_if_any(&case)?;
        match &held {
            Some(held) => drop(world.whole(&case, held)?),
            None if told.published.is_some() => return Err("an import was acknowledged and is gone".to_owned()),
            None => {}
        }
        let again = world.import(&case, None, None);
        let held = world.record(&case)?;
        if again.published.is_none() || held.tokens.is_none() {
            return Err(format!("a second import fails: {again:?}"));
        }
        Ok(Fate::Kept)
    });
    print("one fault in the first import", &fates, began);
}
