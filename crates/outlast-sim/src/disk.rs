//! The disk of the machine: what is durable, who holds which lock, and how it fails.

use crate::defect::Defect;
use crate::fault::Fault;
use crate::judge::Judge;
use crate::log::Log;
use crate::process::{Moment, Process};
use crate::random::Random;
use crate::world::GrantPlan;
use outlast::{BoxFuture, Generation, Grant, GrantId, Standing, StoreError};
use outlast_core::Outage;
use outlast_core::store::{Fence, Lease, TokenStore};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::Notify;

/// How the disk is at the moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Health {
    Full,
    #[default]
    Good,
    Io,
    ReadOnly,
    Slow,
}

#[derive(Debug, Default)]
struct Stored {
    grant: Option<Grant>,
    epoch: u64,
}

#[derive(Debug, Default)]
struct State {
    records: BTreeMap<GrantId, Stored>,
    /// Who holds which lock: the number of the acquisition, and the process.
    locks: BTreeMap<GrantId, (u64, usize, u64)>,
    acquired: u64,
    health: Health,
    /// When its health last changed.
    sick_at: u64,
    outages: BTreeMap<String, Outage>,
}

/// The disk.
#[derive(Debug)]
pub(crate) struct Disk {
    log: Arc<Log>,
    judge: Arc<Judge>,
    plans: Arc<Vec<GrantPlan>>,
    random: Random,
    defect: Option<Defect>,
    state: Mutex<State>,
    /// Whether it tells that others wrote; some kinds of stores cannot.
    pub(crate) tells_changes: bool,
    freed: Notify,
    taken: Notify,
}

impl Disk {
    pub(crate) fn new(
        log: &Arc<Log>,
        judge: &Arc<Judge>,
        plans: &Arc<Vec<GrantPlan>>,
        seed: u64,
        defect: Option<Defect>,
    ) -> Self {
        Self {
            log: Arc::clone(log),
            judge: Arc::clone(judge),
            plans: Arc::clone(plans),
            random: Random::of(seed, "disk"),
            defect,
            state: Mutex::default(),
            tells_changes: seed % 4 == 1,
            freed: Notify::new(),
            taken: Notify::new(),
        }
    }

    pub(crate) fn set_health(&self, health: Health) {
        let mut state = self.lock();
        state.health = health;
        state.sick_at = self.log.millis();
    }

    /// Whether it was well all the time since then.
    pub(crate) fn is_well_since(&self, since: u64) -> bool {
        let state = self.lock();
        state.health == Health::Good && state.sick_at < since
    }

    /// The kernel releases what a dead process held.
    pub(crate) fn release_all(&self, process: &Process) {
        let holder = (process.slot, process.incarnation);
        self.lock().locks.retain(|_, (_, slot, incarnation)| (*slot, *incarnation) != holder);
        self.freed.notify_waiters();
    }

    /// A cleaner of old files removes the next lock that is held for a while, under its holder; says
    /// whose.
    pub(crate) async fn clean_lock(&self, after: Duration) -> Option<usize> {
        self.taken.notified().await;
        tokio::time::sleep(after).await;
        let (id, _) = self.lock().locks.pop_first()?;
        self.freed.notify_waiters();
        Some(self.number(&id))
    }

    fn change_outage(&self, server: &str, change: &dyn Fn(Outage) -> Outage) -> Outage {
        let mut state = self.lock();
        let known = state.outages.entry(server.to_owned()).or_default();
        let next = change(*known);
        std::mem::replace(known, next)
    }

    /// What a process with a defect makes of a record.
    fn flawed(&self, grant: Grant) -> Grant {
        match grant.standing {
            Standing::Renewing { .. } if self.defect == Some(Defect::ScheduleForgotten) => {
                Grant { standing: Standing::Live, ..grant }
            }
            Standing::CoolingDown { .. } if self.defect == Some(Defect::PausesForgotten) => {
                Grant { standing: Standing::Live, ..grant }
            }
            Standing::CoolingDown { .. }
            | Standing::Live
            | Standing::Parked { .. }
            | Standing::Renewing { .. }
            | Standing::Revoking { .. } => grant,
        }
    }

    /// The epoch that a record carries.
    pub(crate) fn epoch(&self, id: &GrantId) -> Fence {
        Fence(self.lock().records.get(id).map_or(0, |stored| stored.epoch))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn number(&self, id: &GrantId) -> usize {
        self.plans.iter().position(|plan| plan.id == *id).expect("every grant is planned")
    }

    /// Takes as long as a read or a write does.
    pub(crate) async fn turn(&self) {
        let slow = self.lock().health == Health::Slow;
        let pause = if slow {
            self.log.hit(Fault::DiskSlow);
            self.random.between(Duration::from_millis(200), Duration::from_millis(2500))
        } else {
            self.random.between(Duration::from_millis(1), Duration::from_millis(4))
        };
        tokio::time::sleep(pause).await;
    }

    /// Whether a write is refused, and whether it is on the disk all the same.
    pub(crate) fn refusal(&self) -> Option<(StoreError, bool)> {
        let health = self.lock().health;
        let (fault, detail, applied) = match health {
            Health::Good | Health::Slow => return None,
            Health::Full => (Fault::DiskFull, "no space left on device", false),
            Health::ReadOnly => (Fault::DiskReadOnly, "read-only file system", false),
            Health::Io => (Fault::DiskIo, "input/output error", self.random.chance(500)),
        };
        self.log.hit(fault);
        Some((StoreError::Unwritable { detail: detail.to_owned() }, applied))
    }

    fn apply(&self, lease: &Lease, expected: Generation, next: &Grant) -> Result<u64, StoreError> {
        let grant = lease.grant();
        let mut state = self.lock();
        let stored = state.records.entry(grant.clone()).or_default();
        let found = stored.grant.as_ref().map_or(Generation(0), |held| held.generation);
        let moved = found != expected || Fence(stored.epoch) != lease.fence();
        if moved && self.defect != Some(Defect::NoCompareAndSwap) {
            return Err(StoreError::Fenced { grant: grant.clone() });
        }
        stored.epoch += 1;
        stored.grant = Some(next.clone());
        let epoch = stored.epoch;
        drop(state);
        let number = self.number(grant);
        self.log.note(format_args!("disk: grant {number} is {} {:?}", next.generation, next.standing));
        self.judge.durable(number, &self.plans[number].server, next);
        Ok(epoch)
    }
}

/// The disk as one process sees it.
#[derive(Clone, Debug)]
pub(crate) struct ProcessStore {
    pub(crate) disk: Arc<Disk>,
    pub(crate) process: Arc<Process>,
    /// The epoch of each record as it was last read here.
    pub(crate) read: Arc<Mutex<BTreeMap<GrantId, u64>>>,
}

/// A lock that is held.
#[derive(Debug)]
struct Held {
    disk: Arc<Disk>,
    grant: GrantId,
    number: u64,
}

impl Drop for Held {
    fn drop(&mut self) {
        let mut state = self.disk.lock();
        if state.locks.get(&self.grant).is_some_and(|(number, ..)| *number == self.number) {
            state.locks.remove(&self.grant);
        }
        drop(state);
        self.disk.freed.notify_waiters();
    }
}

impl ProcessStore {
    fn read_now(&self) -> MutexGuard<'_, BTreeMap<GrantId, u64>> {
        self.read.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn try_lock(&self, id: &GrantId) -> Option<Held> {
        let mut state = self.disk.lock();
        if state.locks.contains_key(id) && self.disk.defect != Some(Defect::NoLock) {
            return None;
        }
        state.acquired += 1;
        let number = state.acquired;
        state.locks.insert(id.clone(), (number, self.process.slot, self.process.incarnation));
        self.disk.taken.notify_waiters();
        Some(Held { disk: Arc::clone(&self.disk), grant: id.clone(), number })
    }

    async fn acquire(&self, id: &GrantId) -> Held {
        loop {
            let freed = self.disk.freed.notified();
            self.process.running().await;
            if let Some(held) = self.try_lock(id) {
                return held;
            }
            freed.await;
            // Waiters look at times of their own: who is next is a matter of chance.
            let pause = self.disk.random.between(Duration::from_millis(1), Duration::from_millis(15));
            tokio::time::sleep(pause).await;
        }
    }

    /// The defect: whoever writes goes on, and the disk has it seconds later.
    fn write_later(&self, lease: &Lease, expected: Generation, next: &Grant) {
        let (disk, process, next) = (Arc::clone(&self.disk), Arc::clone(&self.process), next.clone());
        let (grant, fence) = (lease.grant().clone(), lease.fence());
        tokio::spawn(async move {
            tokio::time::sleep(Duration::from_secs(2)).await;
            process.running().await;
            let late = Lease::new(grant, fence, ());
            let _ = disk.apply(&late, expected, &next);
        });
    }

    async fn write(&self, lease: &Lease, expected: Generation, next: &Grant) -> Result<(), StoreError> {
        self.process.reach(Moment::BeforeCommit).await;
        if self.disk.defect == Some(Defect::NoIntent) && matches!(next.standing, Standing::Renewing { .. }) {
            return Ok(());
        }
        if self.disk.defect == Some(Defect::PublishedBeforePersisted) && next.generation > expected {
            self.write_later(lease, expected, next);
            return Ok(());
        }
        self.disk.turn().await;
        let number = self.disk.number(&next.id);
        if let Some((refusal, applied)) = self.disk.refusal() {
            if applied {
                // What the disk says about itself is not what is on it; the lease does not learn of it.
                self.disk.apply(lease, expected, next)?;
            } else {
                self.disk.judge.write_refused(number, &self.process, next);
            }
            self.process.running().await;
            let slot = self.process.slot;
            self.disk.log.note(format_args!("process {slot}: write of grant {number} fails, applied: {applied}"));
            return Err(refusal);
        }
        // A write is whole or not there at all: the journal is rolled back.
        if self.disk.random.chance(500) {
            self.process.reach(Moment::DuringCommit).await;
        }
        let epoch = self.disk.apply(lease, expected, next)?;
        self.process.reach(Moment::DuringCommit).await;
        self.disk.turn().await;
        self.process.reach(Moment::AfterCommit).await;
        lease.advance(Fence(epoch));
        Ok(())
    }
}

impl TokenStore for ProcessStore {
    fn list(&self) -> BoxFuture<'_, Result<Vec<GrantId>, StoreError>> {
        Box::pin(async {
            self.process.running().await;
            Ok(self.disk.lock().records.keys().cloned().collect())
        })
    }

    fn load<'a>(&'a self, id: &'a GrantId) -> BoxFuture<'a, Result<Option<Grant>, StoreError>> {
        Box::pin(async move {
            self.process.reach(Moment::AtLoad).await;
            self.disk.turn().await;
            let found = {
                let state = self.disk.lock();
                let stored = state.records.get(id);
                self.read_now().insert(id.clone(), stored.map_or(0, |stored| stored.epoch));
                stored.and_then(|stored| stored.grant.clone())
            };
            self.process.running().await;
            Ok(found.map(|grant| self.disk.flawed(grant)))
        })
    }

    fn changed<'a>(&'a self, grants: &'a [GrantId]) -> BoxFuture<'a, Result<Option<Vec<GrantId>>, StoreError>> {
        Box::pin(async move {
            self.process.running().await;
            if !self.disk.tells_changes {
                return Ok(None);
            }
            if self.disk.defect == Some(Defect::LogoutUnseen) {
                return Ok(Some(Vec::new()));
            }
            let (state, read) = (self.disk.lock(), self.read_now());
            let epoch = |id: &GrantId| state.records.get(id).map_or(0, |stored| stored.epoch);
            Ok(Some(grants.iter().filter(|id| read.get(*id).is_some_and(|read| *read != epoch(id))).cloned().collect()))
        })
    }

    fn lease<'a>(&'a self, id: &'a GrantId, patience: Duration) -> BoxFuture<'a, Result<Lease, StoreError>> {
        Box::pin(async move {
            self.process.reach(Moment::AtLease).await;
            let held = tokio::select! {
                biased;
                held = self.acquire(id) => Some(held),
                () = tokio::time::sleep(patience) => None,
            };
            self.process.running().await;
            let (slot, number) = (self.process.slot, self.disk.number(id));
            let Some(held) = held else {
                self.disk.log.note(format_args!("process {slot}: no lease of grant {number}"));
                return Err(StoreError::Busy { grant: id.clone() });
            };
            self.disk.log.note(format_args!("process {slot}: lease of grant {number}"));
            let (disk, grant, mine) = (Arc::clone(&self.disk), id.clone(), held.number);
            let is_held = move || disk.lock().locks.get(&grant).is_some_and(|(number, ..)| *number == mine);
            Ok(Lease::new(id.clone(), self.disk.epoch(id), held).watched(is_held))
        })
    }

    fn commit<'a>(
        &'a self,
        lease: &'a Lease,
        expected: Generation,
        next: &'a Grant,
    ) -> BoxFuture<'a, Result<(), StoreError>> {
        Box::pin(async move {
            if lease.grant() != &next.id || next.generation < expected {
                return Err(StoreError::Fenced { grant: next.id.clone() });
            }
            self.write(lease, expected, next).await
        })
    }

    fn forget<'a>(&'a self, lease: &'a Lease, _expected: Generation) -> BoxFuture<'a, Result<(), StoreError>> {
        Box::pin(async move { Err(StoreError::Fenced { grant: lease.grant().clone() }) })
    }

    fn outage<'a>(
        &'a self,
        server: &'a str,
        change: &'a (dyn Fn(Outage) -> Outage + Send + Sync),
    ) -> BoxFuture<'a, Result<Option<Outage>, StoreError>> {
        Box::pin(async move {
            self.process.running().await;
            self.disk.turn().await;
            // It is written without waiting for the disk; only one that refuses writes refuses this.
            if let Some((refusal, _)) = self.disk.refusal() {
                return Err(refusal);
            }
            let before = self.disk.change_outage(server, change);
            self.process.running().await;
            Ok(Some(before))
        })
    }
}
