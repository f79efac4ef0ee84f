//! Single troubles whose cost is a promise in figures: answers that are lost, a server that is down, a
//! resource that refuses everything.

use crate::agent::Agent;
use crate::fault::Fault;
use crate::network::Skies;
use crate::person;
use crate::personality::{Personality, TABLE};
use crate::process::Process;
use crate::world::{ServerPlan, World};
use outlast::{Clock, Keeper};
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::task::JoinSet;

const SECOND: Duration = Duration::from_secs(1);
const HOUR: Duration = Duration::from_secs(3600);

/// What a scenario cost.
#[derive(Clone, Debug)]
pub struct Measured {
    /// Token requests that left a process in the time of trouble.
    pub requests: u64,
    /// How often a person had to sign in.
    pub logins: u64,
    /// How long after the trouble every grant was served in every process.
    pub healed_after: Duration,
    /// The first broken promise.
    pub violation: Option<String>,
}

/// Processes of a world, without faults of their own.
type Processes = Vec<(Arc<Process>, Keeper)>;

fn personality(name: &str) -> &'static Personality {
    TABLE.iter().find(|personality| personality.name == name).expect("the personality is in the table")
}

/// A world of one server, in virtual time.
fn world_of<F: Future<Output = Measured>>(
    name: &str,
    grants: usize,
    processes: usize,
    play: impl FnOnce(Arc<World>, Processes) -> F,
) -> Measured {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    let runtime = runtime.expect("a runtime without IO needs nothing of the system");
    runtime.block_on(async {
        let servers = [ServerPlan { personality: personality(name), minted: vec![false; grants] }];
        let world = World::planned(0, false, None, &servers, processes);
        person::begin(&world).await;
        world.logins.store(0, Ordering::Relaxed);
        let opened = |slot| {
            let process = world.process(slot, 0);
            let keeper = world.open(&process);
            (process, keeper)
        };
        let opened: Processes = (0..processes).map(opened).collect();
        let refreshers: Vec<_> = opened.iter().map(|(_, keeper)| keeper.refresh_in_background()).collect();
        let looked_after = tokio::spawn(person::look_after(Arc::clone(&world)));
        let measured = play(Arc::clone(&world), opened).await;
        looked_after.abort();
        drop(refreshers);
        Measured { logins: world.logins.load(Ordering::Relaxed), violation: world.log.end().violation, ..measured }
    })
}

fn agent(world: &Arc<World>, (process, keeper): &(Arc<Process>, Keeper), number: usize) -> Agent {
    Agent { world: Arc::clone(world), process: Arc::clone(process), keeper: keeper.clone(), number }
}

/// Waits until every grant is served in every process; how long that took.
async fn healed(world: &Arc<World>, processes: &Processes) -> Duration {
    let began = world.log.millis();
    for process in processes {
        for grant in 0..world.plans.len() {
            while !agent(world, process, 0).call(grant).await {
                tokio::time::sleep(SECOND).await;
            }
        }
    }
    Duration::from_millis(world.log.millis() - began)
}

/// So many renewals in a row, of each of which the first answer is lost, and of every other one the
/// second as well, at a server that takes a spent refresh token for 60 s.
#[must_use]
pub fn lost_answers(renewals: u64) -> Measured {
    world_of("grace 60 s", 1, 2, |world, processes| async move {
        let way = &world.ways[0];
        for renewal in 0..renewals {
            let done = way.server.counts().renewals;
            way.set_skies(Skies { all: Some(Fault::LostAfter), ..Skies::default() });
            let lost = 1 + renewal % 2;
            while way.server.counts().renewals < done + lost {
                let _served = agent(&world, &processes[0], 0).ask(0).await;
                tokio::time::sleep(SECOND / 10).await;
            }
            way.set_skies(Skies::default());
            let held = world.judge.record(0).map(|record| record.generation);
            while world.judge.record(0).map(|record| record.generation) == held {
                tokio::time::sleep(SECOND).await;
            }
        }
        let healed_after = healed(&world, &processes).await;
        Measured { requests: way.server.counts().requests, logins: 0, healed_after, violation: None }
    })
}

/// So many tasks in one process call a resource that answers 401 to everything, for so long. Tokens live
/// for an hour: none falls due meanwhile.
#[must_use]
pub fn storm(tasks: usize, lasting: Duration) -> Measured {
    world_of("plain", 1, 1, |world, processes| async move {
        let server = &world.ways[0].server;
        healed(&world, &processes).await;
        let before = server.counts().requests;
        let until = world.log.millis() + u64::try_from(lasting.as_millis()).unwrap_or(u64::MAX);
        server.storm(until);
        let mut working = JoinSet::new();
        for number in 0..tasks {
            let task = agent(&world, &processes[0], number);
            working.spawn(async move {
                // They do not come in step.
                task.process.sleep(SECOND / 100 * u32::try_from(number).unwrap_or(0)).await;
                while task.world.log.millis() < until {
                    let _refused = task.call(0).await;
                    task.process.sleep(10 * SECOND).await;
                }
            });
        }
        while working.join_next().await.is_some() {}
        let requests = server.counts().requests - before;
        Measured { requests, logins: 0, healed_after: Duration::ZERO, violation: None }
    })
}

/// A server of so many grants that so many processes use cannot be reached for an hour; tokens end within
/// minutes of its beginning.
#[must_use]
pub fn outage(grants: usize, processes: usize) -> Measured {
    world_of("grace 30 s", grants, processes, |world, processes| async move {
        healed(&world, &processes).await;
        let way = &world.ways[0];
        way.set_skies(Skies { all: Some(Fault::Outage), ..Skies::default() });
        let working = agents(&world, &processes);
        tokio::time::sleep(HOUR).await;
        let requests = world.log.hits(Fault::Outage);
        way.set_skies(Skies::default());
        let healed_after = healed(&world, &processes).await;
        drop(working);
        Measured { requests, logins: 0, healed_after, violation: None }
    })
}

/// Three agents in each process that go on calling.
fn agents(world: &Arc<World>, processes: &Processes) -> JoinSet<()> {
    let mut working = JoinSet::new();
    for process in processes {
        (0..3).for_each(|number| drop(working.spawn(agent(world, process, number).work())));
    }
    working
}
