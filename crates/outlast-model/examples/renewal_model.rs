//! The nightly search: the faults of all kinds at once, as far as a number of states leads.
//!
//! `cargo run --release -p outlast-model --example renewal_model -- 12000000`

use outlast_model::checker::{Bounds, search};
use outlast_model::protocol::Renewal;
use outlast_model::world::Faults;
use std::process::ExitCode;

/// How many states are looked at where nothing is said.
const STATES_MAX: usize = 12_000_000;

#[expect(clippy::print_stdout, reason = "a program that reports")]
fn main() -> ExitCode {
    let states_max = std::env::args().nth(1).and_then(|states| states.parse().ok()).unwrap_or(STATES_MAX);
    let everything = Faults { crashes: 1, stops: 1, losses: 1, copies: 1, thefts: 1 };
    let searches = [
        ("a strict server, faults of all kinds", 0, everything, 2),
        ("a strict server, two crashes and two losses", 0, Faults { crashes: 2, losses: 2, ..Faults::NONE }, 3),
        ("a minute of grace, faults of all kinds", 60_000, everything, 2),
    ];
    let mut kept = true;
    for (name, grace, faults, rotations) in searches {
        let bounds = Bounds { states_max, without_circles: false };
        let found = search(&Renewal::new(grace, faults, rotations), bounds);
        let extent = if found.whole { "all of them" } else { "then it was stopped" };
        println!("{name}: {} states, {} steps, {} deep; {extent}", found.states, found.steps, found.depth);
        println!("  seen: {:?}", found.sights.keys().collect::<Vec<_>>());
        if let Some(counterexample) = found.counterexample {
            println!("  BROKEN {}\n    {}", counterexample.broken, counterexample.steps.join("\n    "));
            kept = false;
        }
    }
    if kept { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
