//! An authorization server that is down is asked by one, and not by all.
#![allow(clippy::unwrap_used, missing_docs)]

use outlast::{
    Ask, BoxFuture, Clock, GrantId, GrantSettings, Keeper, Provider, Refresher, Server, Settings, Timestamp, TokenSet,
    read_token_set,
};
use outlast_core::store::Lease;
use outlast_core::wire::{Answer, Fault, Reply, TokenEndpoint, TokenRequest};
use outlast_store::MemoryStore;
use outlast_testkit::clock::SimulatedClock;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

const LIFE: u64 = 100;
const GRANTS: usize = 20;
const PROCESSES: usize = 3;

/// Renews whatever it is sent, unless it is down.
struct Flaky {
    clock: Arc<SimulatedClock>,
    down: AtomicBool,
    requests: AtomicUsize,
    at_once: AtomicUsize,
    at_once_max: AtomicUsize,
    renewed: Mutex<Vec<Timestamp>>,
}

impl Flaky {
    fn answer(&self) -> Answer {
        if self.down.load(Ordering::Relaxed) {
            return Answer::Unsent(Fault::Connect);
        }
        self.renewed.lock().unwrap().push(self.clock.now());
        Answer::Complete(Reply { status: 200, body: token_set().into_bytes(), ..Reply::default() })
    }
}

fn token_set() -> String {
    format!(r#"{{"access_token":"a","token_type":"Bearer","expires_in":{LIFE},"refresh_token":"r"}}"#)
}

impl TokenEndpoint for Flaky {
    fn ask<'a>(&'a self, _request: &'a TokenRequest) -> BoxFuture<'a, Answer> {
        Box::pin(async { Answer::Unsent(Fault::Connect) })
    }

    fn send<'a>(&'a self, _lease: &'a Lease, _request: &'a TokenRequest) -> BoxFuture<'a, Answer> {
        Box::pin(async move {
            self.requests.fetch_add(1, Ordering::Relaxed);
            let at_once = self.at_once.fetch_add(1, Ordering::Relaxed) + 1;
            self.at_once_max.fetch_max(at_once, Ordering::Relaxed);
            self.clock.sleep(Duration::from_millis(300)).await;
            self.at_once.fetch_sub(1, Ordering::Relaxed);
            self.answer()
        })
    }
}

struct World {
    server: Arc<Flaky>,
    clock: Arc<SimulatedClock>,
    keepers: Vec<(Keeper, Refresher)>,
}

fn id(number: usize) -> GrantId {
    GrantId::parse(&format!("tenant-{number}")).unwrap()
}

fn settings(number: usize) -> GrantSettings {
    let provider = Provider { token_endpoint: "https://as.example/token".to_owned(), ..Provider::default() };
    let client_id = "client".to_owned();
    GrantSettings { client_id, ..GrantSettings::new(id(number), "refresh_token", Server::from(provider)) }
}

async fn world() -> World {
    let clock = Arc::new(SimulatedClock::new());
    let server = Arc::new(Flaky {
        clock: Arc::clone(&clock),
        down: AtomicBool::new(false),
        requests: AtomicUsize::new(0),
        at_once: AtomicUsize::new(0),
        at_once_max: AtomicUsize::new(0),
        renewed: Mutex::default(),
    });
    let store = MemoryStore::new();
    let mut keepers = vec![];
    for process in 0..PROCESSES {
        let keeper = Settings::in_memory()
            .store(Arc::new(store.clone()))
            .endpoint(Arc::clone(&server) as Arc<dyn TokenEndpoint>)
            .clock(Arc::clone(&clock) as Arc<dyn Clock>)
            .grants((0..GRANTS).map(settings))
            .open()
            .unwrap();
        if process == 0 {
            for number in 0..GRANTS {
                let response = read_token_set(&token_set()).unwrap();
                keeper.grant(&id(number)).unwrap().import(TokenSet::first(response, clock.now())).await.unwrap();
            }
        }
        let refresher = keeper.refresh_in_background();
        keepers.push((keeper, refresher));
    }
    World { server, clock, keepers }
}

#[tokio::test(start_paused = true)]
async fn f30_an_hour_without_the_server_costs_75_requests_and_ends_within_90_seconds() {
    let world = world().await;
    world.clock.sleep(Duration::from_secs(300)).await;
    assert!(world.server.at_once_max.load(Ordering::Relaxed) <= 4 * PROCESSES);
    world.server.down.store(true, Ordering::Relaxed);
    let before = world.server.requests.load(Ordering::Relaxed);
    world.clock.sleep(Duration::from_secs(3600)).await;
    let asked = world.server.requests.load(Ordering::Relaxed) - before;
    assert!((50..=75).contains(&asked), "{asked} requests in an hour without answers");

    world.server.down.store(false, Ordering::Relaxed);
    let back = world.clock.now();
    world.clock.sleep(Duration::from_secs(90)).await;
    for (keeper, _) in &world.keepers {
        for number in 0..GRANTS {
            let before = world.clock.now();
            keeper.grant(&id(number)).unwrap().access_token(Ask::default()).await.unwrap();
            assert_eq!(world.clock.now(), before, "tenant-{number} is served at once");
        }
    }
    let renewed: Vec<_> = world.server.renewed.lock().unwrap().iter().filter(|at| **at >= back).copied().collect();
    let busiest = renewed.iter().map(|from| renewed.iter().filter(|at| from <= at && at.since(*from) < SECOND).count());
    assert!(busiest.max().unwrap() <= 5 * PROCESSES, "a server that is just back is not run over");
}

const SECOND: Duration = Duration::from_secs(1);

#[tokio::test(start_paused = true)]
async fn f30_a_caller_is_told_at_once_and_in_words_what_a_server_that_is_down_means() {
    let world = world().await;
    world.server.down.store(true, Ordering::Relaxed);
    world.clock.sleep(Duration::from_secs(1000)).await;
    let (keeper, _) = &world.keepers[0];
    let refused = keeper.grant(&id(7)).unwrap().access_token(Ask::default()).await.unwrap_err();
    assert_eq!(refused.code(), outlast::Code::ServerUnreachable);
    assert!(refused.retry_at().is_some_and(|at| world.clock.now().until(at) <= Duration::from_secs(60)), "{refused}");
    assert!(refused.to_string().ends_with("do not use another credential"), "{refused}");
}

#[tokio::test(start_paused = true)]
async fn f30_what_one_process_found_out_holds_for_those_that_were_put_off_meanwhile() {
    let World { server, clock, keepers } = world().await;
    let [one, other] = [0, 1].map(|process| keepers[process].0.clone());
    // Without refreshers: who asks, and when, is the test's.
    drop(keepers);
    server.down.store(true, Ordering::Relaxed);
    for number in 0..9 {
        clock.sleep(Duration::from_secs(LIFE)).await;
        one.grant(&id(number)).unwrap().access_token(Ask::default()).await.unwrap_err();
    }
    server.down.store(false, Ordering::Relaxed);
    clock.sleep(Duration::from_secs(LIFE)).await;
    let probing = one.grant(&id(10)).unwrap();
    let probe = tokio::spawn(async move { probing.access_token(Ask::default()).await });
    clock.sleep(Duration::from_millis(100)).await;
    other.grant(&id(11)).unwrap().access_token(Ask::default()).await.unwrap_err();
    probe.await.unwrap().unwrap();
    let back = clock.now();
    other.grant(&id(12)).unwrap().access_token(Ask::default()).await.unwrap();
    assert!(clock.now().since(back) < SECOND * 2, "{:?} after the answer", clock.now().since(back));
}
