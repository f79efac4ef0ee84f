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

#[tokio::test]
async fn f85_what_another_process_changed_is_told_until_it_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let home = folder.path().join("home");
    let [ours, theirs] = [(); 2].map(|()| SqliteStore::open(&home, KeySource::File).unwrap());
    let kinds = token_store::all_kinds();
    let named = |name: &str| Grant { id: token_store::id(name), generation: Generation(1), ..kinds[0].clone() };
    let [crm, mail] = [named("crm"), named("mail")];
    let names = [crm.id.clone(), mail.id.clone()];
    for grant in [&crm, &mail] {
        let lease = theirs.lease(&grant.id, Duration::from_secs(9)).await.unwrap();
        theirs.commit(&lease, Generation(0), grant).await.unwrap();
        ours.load(&grant.id).await.unwrap();
    }
    // Whatever was there before it first looked, it has read.
    assert_eq!(ours.changed(&names).await.unwrap(), Some(vec![]));
    for generation in 2..4 {
        let lease = theirs.lease(&mail.id, Duration::from_secs(9)).await.unwrap();
        let next = Grant { generation: Generation(generation), ..mail.clone() };
        theirs.commit(&lease, Generation(generation - 1), &next).await.unwrap();
        assert_eq!(ours.changed(&names[..1]).await.unwrap(), Some(vec![]), "{generation}: of another grant");
        // Of the same generation: a logout, say.
        theirs.commit(&lease, next.generation, &next).await.unwrap();
        for _ in 0..2 {
            assert_eq!(ours.changed(&names).await.unwrap(), Some(vec![mail.id.clone()]), "{generation}");
        }
        ours.load(&mail.id).await.unwrap();
        assert_eq!(ours.changed(&names).await.unwrap(), Some(vec![]), "{generation}: it was read");
    }
}

#[test]
fn reading_where_there_is_no_store_finds_nothing_and_makes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let home = folder.path().join("home");
    assert!(outlast_store::read_grant(&home, &KeySource::File, &token_store::id("crm")).unwrap().is_none());
    assert!(!home.exists());
}
