//! A store without a disk, for tests: the same promises, for as long as the process lives.

use outlast_core::{BoxFuture, Fence, Generation, Grant, GrantId, Lease, Outage, StoreError, TokenStore};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::Mutex as Turn;

/// Keeps grants in memory. Clones share them, as processes share a folder.
#[derive(Clone, Debug, Default)]
pub struct MemoryStore {
    records: Arc<Mutex<HashMap<GrantId, Record>>>,
    outages: Arc<Mutex<HashMap<String, Outage>>>,
}

#[derive(Debug, Default)]
struct Record {
    grant: Option<Grant>,
    epoch: u64,
    turn: Arc<Turn<()>>,
}

impl MemoryStore {
    /// An empty store.
    pub fn new() -> Self {
        Self::default()
    }

    fn records(&self) -> MutexGuard<'_, HashMap<GrantId, Record>> {
        self.records.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change(&self, lease: &Lease, expected: Generation, next: Option<Grant>) -> Result<(), StoreError> {
        let grant = lease.grant();
        let mut records = self.records();
        let record = records.entry(grant.clone()).or_default();
        let found = record.grant.as_ref().map_or(Generation(0), |held| held.generation);
        if found != expected || Fence(record.epoch) != lease.fence() {
            return Err(StoreError::Fenced { grant: grant.clone() });
        }
        if record.grant.is_none() && next.is_none() {
            return Ok(());
        }
        record.grant = next;
        record.epoch += 1;
        lease.advance(Fence(record.epoch));
        Ok(())
    }
}

impl TokenStore for MemoryStore {
    fn list(&self) -> BoxFuture<'_, Result<Vec<GrantId>, StoreError>> {
        Box::pin(async {
            let records = self.records();
            let mut names: Vec<_> =
                records.iter().filter(|(_, record)| record.grant.is_some()).map(|(id, _)| id.clone()).collect();
            names.sort();
            Ok(names)
        })
    }

    fn load<'a>(&'a self, id: &'a GrantId) -> BoxFuture<'a, Result<Option<Grant>, StoreError>> {
        Box::pin(async move { Ok(self.records().get(id).and_then(|record| record.grant.clone())) })
    }

    fn lease<'a>(&'a self, id: &'a GrantId, patience: Duration) -> BoxFuture<'a, Result<Lease, StoreError>> {
        Box::pin(async move {
            let turn = Arc::clone(&self.records().entry(id.clone()).or_default().turn);
            let held = tokio::time::timeout(patience, turn.lock_owned())
                .await
                .map_err(|_| StoreError::Busy { grant: id.clone() })?;
            let epoch = self.records().entry(id.clone()).or_default().epoch;
            Ok(Lease::new(id.clone(), Fence(epoch), held))
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
            self.change(lease, expected, Some(next.clone()))
        })
    }

    fn forget<'a>(&'a self, lease: &'a Lease, expected: Generation) -> BoxFuture<'a, Result<(), StoreError>> {
        Box::pin(async move { self.change(lease, expected, None) })
    }

    fn outage<'a>(
        &'a self,
        server: &'a str,
        change: &'a (dyn Fn(Outage) -> Outage + Send + Sync),
    ) -> BoxFuture<'a, Result<Option<Outage>, StoreError>> {
        Box::pin(async move {
            let mut outages = self.outages.lock().unwrap_or_else(PoisonError::into_inner);
            let known = outages.entry(server.to_owned()).or_default();
            let before = *known;
            *known = change(before);
            Ok(Some(before))
        })
    }
}
