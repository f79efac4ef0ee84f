//! How this process goes about each authorization server: few requests at once, one at a time for
//! all processes while it is down, and slowly once it is back (D12, F30).

use crate::keeper::{Entry, Keeper};
use crate::token_error::TokenError;
use outlast_core::{Code, GrantId, Outage, Timestamp, Trouble};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Token requests under way at once at one server.
const AT_ONCE_MAX: usize = 4;
/// For how long after an outage requests go out one by one.
const SLOW_FOR: Duration = Duration::from_secs(60);
/// The time between two of them: at most five a second.
const SLOW_GAP: Duration = Duration::from_millis(200);

/// What is known of every server.
#[derive(Default)]
pub(crate) struct Servers(Mutex<BTreeMap<String, Arc<Server>>>);

struct Server {
    places: Arc<Semaphore>,
    known: Mutex<Known>,
}

#[derive(Clone, Copy, Default)]
struct Known {
    /// As far as this process knows; the store knows for all.
    outage: Outage,
    /// Whether the store was told of it, so that it has ended where the store knows of none.
    is_kept: bool,
    slow_until: Timestamp,
    next_slot: Timestamp,
}

impl Known {
    /// What is known of an outage, where the store says this. One that it was told of and knows of no more was
    /// ended by another process; one that it was never told of goes on.
    fn with(&self, said: Option<Outage>) -> Outage {
        match said {
            Some(said) if self.is_kept || said != Outage::default() => said,
            Some(_) | None => self.outage,
        }
    }

    /// Takes over what the store said when a request was announced there, and says what stood before.
    fn told(&mut self, said: Option<Outage>, now: Timestamp) -> Outage {
        let before = self.with(said);
        self.is_kept |= said.is_some_and(|said| said != Outage::default());
        self.outage = before.claimed(now);
        before
    }
}

/// The right to send one token request.
pub(crate) struct Turn {
    server: Arc<Server>,
    /// Whether it finds out if the server is back.
    probes: bool,
    _place: OwnedSemaphorePermit,
}

impl Servers {
    fn of(&self, name: &str) -> Arc<Server> {
        let mut servers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(server) = servers.get(name) {
            return Arc::clone(server);
        }
        let server = Server { places: Arc::new(Semaphore::new(AT_ONCE_MAX)), known: Mutex::default() };
        let server = Arc::new(server);
        servers.insert(name.to_owned(), Arc::clone(&server));
        server
    }

    /// While this process knows the server to be down: until when nobody asks it.
    pub(crate) fn down_until(&self, name: &str, now: Timestamp) -> Option<Timestamp> {
        self.of(name).known().outage.permits(now).err()
    }
}

impl Server {
    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// When the next request may go out, which is at once unless the server is just back.
    fn slot(&self, now: Timestamp) -> Timestamp {
        let mut known = self.known();
        if now >= known.slow_until || now.until(known.slow_until) > SLOW_FOR {
            return now;
        }
        let slot = known.next_slot.max(now);
        known.next_slot = slot.plus(SLOW_GAP);
        slot
    }
}

impl Keeper {
    /// Waits for a turn at the grant's server; `Err` says until when nobody asks it, for it is down.
    /// None where there is no server to ask.
    pub(crate) async fn turn(&self, entry: &Entry) -> Result<Option<Turn>, Timestamp> {
        if !entry.grant_type.has_server() {
            return Ok(None);
        }
        let name = &entry.terms.authorization_server;
        let server = self.servers().of(name);
        let places = Arc::clone(&server.places);
        // The semaphore is never closed.
        let Ok(place) = places.acquire_owned().await else { return Ok(None) };
        let now = self.now();
        let claim = move |outage: Outage| outage.claimed(now);
        // A store that fails here knows less than this process: the renewal itself will say so.
        let claiming = self.parts().store.outage(name, &claim);
        let said = entry.at_disk.during(now, claiming).await.ok().flatten();
        let before = server.known().told(said, now);
        before.permits(now)?;
        let slot = server.slot(now);
        self.clock().sleep(now.until(slot)).await;
        Ok(Some(Turn { server, probes: before.is_down(), _place: place }))
    }

    /// What all processes know of an outage of the grant's server; none where it has no server, or where
    /// the store cannot tell.
    pub(crate) async fn outage(&self, entry: &Entry) -> Outage {
        if !entry.grant_type.has_server() {
            return Outage::default();
        }
        let name = &entry.terms.authorization_server;
        let said = self.parts().store.outage(name, &|known| known).await.ok().flatten();
        self.servers().of(name).known().with(said)
    }

    /// Writes down whether the server did its work on the request; nothing where it was not for the
    /// server.
    pub(crate) async fn ended(&self, entry: &Entry, turn: Option<Turn>, answered: Option<bool>) {
        let (Some(turn), Some(answered)) = (turn, answered) else { return };
        let (now, probes) = (self.now(), turn.probes);
        {
            let mut known = turn.server.known();
            if answered && known.outage.is_down() {
                (known.slow_until, known.next_slot) = (now.plus(SLOW_FOR), now.plus(SLOW_GAP));
            }
            known.outage = known.outage.after(answered, probes, now);
        }
        let change = move |outage: Outage| outage.after(answered, probes, now);
        let keeping = self.parts().store.outage(&entry.terms.authorization_server, &change);
        let kept = entry.at_disk.during(now, keeping).await;
        turn.server.known().is_kept = matches!(kept, Ok(Some(_)));
        if let Err(error) = kept {
            tracing::debug!(code = %error.code(), "what is known of a server's outage is not kept for other processes");
        }
    }
}

/// What a caller is told of a server that others found to be down.
pub(crate) fn down(grant: &GrantId, until: Timestamp, now: Timestamp) -> TokenError {
    let detail =
        "its authorization server gives no answers at present; one request at a time finds out when it is back";
    let trouble = Trouble { code: Code::ServerUnreachable, at: now, detail: detail.to_owned() };
    TokenError::CoolingDown { grant: grant.clone(), until, trouble: Some(trouble) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn f30_an_outage_that_the_store_was_told_of_ends_with_it_and_another_goes_on() {
        let down = Outage { failures: 9, next_at: Timestamp::from_secs(60) };
        let of = |is_kept| Known { outage: down, is_kept, ..Known::default() };
        assert_eq!(of(true).with(Some(Outage::default())), Outage::default());
        assert_eq!(of(false).with(Some(Outage::default())), down, "a full disk was told nothing");
        assert_eq!(of(true).with(None), down, "a store that fails, or keeps nothing");
        let mut known = Known::default();
        assert_eq!(known.told(Some(down), Timestamp::from_secs(1)), down);
        assert_eq!(known.told(Some(Outage::default()), Timestamp::from_secs(2)), Outage::default());
        assert_eq!(known.outage, Outage::default());
    }
}
