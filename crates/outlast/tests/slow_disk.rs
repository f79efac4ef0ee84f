//! A disk that hangs: whoever asks is answered, and what the server has rotated to is not lost.
#![allow(clippy::unwrap_used, missing_docs)]

use outlast::{Ask, Code, Generation, GrantHandle, GrantId, GrantSettings, Keeper, Provider, Server, Settings};
use outlast::{Standing, TokenSet};
use outlast_core::store::{Lease, StoreError, TokenStore};
use outlast_core::{BoxFuture, Clock, Grant};
use outlast_store::MemoryStore;
use outlast_testkit::clock::SimulatedClock;
use outlast_testkit::strict_server::StrictServer;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

const LIFE: Duration = Duration::from_secs(100);

/// What of it hangs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Hanging {
    Nothing,
    Answers,
    Notes,
    Reads,
}

struct HangingDisk {
    inner: MemoryStore,
    hanging: watch::Sender<Hanging>,
}

impl HangingDisk {
    async fn pass(&self, what: Hanging) {
        self.hanging.subscribe().wait_for(|hanging| *hanging != what).await.unwrap();
    }
}

impl TokenStore for HangingDisk {
    fn list(&self) -> BoxFuture<'_, Result<Vec<GrantId>, StoreError>> {
        self.inner.list()
    }
    fn load<'a>(&'a self, id: &'a GrantId) -> BoxFuture<'a, Result<Option<Grant>, StoreError>> {
        Box::pin(async move {
            self.pass(Hanging::Reads).await;
            self.inner.load(id).await
        })
    }
    fn lease<'a>(&'a self, id: &'a GrantId, patience: Duration) -> BoxFuture<'a, Result<Lease, StoreError>> {
        self.inner.lease(id, patience)
    }
    fn commit<'a>(
        &'a self,
        lease: &'a Lease,
        expected: Generation,
        next: &'a Grant,
    ) -> BoxFuture<'a, Result<(), StoreError>> {
        let note = matches!(next.standing, Standing::Renewing { .. });
        Box::pin(async move {
            self.pass(if note { Hanging::Notes } else { Hanging::Answers }).await;
            self.inner.commit(lease, expected, next).await
        })
    }
    fn forget<'a>(&'a self, lease: &'a Lease, expected: Generation) -> BoxFuture<'a, Result<(), StoreError>> {
        self.inner.forget(lease, expected)
    }
}

struct World {
    server: StrictServer,
    clock: Arc<SimulatedClock>,
    disk: Arc<HangingDisk>,
}

impl World {
    fn new() -> Self {
        let disk = HangingDisk { inner: MemoryStore::new(), hanging: watch::Sender::new(Hanging::Nothing) };
        let server = StrictServer::new(LIFE, Duration::from_millis(200));
        Self { server, clock: Arc::new(SimulatedClock::new()), disk: Arc::new(disk) }
    }

    fn process(&self) -> Keeper {
        let provider = Provider { token_endpoint: "https://as.example/token".to_owned(), ..Provider::default() };
        let grant = GrantSettings {
            client_id: "client".to_owned(),
            ..GrantSettings::new(crm(), "refresh_token", Server::from(provider))
        };
        Settings::in_memory()
            .store(Arc::clone(&self.disk) as Arc<dyn TokenStore>)
            .endpoint(Arc::new(self.server.clone()))
            .clock(Arc::clone(&self.clock) as Arc<dyn Clock>)
            .grant(grant)
            .open()
            .unwrap()
    }

    async fn granted(&self) -> GrantHandle {
        let handle = self.process().grant(&crm()).unwrap();
        handle.import(TokenSet::first(self.server.issue(), self.clock.now())).await.unwrap();
        handle
    }

    fn hang(&self, what: Hanging) {
        self.disk.hanging.send_replace(what);
    }

    /// The answer to somebody who asks now, and how long it took.
    async fn ask(&self, handle: &GrantHandle) -> (Result<String, Code>, Duration) {
        let began = self.clock.now();
        let answer = handle.access_token(Ask::default()).await;
        let answer = answer.map(|token| token.secret().expose().to_owned()).map_err(|error| error.code());
        (answer, self.clock.now().since(began))
    }
}

fn crm() -> GrantId {
    GrantId::parse("crm").unwrap()
}

async fn pass(seconds: u64) {
    tokio::time::sleep(Duration::from_secs(seconds)).await;
}

#[tokio::test(start_paused = true)]
async fn f20_a_disk_that_hangs_after_the_rotation_keeps_nobody_waiting() {
    let world = World::new();
    let handle = world.granted().await;
    world.hang(Hanging::Answers);
    pass(101).await;
    let (answer, took) = world.ask(&handle).await;
    assert_eq!(answer.as_deref(), Ok("access-2"));
    assert!(took < Duration::from_secs(7), "{took:?}");
    assert!(!handle.is_persisted(), "and it is known that only this process has it");
    pass(3600).await;
    world.hang(Hanging::Nothing);
    pass(1).await;
    assert!(handle.is_persisted());
    assert_eq!(handle.record().await.unwrap().generation, Generation(2));
    assert_eq!(world.server.seen().requests, 1, "nothing was spent while the disk hung");
}

#[tokio::test(start_paused = true)]
async fn d1_before_the_disk_has_it_or_is_known_to_hang_nobody_is_given_a_new_token() {
    let world = World::new();
    let handle = world.granted().await;
    world.hang(Hanging::Answers);
    pass(101).await;
    let asking = tokio::spawn({
        let handle = handle.clone();
        async move { handle.access_token(Ask::default()).await.map(drop) }
    });
    pass(4).await;
    assert!(!asking.is_finished() && handle.is_persisted());
    let other = tokio::time::timeout(Duration::from_millis(500), handle.access_token(Ask::default())).await;
    assert!(other.is_err(), "nor is anybody else");
    world.hang(Hanging::Nothing);
    asking.await.unwrap().unwrap();
    assert!(handle.is_persisted());
}

#[tokio::test(start_paused = true)]
async fn f22_a_disk_that_hangs_before_the_rotation_spends_nothing_and_a_good_token_is_served() {
    let world = World::new();
    let handle = world.granted().await;
    world.hang(Hanging::Notes);
    pass(85).await;
    let (answer, took) = world.ask(&handle).await;
    assert_eq!((answer.as_deref(), took), (Ok("access-1"), Duration::ZERO));
    pass(16).await;
    let (answer, took) = world.ask(&handle).await;
    assert_eq!(answer, Err(Code::StoreUnwritable));
    assert!(took <= Duration::from_secs(31), "{took:?}");
    assert_eq!(world.server.seen().requests, 0);
    world.hang(Hanging::Nothing);
    assert_eq!(world.ask(&handle).await.0.as_deref(), Ok("access-2"));
}

#[tokio::test(start_paused = true)]
async fn l2_who_asks_while_no_record_can_be_read_is_told_so_within_half_a_minute() {
    let world = World::new();
    drop(world.granted().await);
    world.hang(Hanging::Reads);
    let handle = world.process().grant(&crm()).unwrap();
    let (answer, took) = world.ask(&handle).await;
    assert_eq!(answer, Err(Code::StoreUnwritable));
    assert!(took <= Duration::from_secs(31), "{took:?}");
    world.hang(Hanging::Nothing);
    assert_eq!(world.ask(&handle).await.0.as_deref(), Ok("access-1"));
}

/// A server that hangs is not taken for a disk that does.
#[tokio::test(start_paused = true)]
async fn a_renewal_that_waits_for_its_server_is_not_blamed_on_the_disk() {
    let world = World { server: StrictServer::new(LIFE, Duration::from_secs(3600)), ..World::new() };
    let handle = world.granted().await;
    pass(101).await;
    let (answer, took) = world.ask(&handle).await;
    assert_eq!(answer, Err(Code::CoolingDown));
    assert!(took <= Duration::from_secs(31), "{took:?}");
}
