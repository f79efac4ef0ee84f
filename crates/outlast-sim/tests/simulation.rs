//! The promises hold in thousands of simulated worlds, and each world is the same every time.
#![allow(clippy::unwrap_used, clippy::print_stdout, missing_docs)]

use outlast_sim::{Defect, Fault, catch, lost_answers, outage, replay, run, run_all, storm};
use std::time::Duration;

/// What is run before a change is taken in; OUTLAST_WORLDS asks for more, as at night.
const WORLDS: u64 = 2000;
const HOURS: u64 = 8;
/// Worlds run on as many threads.
const THREADS: usize = 2;

#[test]
#[expect(clippy::disallowed_methods, reason = "how long the simulation itself takes")]
fn no_promise_is_broken_in_any_world_and_every_kind_of_fault_took_effect() {
    let asked = std::env::var("OUTLAST_WORLDS").ok();
    let worlds = asked.map_or(WORLDS, |number| number.parse().expect("OUTLAST_WORLDS is a number"));
    let began = std::time::Instant::now();
    let summary = run_all(0..worlds, HOURS, THREADS);
    println!("{}", summary.describe(HOURS, began.elapsed()));
    for (seed, violation) in &summary.violations {
        println!("seed {seed}: {violation}\n    {}", replay(*seed, HOURS));
    }
    assert!(summary.violations.is_empty(), "{} promises are broken", summary.violations.len());
    let missed = summary.missed();
    assert!(missed.len() * 10 <= Fault::ALL.len(), "these faults never took effect: {missed:?}");
    assert!(summary.counts.renewals > summary.worlds * 50, "{:?}", summary.counts);
    assert!(summary.counts.steps > summary.worlds * 20 && summary.counts.decisions > 0, "{:?}", summary.counts);
}

#[test]
fn a_seed_is_the_same_world_every_time() {
    for seed in [0, 1, 2, 3, 5, 8, 13, 21, 34, 55] {
        let [first, second] = [run(seed, 2, true), run(seed, 2, true)];
        let parted = first.trace.iter().zip(&second.trace).position(|(one, other)| one != other);
        let near = parted.map(|at| (&first.trace[at], &second.trace[at]));
        assert_eq!((first.hash, None), (second.hash, near), "seed {seed}");
        assert!(first.trace.len() > 100, "seed {seed}: hardly anything happens");
    }
}

#[test]
fn other_seeds_are_other_worlds() {
    let hashes: std::collections::BTreeSet<_> = (0..20).map(|seed| run(seed, 1, false).hash).collect();
    assert_eq!(hashes.len(), 20);
}

#[test]
fn the_line_that_runs_a_seed_again_names_it() {
    assert!(replay(7, 8).contains("--seed 7 --hours 8"));
}

#[test]
fn d4_answers_lost_in_forty_renewals_in_a_row_cost_no_login_where_there_is_a_minute_of_grace() {
    let measured = lost_answers(40);
    println!("40 renewals in a row whose answers were lost: {measured:?}");
    assert_eq!((measured.logins, measured.violation), (0, None));
}

#[test]
fn d12_a_thousand_tasks_at_a_resource_that_refuses_everything_cost_four_token_requests_in_half_an_hour() {
    let measured = storm(1000, Duration::from_secs(1800));
    println!("1,000 tasks, 30 minutes of 401: {measured:?}");
    assert!(measured.requests <= 4 && measured.violation.is_none(), "{measured:?}");
}

#[test]
fn d12_an_hour_of_outage_costs_75_requests_for_all_grants_and_processes_and_ends_within_90_seconds() {
    let measured = outage(5, 4);
    println!("a server that is down for an hour, 5 grants, 4 processes: {measured:?}");
    assert!(measured.requests <= 75, "{measured:?}");
    assert!(measured.healed_after <= Duration::from_secs(90), "{measured:?}");
    assert_eq!((measured.logins, measured.violation), (0, None));
}

#[test]
fn every_planted_defect_breaks_a_promise_in_the_world_of_some_seed() {
    for defect in Defect::ALL {
        let caught = catch(defect, 0..300, HOURS);
        println!("{defect:?}: {caught:?}");
        assert!(caught.is_some(), "{defect:?} is noticed in no world");
    }
}
