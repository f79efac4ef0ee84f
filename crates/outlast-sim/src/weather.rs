//! The faults of a world, by its seed: spells of bad weather, each followed by a calm that is judged.

use crate::calm;
use crate::disk::Health;
use crate::fault::Fault;
use crate::network::Skies;
use crate::process::Moment;
use crate::random::Random;
use crate::world::{World, YEAR_MILLIS};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::task::JoinSet;

/// How many events in a thousand are somebody's setting the clock.
const CLOCK_PERMILLE: u64 = 50;
const MINUTE: Duration = Duration::from_secs(60);

/// Faults of the network that come and go with single requests.
const PASSING: [Fault; 12] = [
    Fault::Blackhole,
    Fault::Html,
    Fault::LostAfter,
    Fault::LostBefore,
    Fault::RateLimited,
    Fault::Refused,
    Fault::Reset,
    Fault::ServerError,
    Fault::Slow,
    Fault::Truncated,
    Fault::Unavailable,
    Fault::Unreachable,
];

/// Whatever happens at one time.
#[derive(Clone, Copy, Debug)]
enum Event {
    AccessRevoked,
    Clock,
    Crash,
    Disk,
    LockCleaned,
    Outage,
    Pause,
    PowerLoss,
    Revoked,
    Skies,
    Storm,
    Suspend,
}

/// What happens, as often as it is named.
const EVENTS: [Event; 22] = [
    Event::AccessRevoked,
    Event::Crash,
    Event::Crash,
    Event::Crash,
    Event::Crash,
    Event::Crash,
    Event::Disk,
    Event::Disk,
    Event::Disk,
    Event::LockCleaned,
    Event::Outage,
    Event::Pause,
    Event::Pause,
    Event::PowerLoss,
    Event::Revoked,
    Event::Skies,
    Event::Skies,
    Event::Skies,
    Event::Skies,
    Event::Skies,
    Event::Storm,
    Event::Suspend,
];

/// Bad weather and calms, until `end` milliseconds of the world have passed.
pub(crate) async fn run(world: Arc<World>, end: u64) {
    let random = Arc::new(Random::of(world.seed, "weather"));
    // Some worlds are quiet, some are never.
    let pause_max = random.pick(&[2, 5, 10, 30]);
    while world.log.millis() < end {
        let spell = random.between(10 * MINUTE, 100 * MINUTE);
        let left = Duration::from_millis(end - world.log.millis());
        let mut events = JoinSet::new();
        let blowing = async {
            loop {
                tokio::time::sleep(random.between(Duration::from_secs(20), pause_max * MINUTE)).await;
                let clock = random.chance(CLOCK_PERMILLE);
                let event = if clock { Event::Clock } else { random.pick(&EVENTS) };
                events.spawn(happen(Arc::clone(&world), Arc::clone(&random), event));
            }
        };
        tokio::select! {
            biased;
            () = blowing => {}
            () = tokio::time::sleep(spell.min(left)) => {}
        }
        events.shutdown().await;
        calm::judge(&world).await;
    }
}

async fn happen(world: Arc<World>, random: Arc<Random>, event: Event) {
    world.log.note(format_args!("weather: {event:?}"));
    match event {
        Event::AccessRevoked => {
            let grant = random.index(world.plans.len());
            world.log.hit(Fault::AccessRevoked);
            world.plans[grant].server.revoke_access(grant);
            world.plans[grant].access_revoked_at.store(world.log.millis(), Ordering::Relaxed);
        }
        Event::Clock => clock(&world, &random),
        Event::Crash => crash(&world, &random),
        Event::Disk => disk(&world, &random).await,
        Event::LockCleaned => lock_cleaned(&world, &random).await,
        Event::Outage => {
            let skies = Skies { all: Some(Fault::Outage), ..Skies::default() };
            under(&world, &random, skies, 60 * MINUTE).await;
        }
        Event::Pause => pause(&world, &random).await,
        Event::PowerLoss => {
            world.log.hit(Fault::PowerLoss);
            world.power_off();
        }
        Event::Revoked => {
            let grant = random.index(world.plans.len());
            world.log.hit(Fault::Revoked);
            world.plans[grant].server.revoke(grant);
        }
        Event::Skies => {
            let some = if random.chance(300) { PASSING.to_vec() } else { vec![random.pick(&PASSING)] };
            let skies = Skies { all: None, some, permille: random.pick(&[100, 300, 700, 1000]), spotless: false };
            let lasting = random.between(Duration::from_secs(30), 20 * MINUTE);
            under(&world, &random, skies, lasting).await;
        }
        Event::Storm => storm(&world, &random).await,
        Event::Suspend => suspend(&world, &random).await,
    }
}

/// One server is under these skies for a while.
async fn under(world: &World, random: &Random, skies: Skies, lasting: Duration) {
    let way = &world.ways[random.index(world.ways.len())];
    way.set_skies(skies);
    tokio::time::sleep(lasting).await;
    way.set_skies(Skies::default());
}

fn crash(world: &World, random: &Random) {
    let running = world.running();
    if let Some((process, _)) = running.get(random.index(running.len().max(1))) {
        process.doom(Some((random.pick(&Moment::ALL), random.below(3))));
    }
}

async fn disk(world: &World, random: &Random) {
    world.disk.set_health(random.pick(&[Health::Full, Health::Io, Health::ReadOnly, Health::Slow]));
    tokio::time::sleep(random.between(Duration::from_secs(5), 15 * MINUTE)).await;
    world.disk.set_health(Health::Good);
}

/// A lock file is removed under whoever holds the lock, and that of a task under its runner.
async fn lock_cleaned(world: &World, random: &Random) {
    if world.journals.clean_lock() {
        world.log.hit(Fault::TaskLockCleaned);
    }
    loop {
        let after = random.between(Duration::from_millis(1), Duration::from_millis(250));
        if let Some(grant) = world.disk.clean_lock(after).await {
            world.log.hit(Fault::LockCleaned);
            world.judge.lock_cleaned(grant);
            return;
        }
    }
}

/// SIGSTOP, minutes, SIGCONT.
async fn pause(world: &World, random: &Random) {
    let running = world.running();
    let Some((process, _)) = running.get(random.index(running.len().max(1))) else { return };
    world.log.hit(Fault::Pause);
    process.stop();
    tokio::time::sleep(random.between(Duration::from_secs(45), Duration::from_secs(300))).await;
    process.resume();
}

/// The machine sleeps: nothing on it runs, and the boot clock goes on.
async fn suspend(world: &World, random: &Random) {
    world.log.hit(Fault::Suspend);
    world.running().iter().for_each(|(process, _)| process.stop());
    tokio::time::sleep(random.between(10 * MINUTE, 180 * MINUTE)).await;
    world.running().iter().for_each(|(process, _)| process.resume());
}

async fn storm(world: &World, random: &Random) {
    let server = &world.ways[random.index(world.ways.len())].server;
    let lasting = random.between(MINUTE, 40 * MINUTE);
    let until = world.log.millis() + u64::try_from(lasting.as_millis()).unwrap_or(0);
    world.log.hit(Fault::Storm);
    server.storm(until);
    for plan in world.plans.iter().filter(|plan| plan.server.number == server.number) {
        plan.stormed_at.store(until, Ordering::Relaxed);
    }
    tokio::time::sleep(lasting).await;
}

/// Somebody sets the clock, or the machine starts without one. A running process does not notice:
/// its clock is carried on by the boot clock. So some of them are started anew.
fn clock(world: &World, random: &Random) {
    let offset = world.wall_offset.load(Ordering::Relaxed);
    let right = i64::try_from(crate::process::START.as_millis()).unwrap_or(i64::MAX);
    let (fault, next) = match (offset, random.below(3)) {
        (0, 0) => (Fault::ClockForward, YEAR_MILLIS),
        (0, 1) => (Fault::ClockBack, -YEAR_MILLIS),
        (0, _) => (Fault::ClockUnset, -right),
        (later, _) if later > 0 => (Fault::ClockBack, 0),
        (_, _) => (Fault::ClockForward, 0),
    };
    world.log.hit(fault);
    world.set_clock(next);
    // Within a boot nobody is to notice; clocks that are found wrong are found so at a start.
    if random.chance(500) {
        world.log.hit(Fault::PowerLoss);
        world.power_off();
    }
}
