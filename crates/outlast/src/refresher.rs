//! BACKGROUND REFRESH LOOP: wakes at least every 30 seconds, then only asks the keeper. It also goes on
//! with logouts that a server could not take, and looks out for what other processes did.

use crate::handle::GrantHandle;
use crate::keeper::{Entry, Keeper};
use crate::look_out;
use outlast_core::freshness::next_wake;
use outlast_core::rotation::due_retirement;
use outlast_core::{Ask, Plan, Standing, plan};
use std::sync::Arc;
use std::time::Duration;

/// Longest time between two looks at all grants, whatever the timers say (suspend, other processes).
const WAKE_MAX: Duration = Duration::from_secs(30);
/// Shortest time between two looks, so that a grant that cannot be renewed keeps nobody busy.
const WAKE_MIN: Duration = Duration::from_millis(50);
/// How soon to look again at a grant whose renewal is under way.
const WAKE_ALOFT: Duration = Duration::from_secs(1);

/// Renews due grants until dropped.
#[derive(Debug)]
pub struct Refresher([tokio::task::JoinHandle<()>; 2]);

impl Drop for Refresher {
    fn drop(&mut self) {
        // Renewals under way run on tasks of their own and are not touched.
        self.0.iter().for_each(tokio::task::JoinHandle::abort);
    }
}

impl Keeper {
    /// Starts renewing every grant of this keeper before it expires, for as long as the returned
    /// value lives. Meanwhile what other processes write, a logout say, holds here within a second. Needs a
    /// tokio runtime.
    #[must_use = "the refresher stops when it is dropped"]
    pub fn refresh_in_background(&self) -> Refresher {
        Refresher([tokio::spawn(run(self.clone())), tokio::spawn(look_out::run(self.clone()))])
    }
}

async fn run(keeper: Keeper) {
    loop {
        let mut next = WAKE_MAX;
        let entries: Vec<Arc<Entry>> = keeper.entries().cloned().collect();
        for entry in entries {
            next = next.min(look(&keeper, &entry).await);
        }
        keeper.clock().sleep(next.max(WAKE_MIN)).await;
    }
}

/// Looks at one grant, launches its renewal if it is due, and says when to look again.
async fn look(keeper: &Keeper, entry: &Arc<Entry>) -> Duration {
    let known = entry.published.load_full();
    let record = match known {
        Some(record) => record,
        None => match keeper.reload(entry).await {
            Ok(record) => record,
            Err(_) => return WAKE_MAX,
        },
    };
    // A grant that was never used is not minted on suspicion.
    if record.grant.tokens.is_none() {
        return WAKE_MAX;
    }
    let now = keeper.clock().now();
    if let Some(until) = keeper.servers().down_until(&entry.terms.authorization_server, now) {
        return now.until(until);
    }
    let strategy = entry.grant_type.strategy();
    match plan(&record.grant, strategy, Ask::default(), entry.lead, now) {
        Plan::Serve(_) if due_retirement(&record.grant, now).is_some() && !entry.flight.is_aloft() => {
            if let Ok(handle) = keeper.any_grant(&entry.terms.id) {
                launch(handle);
            }
            WAKE_ALOFT
        }
        Plan::Renew | Plan::ServeAndRenew(_) => {
            if entry.flight.is_aloft() {
                return WAKE_ALOFT;
            }
            if entry.copied().is_some() {
                // A person may adopt it in another process.
                let _ = keeper.reload(entry).await;
                if entry.copied().is_some() {
                    return WAKE_MAX;
                }
            }
            if let Ok(handle) = keeper.any_grant(&entry.terms.id) {
                launch(handle);
            }
            // Not longer: a token may live for only a few seconds, and this attempt may fail.
            WAKE_ALOFT
        }
        Plan::NeedsUser(_) if let Standing::Revoking { retry_at, .. } = record.grant.standing => {
            if retry_at <= now && !entry.flight.is_aloft() {
                finish_log_out(keeper, entry);
                return WAKE_ALOFT;
            }
            let _ = keeper.reload(entry).await;
            now.until(retry_at).clamp(WAKE_ALOFT, WAKE_MAX)
        }
        Plan::NeedsUser(_) => {
            // It may be revived by a login in another process.
            let _ = keeper.reload(entry).await;
            WAKE_MAX
        }
        Plan::Serve(_) | Plan::Wait { .. } => next_wake(&record.grant, entry.lead).map_or(WAKE_MAX, |at| now.until(at)),
    }
}

/// On a flight, so that it is not begun twice.
fn finish_log_out(keeper: &Keeper, entry: &Arc<Entry>) {
    let (keeper, entry) = (keeper.clone(), Arc::clone(entry));
    tokio::spawn(async move {
        let own = (keeper.clone(), Arc::clone(&entry));
        let work = move || async move { own.0.finish_log_out(&own.1).await };
        // What went wrong is in the record.
        let _ = entry.flight.join_or_launch(work).await;
    });
}

fn launch(handle: GrantHandle) {
    tokio::spawn(async move { handle.renew_if_due().await });
}
