//! Both stores keep what every store must keep.

#![allow(clippy::disallowed_methods, reason = "children are told by environment; files are damaged on purpose")]
#![allow(clippy::unwrap_used, missing_docs)]

use outlast_core::{BoxFuture, Generation, Grant, GrantId, Lease, StoreError, TokenStore};
use outlast_store::{KeySource, MemoryStore, SqliteStore};
use outlast_testkit::contract::token_store;
use std::time::Duration;

/// A store in a folder of its own, which goes when the store goes.
struct OnDisk(SqliteStore, #[allow(dead_code)] tempfile::TempDir);

fn on_disk() -> OnDisk {
    let folder = tempfile::tempdir().unwrap();
    OnDisk(SqliteStore::open(&folder.path().join("home"), KeySource::File).unwrap(), folder)
}

impl TokenStore for OnDisk {
    fn list(&self) -> BoxFuture<'_, Result<Vec<GrantId>, StoreError>> {
        self.0.list()
    }
    fn load<'a>(&'a self, id: &'a GrantId) -> BoxFuture<'a, Result<Option<Grant>, StoreError>> {
        self.0.load(id)
    }
    fn lease<'a>(&'a self, id: &'a GrantId, patience: Duration) -> BoxFuture<'a, Result<Lease, StoreError>> {
        self.0.lease(id, patience)
    }
    fn commit<'a>(
        &'a self,
        lease: &'a Lease,
        expected: Generation,
        next: &'a Grant,
    ) -> BoxFuture<'a, Result<(), StoreError>> {
        self.0.commit(lease, expected, next)
    }
    fn forget<'a>(&'a self, lease: &'a Lease, expected: Generation) -> BoxFuture<'a, Result<(), StoreError>> {
        self.0.forget(lease, expected)
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_store_on_disk_keeps_the_contract() {
    token_store(on_disk).await;
}

#[tokio::test]
async fn the_store_in_memory_keeps_the_contract() {
    token_store(MemoryStore::new).await;
}

#[tokio::test]
async fn what_is_committed_is_there_for_the_next_process_and_without_a_runtime() {
    let folder = tempfile::tempdir().unwrap();
    let home = folder.path().join("home");
    let kinds = token_store::all_kinds();
    let store = SqliteStore::open(&home, KeySource::File).unwrap();
    for (expected, kind) in kinds.iter().enumerate() {
        let lease = store.lease(&kind.id, Duration::from_secs(9)).await.unwrap();
        let next = Grant { generation: Generation(expected as u64 + 1), ..kind.clone() };
        store.commit(&lease, Generation(expected as u64), &next).await.unwrap();
        let again = SqliteStore::open(&home, KeySource::File).unwrap();
        assert_eq!(again.load_blocking(&kind.id).unwrap(), Some(next.clone()));
        assert_eq!(outlast_store::read_grant(&home, &KeySource::File, &kind.id).unwrap(), Some(next));
        assert_eq!(again.list_blocking().unwrap(), std::slice::from_ref(&kind.id));
    }
}

#[test]
fn reading_where_there_is_no_store_finds_nothing_and_makes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let home = folder.path().join("home");
    assert!(outlast_store::read_grant(&home, &KeySource::File, &token_store::id("crm")).unwrap().is_none());
    assert!(!home.exists());
}
