//! The renewal keeps its promises in every state that can be reached, and a renewal with a guard less
//! does not (T8).

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "prints how far it went")]

use outlast_model::checker::{Bounds, Counterexample, Found, search};
use outlast_model::event::{Mutant, Sight};
use outlast_model::promise::{Promise, Window};
use outlast_model::protocol::Renewal;
use outlast_model::world::Faults;
use std::collections::BTreeSet;

const ALL: Bounds = Bounds { states_max: 2_000_000, without_circles: true };
const STRICT: u32 = 0;
const GRACE_OF_A_MINUTE: u32 = 60_000;

/// Searches all of it; that there is no circle shows that L1 is reached on every path and not only
/// on some.
fn whole(renewal: &Renewal) -> Found<Sight> {
    let found = search(renewal, ALL);
    if let Some(Counterexample { broken, steps }) = &found.counterexample {
        panic!("{broken}\n  {}", steps.join("\n  "));
    }
    assert!(found.whole, "{} states were not enough", found.states);
    println!("{} states, {} steps, at most {} deep", found.states, found.steps, found.depth);
    assert!(found.sights.contains_key(&Sight::Finished) && found.sights.contains_key(&Sight::Adopted));
    found
}

fn windows(found: &Found<Sight>) -> BTreeSet<Window> {
    let revoked = |sight: &Sight| match sight {
        Sight::Revoked(window) => Some(*window),
        Sight::Adopted | Sight::Finished | Sight::LostRotationSaid | Sight::Recovered | Sight::StoppedHolder => None,
    };
    found.sights.keys().filter_map(revoked).collect()
}

#[test]
fn without_faults_three_processes_lose_nothing() {
    assert_eq!(windows(&whole(&Renewal::new(STRICT, Faults::NONE, 3))), BTreeSet::new());
}

#[test]
fn processes_that_are_stopped_and_woken_lose_nothing_while_they_keep_their_locks() {
    let faults = Faults { stops: 2, ..Faults::NONE };
    let found = whole(&Renewal::new(STRICT, faults, 3));
    assert_eq!(windows(&found), BTreeSet::new());
    assert!(found.sights.contains_key(&Sight::StoppedHolder));
    let deaf = search(&Renewal::new(STRICT, faults, 3).without(Mutant::NoAnswerAfterWaking), ALL);
    assert!(windows(&deaf).contains(&Window::AnswerLost), "an answer that lies there when its receiver wakes is lost");
}

#[test]
fn a_strict_server_takes_a_family_only_in_the_one_window_and_the_person_is_told() {
    for faults in [
        Faults { crashes: 2, ..Faults::NONE },
        Faults { crashes: 1, losses: 1, copies: 1, ..Faults::NONE },
        Faults { crashes: 1, stops: 1, losses: 1, ..Faults::NONE },
    ] {
        let found = whole(&Renewal::new(STRICT, faults, 2));
        assert_eq!(windows(&found), BTreeSet::from([Window::AnswerLost, Window::LateRequest]), "{faults:?}");
        assert!(found.sights.contains_key(&Sight::LostRotationSaid));
    }
}

#[test]
fn a_server_with_a_grace_of_a_minute_takes_no_family() {
    for faults in
        [Faults { crashes: 1, losses: 1, copies: 1, ..Faults::NONE }, Faults { crashes: 2, losses: 1, ..Faults::NONE }]
    {
        let found = whole(&Renewal::new(GRACE_OF_A_MINUTE, faults, 2));
        assert_eq!(windows(&found), BTreeSet::new(), "{faults:?}");
        assert!(found.sights.contains_key(&Sight::Recovered), "an answer that was lost is asked for again");
    }
}

#[test]
fn f13_where_the_lock_is_taken_from_a_stopped_holder_nothing_is_overwritten() {
    for faults in
        [Faults { crashes: 1, stops: 1, thefts: 1, ..Faults::NONE }, Faults { stops: 2, thefts: 2, ..Faults::NONE }]
    {
        let windows = windows(&whole(&Renewal::new(STRICT, faults, 2)));
        assert!(windows.contains(&Window::LockTaken), "{windows:?}");
    }
}

#[test]
fn f11_a_lock_that_is_taken_costs_a_family_only_between_the_last_look_at_it_and_the_first_byte() {
    let renewal = || {
        let mut renewal = Renewal::new(STRICT, Faults { stops: 1, thefts: 1, ..Faults::NONE }, 2);
        renewal.stops_after_check = false;
        renewal
    };
    let found = whole(&renewal());
    assert!(!windows(&found).contains(&Window::LockTaken), "{:?}", windows(&found));
    let blind = search(&renewal().without(Mutant::NoCheckBeforeSending), ALL);
    assert!(windows(&blind).contains(&Window::LockTaken));
}

fn broken_without(guard: Mutant, faults: Faults) -> Counterexample {
    let renewal = Renewal::new(STRICT, faults, 2).without(guard);
    let found = search(&renewal, ALL);
    let counterexample = found.counterexample;
    let counterexample =
        counterexample.unwrap_or_else(|| panic!("{guard:?} is not noticed in {} states", found.states));
    println!("{guard:?} after {}: {}", counterexample.steps.len(), counterexample.broken);
    assert!(counterexample.steps.len() < 30);
    counterexample
}

#[test]
fn each_guard_that_is_left_out_breaks_a_promise() {
    let crash = Faults { crashes: 1, ..Faults::NONE };
    let theft = Faults { stops: 1, thefts: 1, ..Faults::NONE };
    let stop = Faults { stops: 1, ..Faults::NONE };
    for (guard, faults, promise) in [
        (Mutant::LeaseEndsBeforeSending, Faults { crashes: 1, ..stop }, Promise::S4),
        (Mutant::LeaseOutlivesHolder, crash, Promise::L1),
        (Mutant::NoCompareAndSwap, theft, Promise::S5),
        (Mutant::NoFence, theft, Promise::S5),
        (Mutant::NoIntent, crash, Promise::S1),
        (Mutant::NoSecondRead, crash, Promise::S1),
        (Mutant::PublishBeforePersist, crash, Promise::S2),
    ] {
        assert_eq!(broken_without(guard, faults).broken.promise, promise, "{guard:?}");
    }
}

#[test]
fn the_search_of_the_protocol_is_no_small_one() {
    let faults = Faults { crashes: 1, losses: 1, copies: 1, ..Faults::NONE };
    assert!(whole(&Renewal::new(STRICT, faults, 2)).states >= 100_000);
}
