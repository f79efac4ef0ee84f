//! What the keeper promises, against a strict server that counts.
#![allow(clippy::unwrap_used, missing_docs)]

use outlast::{Ask, By, Code, GrantHandle, GrantId, GrantSettings, Keeper, Provider, Rejected, Server};
use outlast::{Generation, Settings, Standing, TokenSet};
use outlast_core::store::{Lease, StoreError, TokenStore};
use outlast_core::wire::{Answer, TokenEndpoint, TokenRequest};
use outlast_core::{BoxFuture, Clock, Grant};
use outlast_store::MemoryStore;
use outlast_testkit::clock::SimulatedClock;
use outlast_testkit::strict_server::{StrictServer, Trick};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

const LIFE: Duration = Duration::from_secs(100);

fn crm() -> GrantId {
    GrantId::parse("crm").unwrap()
}

fn settings() -> GrantSettings {
    let provider = Provider { token_endpoint: "https://as.example/token".to_owned(), ..Provider::default() };
    GrantSettings {
        client_id: "client".to_owned(),
        ..GrantSettings::new(crm(), "refresh_token", Server::from(provider))
    }
}

struct World {
    server: StrictServer,
    clock: Arc<SimulatedClock>,
    store: Arc<dyn TokenStore>,
}

impl World {
    fn new() -> Self {
        Self::over(Arc::new(MemoryStore::new()))
    }

    fn over(store: Arc<dyn TokenStore>) -> Self {
        let server = StrictServer::new(LIFE, Duration::from_millis(200));
        Self { server, clock: Arc::new(SimulatedClock::new()), store }
    }

    /// Another process over the same store.
    fn process(&self) -> Keeper {
        Settings::in_memory()
            .store(Arc::clone(&self.store))
            .endpoint(Arc::new(self.server.clone()))
            .clock(Arc::clone(&self.clock) as Arc<dyn Clock>)
            .grant(settings())
            .open()
            .unwrap()
    }

    async fn granted(&self) -> GrantHandle {
        let handle = self.process().grant(&crm()).unwrap();
        handle.import(TokenSet::first(self.server.issue(), self.clock.now())).await.unwrap();
        handle
    }
}

async fn pass(secs: u64) {
    tokio::time::sleep(Duration::from_secs(secs)).await;
}

async fn access(handle: &GrantHandle) -> String {
    handle.access_token(Ask::default()).await.unwrap().secret().expose().to_owned()
}

fn refused(generation: u64) -> Ask {
    refused_by(generation, By::Resource { accepted: true })
}

fn refused_by(generation: u64, by: By) -> Ask {
    Ask { rejected: Some(Rejected { generation: Generation(generation), by }), ..Ask::default() }
}

#[tokio::test(start_paused = true)]
async fn f07_a_thousand_tasks_at_expiry_cause_one_refresh_and_get_one_answer() {
    let world = World::new();
    let handle = world.granted().await;
    pass(101).await;
    let asking: Vec<_> = (0..1000)
        .map(|_| {
            tokio::spawn({
                let handle = handle.clone();
                async move { access(&handle).await }
            })
        })
        .collect();
    for answer in asking {
        assert_eq!(answer.await.unwrap(), "access-2");
    }
    let seen = world.server.seen();
    assert_eq!((seen.requests, seen.rotations, seen.reuse_alarms), (1, 1, 0));
}

#[tokio::test(start_paused = true)]
async fn r1_many_processes_at_expiry_cause_one_refresh() {
    let world = World::new();
    world.granted().await;
    pass(101).await;
    let processes: Vec<_> = (0..50).map(|_| world.process().grant(&crm()).unwrap()).collect();
    let asking: Vec<_> =
        processes.into_iter().map(|handle| tokio::spawn(async move { access(&handle).await })).collect();
    for answer in asking {
        assert_eq!(answer.await.unwrap(), "access-2");
    }
    assert_eq!((world.server.seen().requests, world.server.seen().reuse_alarms), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn a_due_token_is_served_at_once_and_renewed_behind_the_caller() {
    let world = World::new();
    let handle = world.granted().await;
    pass(85).await;
    let before = world.clock.now();
    assert_eq!(access(&handle).await, "access-1");
    assert_eq!(world.clock.now(), before, "the caller waited");
    pass(1).await;
    assert_eq!(access(&handle).await, "access-2");
    assert_eq!(world.server.seen().requests, 1);
}

#[tokio::test(start_paused = true)]
async fn f77_a_keeper_that_is_closed_ends_what_is_under_way_and_begins_nothing_more() {
    let world = World::new();
    let handle = world.granted().await;
    handle.keeper().settled().await;
    pass(101).await;
    // The answer takes 200 ms; its caller has gone, and the process is told to stop.
    let caller = tokio::time::timeout(Duration::from_millis(100), handle.access_token(Ask::default())).await;
    assert!(caller.is_err());
    handle.keeper().close();
    assert!(tokio::time::timeout(Duration::from_millis(50), handle.keeper().settled()).await.is_err(), "not yet");
    handle.keeper().settled().await;
    let record = handle.record().await.unwrap();
    assert_eq!((record.generation, record.standing), (Generation(2), Standing::Live), "the answer is on disk");
    let refused = handle.access_token(refused(2)).await.unwrap_err();
    assert_eq!(refused.code(), Code::CoolingDown);
    assert!(refused.to_string().contains("is being stopped"), "{refused}");
    assert_eq!(handle.record().await.unwrap(), record, "not even a note was made");
    assert_eq!(access(&handle).await, "access-2", "what is held is served to the end");
    assert_eq!(world.server.seen().requests, 1);
}

/// A store whose lock files a cleaner removes: each lease is lost as soon as it is had, `times` times.
struct Cleaned {
    store: MemoryStore,
    times: Arc<std::sync::atomic::AtomicUsize>,
}

impl TokenStore for Cleaned {
    fn list(&self) -> BoxFuture<'_, Result<Vec<GrantId>, StoreError>> {
        self.store.list()
    }

    fn load<'a>(&'a self, id: &'a GrantId) -> BoxFuture<'a, Result<Option<Grant>, StoreError>> {
        self.store.load(id)
    }

    fn lease<'a>(&'a self, id: &'a GrantId, patience: Duration) -> BoxFuture<'a, Result<Lease, StoreError>> {
        Box::pin(async move {
            let lost = self.times.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_ok();
            Ok(self.store.lease(id, patience).await?.watched(move || !lost))
        })
    }

    fn commit<'a>(
        &'a self,
        lease: &'a Lease,
        expected: Generation,
        next: &'a Grant,
    ) -> BoxFuture<'a, Result<(), StoreError>> {
        self.store.commit(lease, expected, next)
    }

    fn forget<'a>(&'a self, lease: &'a Lease, expected: Generation) -> BoxFuture<'a, Result<(), StoreError>> {
        self.store.forget(lease, expected)
    }
}

#[tokio::test(start_paused = true)]
async fn f11_whoever_lost_its_lease_sends_nothing_and_looks_again() {
    let times = Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let world = World::over(Arc::new(Cleaned { store: MemoryStore::new(), times: Arc::clone(&times) }));
    let handle = world.granted().await;
    pass(101).await;
    times.store(1000, Ordering::SeqCst);
    let refused = handle.access_token(Ask::default()).await.unwrap_err();
    assert_eq!((refused.code(), world.server.seen().requests), (Code::StoreBusy, 0));
    let record = handle.record().await.unwrap();
    assert_eq!((record.standing, record.in_doubt, record.failures), (Standing::Live, false, 0), "nothing was spent");
    times.store(2, Ordering::SeqCst);
    assert_eq!(access(&handle).await, "access-2");
    assert_eq!((world.server.seen().requests, world.server.seen().reuse_alarms), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn f06_a_caller_that_goes_away_cancels_nothing() {
    let world = World::new();
    let handle = world.granted().await;
    pass(101).await;
    let caller = tokio::spawn({
        let handle = handle.clone();
        async move { access(&handle).await }
    });
    tokio::time::sleep(Duration::from_millis(100)).await;
    caller.abort();
    pass(1).await;
    assert_eq!(handle.record().await.unwrap().generation, Generation(2));
    assert_eq!(access(&handle).await, "access-2");
    assert_eq!(world.server.seen().requests, 1);
}

#[tokio::test(start_paused = true)]
async fn r5_a_proactive_renewal_that_fails_takes_no_valid_token_away() {
    let world = World::new();
    let handle = world.granted().await;
    world.server.play([Trick::Unreachable, Trick::Status(503), Trick::Html]);
    for _ in 0..15 {
        pass(1).await;
        assert_eq!(access(&handle).await, "access-1");
    }
    pass(70).await;
    for _ in 0..10 {
        access(&handle).await;
        pass(1).await;
    }
    assert!(world.server.seen().requests >= 3);
    pass(10).await;
    assert!(access(&handle).await != "access-1");
    assert_eq!(world.server.seen().reuse_alarms, 0);
}

#[tokio::test(start_paused = true)]
async fn fifty_complaints_about_one_generation_cause_one_renewal() {
    let world = World::new();
    let handle = world.granted().await;
    pass(10).await;
    let asking: Vec<_> = (0..50)
        .map(|_| {
            tokio::spawn({
                let handle = handle.clone();
                async move { handle.access_token(refused(1)).await.unwrap().generation() }
            })
        })
        .collect();
    for answer in asking {
        assert_eq!(answer.await.unwrap(), Generation(2));
    }
    assert_eq!(world.server.seen().requests, 1);
    assert_eq!(handle.access_token(refused(1)).await.unwrap().generation(), Generation(2));
    assert_eq!(world.server.seen().requests, 1);
}

#[tokio::test(start_paused = true)]
async fn r2_a_dead_grant_is_parked_and_the_next_login_revives_every_process() {
    let world = World::new();
    let handle = world.granted().await;
    world.server.play([Trick::Refuse("invalid_grant")]);
    pass(101).await;
    let error = handle.access_token(Ask::default()).await.unwrap_err();
    assert_eq!(error.code(), Code::NeedsUser);
    let waiting = tokio::spawn({
        let other = world.process().grant(&crm()).unwrap();
        async move { other.access_token_within(Ask::default(), Duration::from_secs(60)).await.map(|t| t.generation()) }
    });
    pass(20).await;
    handle.import(TokenSet::first(world.server.issue(), world.clock.now())).await.unwrap();
    let before = world.clock.now();
    assert_eq!(waiting.await.unwrap().unwrap(), Generation(2));
    assert!(world.clock.now().since(before) < Duration::from_secs(5));
    assert_eq!(world.server.seen().requests, 1, "a dead grant was asked for again");
}

#[tokio::test(start_paused = true)]
async fn f03_a_lost_answer_is_tried_again_twice_and_then_called_what_it_is() {
    let world = World::new();
    let handle = world.granted().await;
    world.server.play([Trick::LoseAnswer]);
    pass(101).await;
    let error = handle.access_token(Ask::default()).await.unwrap_err();
    assert_eq!(error.code(), Code::LostRotation);
    let grant = handle.record().await.unwrap();
    assert!(grant.tokens.unwrap().refresh.is_some(), "nothing held is erased");
    assert_eq!(world.server.seen().requests, 2, "one attempt in doubt and one that settled it");
}

#[tokio::test(start_paused = true)]
async fn f02_a_crash_with_a_token_in_flight_is_noticed_by_the_next_process() {
    let world = World::new();
    let handle = world.granted().await;
    let lease = world.store.lease(&crm(), Duration::from_secs(1)).await.unwrap();
    let held = handle.record().await.unwrap();
    let standing = Standing::Renewing { since: world.clock.now(), attempt: 1 };
    let intent = Grant { standing, ..held.clone() };
    world.store.commit(&lease, held.generation, &intent).await.unwrap();
    drop(lease);
    pass(101).await;
    let other = world.process().grant(&crm()).unwrap();
    assert_eq!(access(&other).await, "access-2");
    assert_eq!(other.record().await.unwrap().standing, Standing::Live);
}

#[tokio::test(start_paused = true)]
async fn the_refresher_renews_without_being_asked_and_no_more_often_than_lives_end() {
    let world = World::new();
    let handle = world.granted().await;
    let _refresher = handle.keeper().refresh_in_background();
    for _ in 0..1000 {
        pass(1).await;
        let token = handle.access_token(Ask::default()).await.unwrap();
        assert!(token.expires_at().unwrap() > world.clock.now(), "an expired token was served");
    }
    let seen = world.server.seen();
    assert!((12..=15).contains(&seen.requests), "{seen:?}");
    assert_eq!((seen.at_once_max, seen.reuse_alarms), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn f30_an_outage_of_an_hour_is_asked_about_rarely_and_ends_soon_after_it() {
    let world = World::new();
    let handle = world.granted().await;
    let _refresher = handle.keeper().refresh_in_background();
    world.server.play(std::iter::repeat_n(Trick::Unreachable, 70));
    pass(3600).await;
    let during = world.server.seen().requests;
    assert!(during <= 75, "{during}");
    pass(900).await;
    assert_eq!(handle.record().await.unwrap().standing, Standing::Live);
    assert!(access(&handle).await != "access-1");
}

/// A store whose disk fills up.
struct FullDisk {
    inner: MemoryStore,
    full: AtomicBool,
    full_after_intent: AtomicBool,
    trouble: fn() -> StoreError,
}

impl FullDisk {
    fn new() -> Self {
        Self::with(|| StoreError::Unwritable { detail: "no space left on device".to_owned() })
    }

    fn with(trouble: fn() -> StoreError) -> Self {
        let (full, full_after_intent) = (AtomicBool::new(false), AtomicBool::new(false));
        Self { inner: MemoryStore::new(), full, full_after_intent, trouble }
    }
}

impl TokenStore for FullDisk {
    fn list(&self) -> BoxFuture<'_, Result<Vec<GrantId>, StoreError>> {
        self.inner.list()
    }
    fn load<'a>(&'a self, id: &'a GrantId) -> BoxFuture<'a, Result<Option<Grant>, StoreError>> {
        self.inner.load(id)
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
        let full = self.full.load(Ordering::SeqCst);
        if self.full_after_intent.load(Ordering::SeqCst) && matches!(next.standing, Standing::Renewing { .. }) {
            self.full.store(true, Ordering::SeqCst);
        }
        match full {
            true => Box::pin(async { Err((self.trouble)()) }),
            false => self.inner.commit(lease, expected, next),
        }
    }
    fn forget<'a>(&'a self, lease: &'a Lease, expected: Generation) -> BoxFuture<'a, Result<(), StoreError>> {
        self.inner.forget(lease, expected)
    }
}

#[tokio::test(start_paused = true)]
async fn r4_with_a_full_disk_no_request_is_sent_and_a_good_token_is_still_served() {
    let disk = Arc::new(FullDisk::new());
    let world = World::over(Arc::clone(&disk) as Arc<dyn TokenStore>);
    let handle = world.granted().await;
    disk.full.store(true, Ordering::SeqCst);
    pass(85).await;
    assert_eq!(access(&handle).await, "access-1");
    pass(16).await;
    let error = handle.access_token(Ask::default()).await.unwrap_err();
    assert_eq!(error.code(), Code::StoreUnwritable);
    assert_eq!(world.server.seen().requests, 0);
    disk.full.store(false, Ordering::SeqCst);
    assert_eq!(access(&handle).await, "access-2");
}

#[tokio::test(start_paused = true)]
async fn f20_a_disk_that_fills_up_during_a_renewal_loses_nothing() {
    let disk = Arc::new(FullDisk::new());
    let world = World::over(Arc::clone(&disk) as Arc<dyn TokenStore>);
    let handle = world.granted().await;
    disk.full_after_intent.store(true, Ordering::SeqCst);
    pass(85).await;
    access(&handle).await;
    pass(3).await;
    assert_eq!(access(&handle).await, "access-2", "what the server rotated to is served from memory");
    disk.full_after_intent.store(false, Ordering::SeqCst);
    disk.full.store(false, Ordering::SeqCst);
    pass(61).await;
    let other = world.process().grant(&crm()).unwrap();
    assert_eq!(other.record().await.unwrap().generation, Generation(2), "and written down as soon as that works");
}

#[tokio::test(start_paused = true)]
async fn f20_whatever_the_trouble_of_the_store_a_rotated_token_set_is_served_and_written_down_later() {
    let troubles: [fn() -> StoreError; 4] = [
        || StoreError::Unwritable { detail: "no space left on device".to_owned() },
        || StoreError::Busy { grant: crm() },
        || StoreError::Corrupt { detail: "outlast.db has gone".to_owned() },
        || StoreError::Insecure { detail: "open to others".to_owned(), mend: "chmod".to_owned() },
    ];
    for trouble in troubles {
        let disk = Arc::new(FullDisk::with(trouble));
        let world = World::over(Arc::clone(&disk) as Arc<dyn TokenStore>);
        let handle = world.granted().await;
        disk.full_after_intent.store(true, Ordering::SeqCst);
        pass(101).await;
        let before = world.clock.now();
        assert_eq!(access(&handle).await, "access-2", "{:?}", trouble());
        assert!(world.clock.now().since(before) < Duration::from_secs(1), "nobody waits for the disk");
        assert!(!handle.is_persisted());
        disk.full_after_intent.store(false, Ordering::SeqCst);
        disk.full.store(false, Ordering::SeqCst);
        pass(2).await;
        assert!(handle.is_persisted());
        let other = world.process().grant(&crm()).unwrap();
        assert_eq!(access(&other).await, "access-2");
        assert_eq!(world.server.seen().requests, 1);
    }
}

#[tokio::test(start_paused = true)]
async fn f20_a_set_that_ends_while_the_disk_refuses_it_is_waited_for_and_not_asked_for_in_a_circle() {
    let disk = Arc::new(FullDisk::new());
    let world = World::over(Arc::clone(&disk) as Arc<dyn TokenStore>);
    let handle = world.granted().await;
    disk.full_after_intent.store(true, Ordering::SeqCst);
    pass(101).await;
    assert_eq!(access(&handle).await, "access-2");
    for ask in [refused(2), Ask::default()] {
        let before = world.clock.now();
        let answer = handle.access_token(ask).await;
        assert!(answer.is_err(), "nothing newer can be had before the disk has this one");
        let waited = world.clock.now().since(before);
        assert!(waited <= Duration::from_secs(30), "{waited:?}");
        pass(100).await;
    }
    assert_eq!(world.server.seen().requests, 1);
}

#[tokio::test(start_paused = true)]
async fn f17_after_a_suspend_the_first_ask_gets_a_new_token() {
    let world = World::new();
    let handle = world.granted().await;
    assert_eq!(access(&handle).await, "access-1");
    world.clock.suspend(Duration::from_secs(3 * 3600));
    assert_eq!(access(&handle).await, "access-2");
}

#[tokio::test(start_paused = true)]
async fn n48_tokens_of_one_server_are_never_sent_to_another() {
    let world = World::new();
    world.granted().await;
    let provider = Provider { token_endpoint: "https://elsewhere.example/token".to_owned(), ..Provider::default() };
    let moved = GrantSettings { server: Server::from(provider), ..settings() };
    let keeper = Settings::in_memory()
        .store(Arc::clone(&world.store))
        .endpoint(Arc::new(world.server.clone()))
        .clock(Arc::clone(&world.clock) as Arc<dyn Clock>)
        .grant(moved)
        .open()
        .unwrap();
    pass(101).await;
    let error = keeper.access_token(&crm(), Ask::default()).await.unwrap_err();
    assert_eq!(error.code(), Code::AuthorizationServerChanged);
    assert_eq!(world.server.seen().requests, 0);
}

#[tokio::test(start_paused = true)]
async fn l2_every_caller_gets_an_answer_within_half_a_minute() {
    let world = World::new();
    let handle = world.granted().await;
    world.server.play(std::iter::repeat_n(Trick::Unreachable, 1000));
    pass(101).await;
    for _ in 0..5 {
        let before = world.clock.now();
        let error = handle.access_token(Ask::default()).await.unwrap_err();
        assert_eq!(error.code(), Code::ServerUnreachable);
        assert!(world.clock.now().since(before) <= Duration::from_secs(31));
    }
}

#[tokio::test(start_paused = true)]
async fn a_forced_renewal_that_fails_does_not_open_the_breaker() {
    for trick in [Trick::Unreachable, Trick::Status(503), Trick::Html] {
        let world = World::new();
        let handle = world.granted().await;
        pass(10).await;
        world.server.play([trick]);
        let before = world.clock.now();
        let token = handle.access_token(refused(1)).await.unwrap();
        assert_eq!(token.generation(), Generation(2), "{trick:?}");
        assert!(world.clock.now().since(before) < Duration::from_secs(5), "{trick:?}");
    }
}

/// The road to two servers; each request names its own.
struct Road([(GrantSettings, StrictServer); 2]);

impl TokenEndpoint for Road {
    fn send<'a>(&'a self, lease: &'a Lease, request: &'a TokenRequest) -> BoxFuture<'a, Answer> {
        let named = |(settings, _): &&(GrantSettings, StrictServer)| settings.id == *lease.grant();
        self.0.iter().find(named).unwrap().1.send(lease, request)
    }

    fn ask<'a>(&'a self, request: &'a TokenRequest) -> BoxFuture<'a, Answer> {
        self.0[0].1.ask(request)
    }
}

#[tokio::test(start_paused = true)]
async fn d12_a_breaker_is_that_of_its_grant_in_every_process_and_of_no_other_grant() {
    let world = World::new();
    let mail = GrantSettings { id: GrantId::parse("mail").unwrap(), ..settings() };
    let (mail_id, mail_server) = (mail.id.clone(), StrictServer::new(LIFE, Duration::from_millis(200)));
    let road = Arc::new(Road([(settings(), world.server.clone()), (mail.clone(), mail_server.clone())]));
    let process = || {
        Settings::in_memory()
            .store(Arc::clone(&world.store))
            .endpoint(Arc::clone(&road) as Arc<dyn TokenEndpoint>)
            .clock(Arc::clone(&world.clock) as Arc<dyn Clock>)
            .grants([settings(), mail.clone()])
            .open()
            .unwrap()
    };
    let first = process();
    for (id, server) in [(crm(), &world.server), (mail_id.clone(), &mail_server)] {
        first.grant(&id).unwrap().import(TokenSet::first(server.issue(), world.clock.now())).await.unwrap();
    }
    let never_taken = |generation| refused_by(generation, By::Resource { accepted: false });
    assert_eq!(first.access_token(&crm(), never_taken(1)).await.unwrap().generation(), Generation(2));
    for other in [process(), first.clone()] {
        let error = other.access_token(&crm(), never_taken(2)).await.unwrap_err();
        assert_eq!(error.code(), Code::RejectedAfterRenewal, "it knows what the first one did");
    }
    assert_eq!(first.access_token(&mail_id, never_taken(1)).await.unwrap().generation(), Generation(2));
    assert_eq!((world.server.seen().requests, mail_server.seen().requests), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn f47_an_idle_grant_is_kept_alive_though_nobody_knows_the_life_of_its_token() {
    const DAY: u64 = 24 * 60 * 60;
    let world = World::new();
    let keeper = Settings::in_memory()
        .store(Arc::clone(&world.store))
        .endpoint(Arc::new(world.server.clone()))
        .clock(Arc::clone(&world.clock) as Arc<dyn Clock>)
        .grant(GrantSettings { renew_within: Some(Duration::from_secs(7 * DAY)), ..settings() })
        .open()
        .unwrap();
    let mut tokens = TokenSet::first(world.server.issue(), world.clock.now());
    tokens.expires_at = None;
    keeper.grant(&crm()).unwrap().import(tokens).await.unwrap();
    let _refresher = keeper.refresh_in_background();
    pass(7 * DAY - 60).await;
    assert_eq!(world.server.seen().requests, 0, "nothing is due yet");
    pass(120).await;
    assert!(world.server.seen().requests >= 1, "the grant was left to end");
}
