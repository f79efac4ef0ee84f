//! Runs simulated worlds: one with all its events, or many with what they came to.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a program for developers; it says what it finds")]

use clap::Parser;
use outlast_sim::{replay, run, run_all};
use std::process::ExitCode;
use std::time::Duration;

/// Simulated worlds, each from one seed.
#[derive(Parser)]
struct Arguments {
    /// Runs the world of this seed.
    #[arg(long, conflicts_with = "seeds", required_unless_present = "seeds")]
    seed: Option<u64>,
    /// Runs the worlds of these seeds: FIRST..END.
    #[arg(long, value_parser = range)]
    seeds: Option<std::ops::Range<u64>>,
    /// Virtual hours of each world.
    #[arg(long, default_value_t = 8)]
    hours: u64,
    /// Threads to run worlds on.
    #[arg(long, default_value_t = 2)]
    threads: usize,
    /// Prints every event of the world.
    #[arg(long, requires = "seed")]
    trace: bool,
}

fn range(text: &str) -> Result<std::ops::Range<u64>, String> {
    let (first, end) = text.split_once("..").ok_or("write FIRST..END")?;
    let number = |text: &str| text.parse::<u64>().map_err(|error| format!("{text:?}: {error}"));
    Ok(number(first)?..number(end)?)
}

fn main() -> ExitCode {
    let Arguments { seed, seeds, hours, threads, trace } = Arguments::parse();
    let seeds = match (seed, seeds) {
        (Some(seed), _) if trace => return one(seed, hours),
        (Some(seed), _) => seed..seed + 1,
        (None, Some(seeds)) => seeds,
        (None, None) => return ExitCode::from(2),
    };
    let (summary, took) = timed(|| run_all(seeds, hours, threads));
    for (seed, violation) in &summary.violations {
        println!("seed {seed}: {violation}\n    {}", replay(*seed, hours));
    }
    println!("{}", summary.describe(hours, took));
    if !summary.missed().is_empty() {
        println!("never: {:?}", summary.missed());
    }
    if summary.violations.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn one(seed: u64, hours: u64) -> ExitCode {
    let (outcome, took) = timed(|| run(seed, hours, true));
    outcome.trace.iter().for_each(|line| println!("{line}"));
    println!("hash {:016x}, {:.1} s, {:?}", outcome.hash, took.as_secs_f64(), outcome.counts);
    match outcome.violation {
        None => ExitCode::SUCCESS,
        Some(violation) => {
            println!("seed {seed}: {violation}");
            ExitCode::FAILURE
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "how long the simulation itself takes")]
fn timed<T>(work: impl FnOnce() -> T) -> (T, Duration) {
    let began = std::time::Instant::now();
    let done = work();
    (done, began.elapsed())
}
