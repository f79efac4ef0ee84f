//! For tests only: the product in simulated worlds. A world is one machine with several processes of
//! the library over one disk, servers of all personalities, agents, a person, and faults by the
//! hundred; it runs in virtual time, and everything in it follows from its seed. A judge that shares
//! nothing with the product looks on.
//!
//! ```text
//! cargo run -p outlast-sim -- --seed 7 --trace
//! ```

mod agent;
mod calm;
mod defect;
mod disk;
mod fault;
mod journal;
mod judge;
mod ledger;
mod log;
mod network;
mod person;
mod personality;
mod process;
mod random;
mod runner;
mod scenario;
mod server;
mod weather;
mod world;

pub use defect::Defect;
pub use fault::Fault;
pub use scenario::{Measured, lost_answers, outage, storm};

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// What one world came to.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// Its seed.
    pub seed: u64,
    /// A hash of everything that happened.
    pub hash: u64,
    /// Every event, if they were to be kept.
    pub trace: Vec<String>,
    /// The first broken promise.
    pub violation: Option<String>,
    /// How often each fault took effect.
    pub hits: BTreeMap<Fault, u64>,
    /// What the servers counted.
    pub counts: Counts,
}

/// What the servers of a world, or of many, counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Requests that reached a server.
    pub requests: u64,
    /// Token sets that renewals brought.
    pub renewals: u64,
    /// Refresh tokens that were used again after their grace.
    pub reuses: u64,
    /// Families that were revoked for it; each was excused, or the world ended.
    pub families_killed: u64,
    /// How often a person had to sign in, the first time left out.
    pub logins: u64,
    /// How often a person signed out.
    pub logouts: u64,
    /// Steps of tasks that came to their end.
    pub steps: u64,
    /// Tasks that did.
    pub tasks: u64,
    /// Steps of which a person had to decide what became of them.
    pub decisions: u64,
}

impl Counts {
    fn add(&mut self, more: &Self) {
        self.requests += more.requests;
        self.renewals += more.renewals;
        self.reuses += more.reuses;
        self.families_killed += more.families_killed;
        self.logins += more.logins;
        self.logouts += more.logouts;
        self.steps += more.steps;
        self.tasks += more.tasks;
        self.decisions += more.decisions;
    }
}

/// Runs the world of `seed` for so many virtual hours.
#[must_use]
pub fn run(seed: u64, hours: u64, keep_trace: bool) -> Outcome {
    run_flawed(seed, hours, keep_trace, None)
}

/// The same with a planted defect.
#[must_use]
pub fn run_flawed(seed: u64, hours: u64, keep_trace: bool, defect: Option<Defect>) -> Outcome {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    let runtime = runtime.expect("a runtime without IO needs nothing of the system");
    let world = runtime.block_on(async {
        let world = world::World::new(seed, keep_trace, defect);
        person::begin(&world).await;
        world.logins.store(0, Ordering::Relaxed);
        for slot in 0..world.slots {
            tokio::spawn(std::sync::Arc::clone(&world).keep_running(slot));
        }
        tokio::spawn(person::look_after(std::sync::Arc::clone(&world)));
        tokio::spawn(person::leave_now_and_then(std::sync::Arc::clone(&world)));
        tokio::select! {
            biased;
            () = world.log.over() => {}
            () = weather::run(std::sync::Arc::clone(&world), hours * 3_600_000) => {}
        }
        world
    });
    let ended = world.log.end();
    let ledger::Worked { steps, tasks, decisions } = world.ledger.worked();
    let logins = world.logins.load(Ordering::Relaxed);
    let logouts = world.logouts.load(Ordering::Relaxed);
    let mut counts = Counts { logins, logouts, steps, tasks, decisions, ..Counts::default() };
    for way in world.ways.iter() {
        let server = way.server.counts();
        counts.add(&Counts {
            requests: server.requests,
            renewals: server.renewals,
            reuses: server.reuses,
            families_killed: server.families_killed,
            ..Counts::default()
        });
    }
    let log::Ended { hash, lines: trace, hits, violation } = ended;
    Outcome { seed, hash, trace, violation, hits, counts }
}

/// What many worlds came to.
#[derive(Clone, Debug, Default)]
pub struct Summary {
    /// How many there were.
    pub worlds: u64,
    /// Each broken promise, with its seed; by seed.
    pub violations: BTreeMap<u64, String>,
    /// How often each fault took effect.
    pub hits: BTreeMap<Fault, u64>,
    /// What all servers counted.
    pub counts: Counts,
}

/// Runs the worlds of these seeds on `threads` threads.
#[must_use]
pub fn run_all(seeds: Range<u64>, hours: u64, threads: usize) -> Summary {
    let next = AtomicU64::new(seeds.start);
    let summary = Mutex::new(Summary::default());
    std::thread::scope(|scope| {
        for _ in 0..threads.max(1) {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= seeds.end {
                        return;
                    }
                    let outcome = run(seed, hours, false);
                    summary.lock().unwrap_or_else(PoisonError::into_inner).add(outcome);
                }
            });
        }
    });
    summary.into_inner().unwrap_or_else(PoisonError::into_inner)
}

impl Summary {
    fn add(&mut self, outcome: Outcome) {
        self.worlds += 1;
        self.counts.add(&outcome.counts);
        for (fault, times) in outcome.hits {
            *self.hits.entry(fault).or_default() += times;
        }
        if let Some(violation) = outcome.violation {
            self.violations.insert(outcome.seed, violation);
        }
    }

    /// The faults that never took effect.
    #[must_use]
    pub fn missed(&self) -> Vec<Fault> {
        Fault::ALL.into_iter().filter(|fault| !self.hits.contains_key(fault)).collect()
    }

    /// In words, with what it took.
    #[must_use]
    pub fn describe(&self, hours: u64, took: Duration) -> String {
        let virtual_hours = self.worlds * hours;
        let speed = virtual_hours as f64 / took.as_secs_f64().max(0.001);
        let hit = Fault::ALL.len() - self.missed().len();
        let Counts { requests, renewals, reuses, families_killed, logins, logouts, steps, tasks, decisions } =
            self.counts;
        format!(
            "{} worlds, {virtual_hours} virtual hours, {speed:.0} a second; {hit} of {} kinds of faults took effect, \
             {} times; {requests} token requests, {renewals} renewals, {reuses} refresh tokens used again, \
             {families_killed} families lost (each excused), {logins} logins, {logouts} logouts; {steps} steps of {tasks} \
             tasks, {decisions} decisions; {} promises broken",
            self.worlds,
            Fault::ALL.len(),
            self.hits.values().sum::<u64>(),
            self.violations.len(),
        )
    }
}

/// The first of these seeds in whose world a planted defect breaks a promise, and which.
#[must_use]
pub fn catch(defect: Defect, mut seeds: Range<u64>, hours: u64) -> Option<(u64, String)> {
    seeds.find_map(|seed| run_flawed(seed, hours, false, Some(defect)).violation.map(|promise| (seed, promise)))
}

/// The line that runs a seed again.
#[must_use]
pub fn replay(seed: u64, hours: u64) -> String {
    format!("cargo run -p outlast-sim -- --seed {seed} --hours {hours} --trace")
}
