//! The person whose grants they are: signs in at the beginning, and again some time after a grant
//! needs it.

use crate::process::{Moment, Process};
use crate::random::Random;
use crate::world::World;
use outlast::{Clock, Grant, Secret, Standing};
use outlast_core::sign_in::{SignedIn, sign_in};
use outlast_core::store::{StoreError, TokenStore};
use std::collections::BTreeMap;
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

/// Where the command `outlast login` runs.
const SLOT: usize = 100;
/// How long the command waits for a lease.
const PATIENCE: Duration = Duration::from_secs(45);
/// Where the command `outlast logout` runs.
const LOGOUT_SLOT: usize = 101;
/// How long somebody stays signed in to everything, at most.
const LEAVES_WITHIN: Duration = Duration::from_secs(4 * 3600);
/// The example key of RFC 7515 A.3.1: what tokens are bound to, where they are.
const KEY: &str = r#"{"kty":"EC","crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0","d":"jpsQnnGQmL-YBIffH1136cspYG6-0iY7X1fCE9-E9LI"}"#;

/// Signs in to every grant that needs a person, at once.
pub(crate) async fn begin(world: &Arc<World>) {
    for grant in (0..world.plans.len()).filter(|grant| !world.plans[*grant].minted) {
        let signed_in = log_in(world, grant).await;
        signed_in.expect("nothing goes wrong before the weather begins");
    }
}

/// Looks after the grants, with the patience of a person.
pub(crate) async fn look_after(world: Arc<World>) {
    let random = Random::of(world.seed, "person");
    let mut comes_at = BTreeMap::new();
    loop {
        tokio::time::sleep(Duration::from_secs(20)).await;
        let now = world.log.millis();
        for grant in 0..world.plans.len() {
            if !needs_person(&world, grant) {
                comes_at.remove(&grant);
                continue;
            }
            let delay = random.between(Duration::from_secs(60), Duration::from_secs(1800));
            let at = *comes_at.entry(grant).or_insert(now + u64::try_from(delay.as_millis()).unwrap_or(0));
            if now >= at && log_in(&world, grant).await.is_ok() {
                comes_at.remove(&grant);
            }
        }
    }
}

/// Signs out of a grant now and then.
pub(crate) async fn leave_now_and_then(world: Arc<World>) {
    let random = Random::of(world.seed, "leaving");
    loop {
        tokio::time::sleep(random.between(Duration::from_secs(60), LEAVES_WITHIN)).await;
        tokio::spawn(log_out(Arc::clone(&world), random.index(world.plans.len())));
    }
}

fn needs_person(world: &World, grant: usize) -> bool {
    let Some(record) = world.judge.record(grant) else { return false };
    let parked = matches!(record.standing, Standing::Parked { .. } | Standing::Revoking { .. });
    let unrenewable = record.tokens.as_ref().is_some_and(|set| set.refresh.is_none());
    let refused =
        record.tokens.as_ref().is_some_and(|set| !world.plans[grant].server.takes_access(set.access.expose()));
    !world.plans[grant].minted && (parked || unrenewable && refused)
}

/// One login, as the command does it: under the lease, and stored before anybody is told.
pub(crate) async fn log_in(world: &World, grant: usize) -> Result<(), StoreError> {
    let process: Arc<Process> = world.process(SLOT, world.logins.fetch_add(1, Ordering::Relaxed));
    let plan = &world.plans[grant];
    let store = world.store(&process);
    let terms = plan.settings().terms();
    let lease = store.lease(&plan.id, PATIENCE).await?;
    let held = store.load(&plan.id).await?.unwrap_or_else(|| Grant::empty(&terms));
    // The probe, as in the product: a disk that refuses is found out before the consent is spent.
    store.commit(&lease, held.generation, &held).await?;
    let consent = plan.server.consent(grant);
    let response = outlast::read_token_set(&consent.body).expect("a consent brings a token set");
    let now = process.now();
    let proof_key = plan.is_bound().then(|| Secret::new(KEY));
    let brought = SignedIn { response, subject: None, proof_key, started_at: now, switch_account: false };
    let next = sign_in(&held, &terms, brought, now).expect("no account is pinned");
    world.judge.signing_in(grant);
    store.commit(&lease, held.generation, &next).await?;
    world.judge.signed_in(grant);
    world.log.note(format_args!("person: signed in to grant {grant}"));
    Ok(())
}

/// One logout, as the command does it: a process of its own, which may be stopped or die in the middle.
async fn log_out(world: Arc<World>, grant: usize) {
    let number = world.logouts.load(Ordering::Relaxed);
    let random = Random::of(world.seed, &format!("logout {number}"));
    let process = world.process(LOGOUT_SLOT, number);
    {
        // One command at a time.
        let mut command = world.command.lock().unwrap_or_else(PoisonError::into_inner);
        if command.as_ref().is_some_and(|running| !running.is_dead()) {
            return;
        }
        *command = Some(Arc::clone(&process));
    }
    world.logouts.store(number + 1, Ordering::Relaxed);
    let keeper = world.open(&process);
    let handle = keeper.grant(&world.plans[grant].id).expect("every grant is configured");
    world.log.note(format_args!("person: signs out of grant {grant}"));
    world.judge.logout_asked(grant);
    if random.chance(250) {
        process.doom(Some((random.pick(&Moment::ALL), random.below(3))));
    }
    let stopped = async {
        tokio::time::sleep(random.between(Duration::from_millis(1), Duration::from_secs(1))).await;
        if random.chance(250) {
            process.stop();
            tokio::time::sleep(random.between(Duration::from_secs(60), Duration::from_secs(3600))).await;
            process.resume();
        }
        std::future::pending::<()>().await;
    };
    tokio::select! {
        biased;
        ended = handle.log_out(random.chance(100)) => {
            let how = ended.as_ref().map_or_else(|error| error.code().as_str(), |_| "signed out");
            world.log.note(format_args!("person: grant {grant}: {how}"));
        }
        () = process.dead() => {}
        () = stopped => {}
    }
    process.kill();
    world.disk.release_all(&process);
}
