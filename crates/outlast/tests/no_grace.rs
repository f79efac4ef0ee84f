//! A server that is known to end the whole family when a replaced refresh token comes back: after a lost answer the
//! token in doubt is not sent again while the access token is worth more (D4).
#![allow(clippy::unwrap_used, missing_docs)]

use outlast::{Ask, By, Code, GrantHandle, GrantId, GrantSettings, Keeper, Provider, Rejected, Server, Settings};
use outlast::{Standing, TokenSet};
use outlast_core::{Clock, TokenStore};
use outlast_store::MemoryStore;
use outlast_testkit::clock::SimulatedClock;
use outlast_testkit::strict_server::{StrictServer, Trick};
use std::sync::Arc;
use std::time::Duration;

const LIFE: Duration = Duration::from_secs(1000);

struct World {
    server: StrictServer,
    clock: Arc<SimulatedClock>,
    store: MemoryStore,
    grace: Option<Duration>,
}

impl World {
    fn new(grace: Option<Duration>) -> Self {
        let server = StrictServer::new(LIFE, Duration::from_millis(200));
        Self { server, clock: Arc::new(SimulatedClock::new()), store: MemoryStore::new(), grace }
    }

    fn process(&self) -> Keeper {
        let provider = Provider { token_endpoint: "https://as.example/token".to_owned(), ..Provider::default() };
        let settings = GrantSettings {
            client_id: "client".to_owned(),
            grace: self.grace,
            ..GrantSettings::new(crm(), "refresh_token", Server::from(provider))
        };
        Settings::in_memory()
            .store(Arc::new(self.store.clone()) as Arc<dyn TokenStore>)
            .endpoint(Arc::new(self.server.clone()))
            .clock(Arc::clone(&self.clock) as Arc<dyn Clock>)
            .grant(settings)
            .open()
            .unwrap()
    }

    /// A grant whose renewal was asked for by a person 100 s into the token's life, and met that.
    async fn in_doubt(&self, trick: Trick) -> GrantHandle {
        let handle = self.process().grant(&crm()).unwrap();
        handle.import(TokenSet::first(self.server.issue(), self.clock.now())).await.unwrap();
        pass(100).await;
        self.server.play([trick]);
        let began = self.clock.now();
        let told = handle.access_token(self.complaint(By::Person)).await.unwrap_err();
        assert_eq!(told.code(), Code::InDoubt, "{told}");
        assert!(self.clock.now().since(began) < Duration::from_secs(1), "nobody is kept waiting for the end of that");
        handle
    }

    fn complaint(&self, by: By) -> Ask {
        Ask { rejected: Some(Rejected { generation: outlast::Generation(1), by }), ..Ask::default() }
    }
}

fn crm() -> GrantId {
    GrantId::parse("crm").unwrap()
}

async fn pass(seconds: u64) {
    tokio::time::sleep(Duration::from_secs(seconds)).await;
}

async fn access(handle: &GrantHandle) -> String {
    handle.access_token(Ask::default()).await.unwrap().secret().expose().to_owned()
}

#[tokio::test(start_paused = true)]
async fn d4_a_token_in_doubt_is_not_sent_again_while_the_access_token_is_worth_more() {
    let world = World::new(Some(Duration::ZERO));
    let handle = world.in_doubt(Trick::LoseAnswer).await;
    let _refresher = handle.keeper().refresh_in_background();
    for _ in 0..69 {
        pass(10).await;
        assert_eq!(access(&handle).await, "access-1");
        // Another process, or one that was started since, holds it back too.
        assert_eq!(access(&world.process().grant(&crm()).unwrap()).await, "access-1");
    }
    assert_eq!((world.server.seen().requests, world.server.seen().revoked), (1, false));
    pass(20).await;
    assert_eq!((world.server.seen().requests, world.server.seen().revoked), (2, true));
    let record = handle.record().await.unwrap();
    assert!(matches!(record.standing, Standing::Parked { .. }), "{:?}", record.standing);
    assert_eq!(access(&handle).await, "access-1", "what is left of it is served, as far as we know");
}

#[tokio::test(start_paused = true)]
async fn d4_a_request_that_was_lost_on_its_way_is_repeated_in_time() {
    let world = World::new(Some(Duration::ZERO));
    let handle = world.in_doubt(Trick::Status(500)).await;
    let _refresher = handle.keeper().refresh_in_background();
    pass(720).await;
    assert_eq!(access(&handle).await, "access-2");
    assert_eq!((world.server.seen().requests, world.server.seen().reuse_alarms), (2, 0));
}

#[tokio::test(start_paused = true)]
async fn d4_where_a_resource_refuses_the_token_there_is_nothing_to_hold_back_for() {
    let world = World::new(Some(Duration::ZERO));
    let handle = world.in_doubt(Trick::Status(500)).await;
    let refused = world.complaint(By::Resource { accepted: true });
    let began = world.clock.now();
    assert_eq!(handle.access_token(refused).await.unwrap().secret().expose(), "access-2");
    assert!(world.clock.now().since(began) < Duration::from_secs(2));
}

#[tokio::test(start_paused = true)]
async fn d4_where_nothing_or_some_grace_is_known_the_first_repetition_is_quick() {
    for grace in [None, Some(Duration::from_secs(30))] {
        let world = World { grace, ..World::new(None) };
        let handle = world.process().grant(&crm()).unwrap();
        handle.import(TokenSet::first(world.server.issue(), world.clock.now())).await.unwrap();
        world.server.play([Trick::Status(500)]);
        let began = world.clock.now();
        let renewed = handle.access_token(world.complaint(By::Person)).await.unwrap();
        assert_eq!(renewed.secret().expose(), "access-2", "{grace:?}");
        assert!(world.clock.now().since(began) < Duration::from_secs(2), "{grace:?}");
    }
}
