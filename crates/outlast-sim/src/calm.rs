//! L1: ninety seconds after the last fault, every grant that lives serves a token that is taken.

use crate::agent::Agent;
use crate::network::Skies;
use crate::world::World;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// How long healing may take.
const HEALED_WITHIN: Duration = Duration::from_secs(90);
/// A call that fails within so many milliseconds was refused by the resource, and did not wait in vain.
const REFUSED_WITHIN: u64 = 5_000;
/// The number of the consumer that looks.
const LOOKER: usize = 1000;
/// For how long renewals stop after a token that a refusal had forced is refused as well (D12): nobody can
/// tell that it was revoked before its first use.
const STOPPED_FOR: u64 = 300_000;
/// For how long a resource that refused everything may have spent the budget of forced renewals (D12).
const STORM_REMEMBERED: u64 = 7_200_000;

/// Ends all faults, waits, and looks.
pub(crate) async fn judge(world: &Arc<World>) {
    world.calm_down();
    while world.running().len() < world.slots {
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    world.log.note(format_args!("calm"));
    tokio::time::sleep(HEALED_WITHIN).await;
    for grant in 0..world.plans.len() {
        if is_owed(world, grant) {
            look(world, grant).await;
        }
    }
    world.ways.iter().for_each(|way| way.set_skies(Skies::default()));
}

/// Whether the grant can be served without a person and without breaking a promise to a server.
fn is_owed(world: &World, grant: usize) -> bool {
    let plan = &world.plans[grant];
    let record = world.judge.record(grant);
    let tokens = record.as_ref().and_then(|record| record.tokens.as_ref());
    let refresh = tokens.and_then(|set| set.refresh.as_ref());
    let lives = plan.minted || refresh.is_some_and(|token| plan.server.takes(token.expose()));
    let waits = world.judge.waits_until(grant) > world.log.millis();
    let stormed = plan.stormed_at.load(Ordering::Relaxed) + STORM_REMEMBERED > world.log.millis();
    let taken = tokens.is_some_and(|set| plan.server.takes_access(set.access.expose()));
    let revoked = plan.access_revoked_at.load(Ordering::Relaxed) + STOPPED_FOR > world.log.millis();
    let signed_out = world.judge.signed_out_at(grant).is_some();
    !signed_out && lives && !waits && (!(stormed || revoked) || taken)
}

async fn look(world: &Arc<World>, grant: usize) {
    for (process, keeper) in world.running() {
        let slot = process.slot;
        let looker = Agent { world: Arc::clone(world), process, keeper, number: LOOKER };
        let began = world.log.millis();
        let served = served_at_once_or_next(&looker, grant).await;
        // Whoever signs out while somebody looks is not to be served.
        if !served && world.judge.signed_out_at(grant).is_none() {
            let standing = world.judge.record(grant).map(|record| (record.standing, record.trouble, record.breaker));
            let why = format_args!("grant {grant} is not healed after 90 s in process {slot}: {standing:?}");
            world.log.violate("L1", why);
        }
        let took = world.log.millis() - began;
        world.log.note(format_args!("calm: grant {grant} is served in process {slot} after {took} ms"));
    }
}

/// A process that slept through others' renewals may hold a token that is stale, find another on the
/// disk, and that one revoked unseen: a request is replayed once (S7), and the next one is served.
async fn served_at_once_or_next(looker: &Agent, grant: usize) -> bool {
    let began = looker.world.log.millis();
    let served = looker.call(grant).await;
    let refused = looker.world.log.millis() - began < REFUSED_WITHIN;
    served || (refused && looker.call(grant).await)
}
