//! The promises hold in thousands of simulated worlds, and each world is the same every time.
#![allow(clippy::unwrap_used, clippy::print_stdout, missing_docs)]

use outlast_sim::{Fault, replay, run, run_all};

/// What is run before a change is taken in; at night it is `--seeds 0..100000`.
const WORLDS: u64 = 400;
const HOURS: u64 = 8;
/// Worlds run on as many threads.
const THREADS: usize = 2;

#[test]
#[expect(clippy::disallowed_methods, reason = "how long the simulation itself takes")]
fn no_promise_is_broken_in_any_world_and_every_kind_of_fault_took_effect() {
    let began = std::time::Instant::now();
    let summary = run_all(0..WORLDS, HOURS, THREADS);
    println!("{}", summary.describe(HOURS, began.elapsed()));
    for (seed, violation) in &summary.violations {
        println!("seed {seed}: {violation}\n    {}", replay(*seed, HOURS));
    }
    assert!(summary.violations.is_empty(), "{} promises are broken", summary.violations.len());
    let missed = summary.missed();
    assert!(missed.len() * 10 <= Fault::ALL.len(), "these faults never took effect: {missed:?}");
    assert!(summary.counts.renewals > summary.worlds * 50, "{:?}", summary.counts);
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
