//! The keeper calls its ports as the processes of the model do, in the same order: what was searched in
//! `outlast-model` is this protocol and no other (T8).
#![allow(clippy::unwrap_used, missing_docs)]

use futures_util::FutureExt;
use outlast::{Ask, GrantHandle, GrantId, GrantSettings, Provider, Server, Settings, Standing, TokenSet};
use outlast_core::store::{Fence, Lease, StoreError, TokenStore};
use outlast_core::wire::{Answer, Fault, TokenEndpoint, TokenRequest};
use outlast_core::{BoxFuture, Clock, Generation, Grant};
use outlast_model::call::Call;
use outlast_model::checker::Model;
use outlast_model::decisions::{LIFE_SECS, standing};
use outlast_model::event::Action;
use outlast_model::event::Action::{Advance, Answer as Answered, Crash, Disconnect, Lose, Serve, Steal, Stop};
use outlast_model::event::Action::{Tick, TimeOut, Wake};
use outlast_model::protocol::Renewal;
use outlast_model::world::{Faults, World};
use outlast_testkit::clock::SimulatedClock;
use outlast_testkit::strict_server::{StrictServer, Trick};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

/// The ports of one process, which write down how they are called.
struct Ports {
    server: StrictServer,
    record: Mutex<Option<Grant>>,
    epoch: AtomicU64,
    turn: Arc<tokio::sync::Mutex<()>>,
    /// The lock is gone when it is next looked at.
    stolen: AtomicBool,
    /// Another process writes while the next request is under way.
    overtaken: AtomicBool,
    calls: Mutex<Vec<Call>>,
    handle: OnceLock<GrantHandle>,
}

impl Ports {
    fn note(&self, call: Call) {
        self.calls.lock().unwrap().push(call);
    }

    /// What a consumer is served at this moment.
    fn shown(&self) -> Option<u64> {
        let token = self.handle.get()?.access_token(Ask::default()).now_or_never()?;
        token.ok().map(|token| token.generation().0)
    }

    fn read(&self) -> Option<Grant> {
        self.record.lock().unwrap().clone()
    }
}

/// Gives the lease back, and says what consumers see by then.
struct Held(Arc<Ports>, #[expect(dead_code, reason = "held until it is dropped")] tokio::sync::OwnedMutexGuard<()>);

impl Drop for Held {
    fn drop(&mut self) {
        self.0.note(Call::Release { shown: self.0.shown() });
    }
}

/// The store and the server of the process.
#[derive(Clone)]
struct Port(Arc<Ports>);

impl TokenStore for Port {
    fn list(&self) -> BoxFuture<'_, Result<Vec<GrantId>, StoreError>> {
        Box::pin(async { Ok(Vec::new()) })
    }

    fn load<'a>(&'a self, _: &'a GrantId) -> BoxFuture<'a, Result<Option<Grant>, StoreError>> {
        self.0.note(Call::Load);
        Box::pin(async { Ok(self.0.read()) })
    }

    fn lease<'a>(&'a self, id: &'a GrantId, _: Duration) -> BoxFuture<'a, Result<Lease, StoreError>> {
        Box::pin(async move {
            let turn = Arc::clone(&self.0.turn).lock_owned().await;
            self.0.note(Call::Lease);
            let ports = Arc::clone(&self.0);
            let lease = Lease::new(id.clone(), Fence(self.0.epoch.load(Ordering::SeqCst)), Held(ports, turn));
            let ports = Arc::clone(&self.0);
            Ok(lease.watched(move || !ports.stolen.swap(false, Ordering::SeqCst)))
        })
    }

    fn commit<'a>(
        &'a self,
        lease: &'a Lease,
        expected: Generation,
        next: &'a Grant,
    ) -> BoxFuture<'a, Result<(), StoreError>> {
        Box::pin(async move {
            let shown = self.0.shown();
            let mut record = self.0.record.lock().unwrap();
            let found = record.as_ref().map_or(Generation(0), |held| held.generation);
            if found != expected || lease.fence() != Fence(self.0.epoch.load(Ordering::SeqCst)) {
                self.0.note(Call::WriteRefused);
                return Err(StoreError::Fenced { grant: next.id.clone() });
            }
            self.0.note(Call::Write { generation: next.generation.0, standing: standing(next.standing), shown });
            *record = Some(next.clone());
            lease.advance(Fence(self.0.epoch.fetch_add(1, Ordering::SeqCst) + 1));
            Ok(())
        })
    }

    fn forget<'a>(&'a self, lease: &'a Lease, _: Generation) -> BoxFuture<'a, Result<(), StoreError>> {
        Box::pin(async { Err(StoreError::Fenced { grant: lease.grant().clone() }) })
    }
}

impl TokenEndpoint for Port {
    fn send<'a>(&'a self, lease: &'a Lease, request: &'a TokenRequest) -> BoxFuture<'a, Answer> {
        Box::pin(async move {
            if !lease.watch().is_held() {
                return Answer::Unsent(Fault::LeaseLost);
            }
            let answer = self.0.server.send(lease, request).await;
            // The model's process that cannot connect has sent nothing.
            if !matches!(answer, Answer::Unsent(_)) {
                self.0.note(Call::Send);
            }
            if self.0.overtaken.swap(false, Ordering::SeqCst) {
                self.0.epoch.fetch_add(1, Ordering::SeqCst);
            }
            answer
        })
    }

    fn ask<'a>(&'a self, _: &'a TokenRequest) -> BoxFuture<'a, Answer> {
        Box::pin(async { Answer::Unsent(Fault::Connect) })
    }
}

/// A process whose token is due.
async fn due() -> (Arc<Ports>, Arc<SimulatedClock>) {
    let life = Duration::from_secs(LIFE_SECS);
    let clock = Arc::new(SimulatedClock::new());
    let ports = Arc::new(Ports {
        server: StrictServer::new(life, Duration::from_millis(1)),
        record: Mutex::default(),
        epoch: AtomicU64::new(1),
        turn: Arc::default(),
        stolen: AtomicBool::new(false),
        overtaken: AtomicBool::new(false),
        calls: Mutex::default(),
        handle: OnceLock::new(),
    });
    let provider = Provider { token_endpoint: "https://as.example/token".to_owned(), ..Provider::default() };
    let id = GrantId::parse("model").unwrap();
    let keeper = Settings::in_memory()
        .store(Arc::new(Port(Arc::clone(&ports))))
        .endpoint(Arc::new(Port(Arc::clone(&ports))))
        .clock(Arc::clone(&clock) as Arc<dyn Clock>)
        .grant(GrantSettings {
            client_id: "client".to_owned(),
            ..GrantSettings::new(id.clone(), "refresh_token", Server::from(provider))
        })
        .open()
        .unwrap();
    let handle = keeper.grant(&id).unwrap();
    handle.import(TokenSet::first(ports.server.issue(), clock.now())).await.unwrap();
    assert!(ports.handle.set(handle).is_ok());
    tokio::time::sleep(life * 9 / 10).await;
    (ports, clock)
}

/// The calls of one renewal of the keeper.
async fn calls(ports: &Arc<Ports>) -> Vec<Call> {
    ports.calls.lock().unwrap().clear();
    ports.handle.get().unwrap().renew_if_due().await;
    // The task of the flight lets go of its lease before its callers are told.
    ports.calls.lock().unwrap().clone()
}

/// The model with any fault, and its first moment at which a renewal is due.
fn model() -> (Renewal, World) {
    let renewal = Renewal::new(0, Faults { crashes: 1, stops: 1, losses: 1, copies: 0, thefts: 1 }, 2);
    let world = renewal.after(&renewal.initial(), Tick).unwrap();
    (renewal, world)
}

const NOTED: [Action; 4] = [Advance(0), Advance(0), Advance(0), Advance(0)];
const SENT: [Action; 2] = [Advance(0), Advance(0)];
/// From the answer to the end of the lease.
const SETTLED: [Action; 4] = [Answered(0), Advance(0), Advance(0), Advance(0)];

fn modelled(change: impl FnOnce(&mut World), actions: &[&[Action]]) -> Vec<Call> {
    let (renewal, mut world) = model();
    change(&mut world);
    renewal.calls(world, 0, &actions.concat()).1
}

#[tokio::test(start_paused = true)]
async fn a_renewal_that_succeeds() {
    let expected = modelled(|_| {}, &[&NOTED, &SENT, &[Serve(0)], &SETTLED]);
    assert_eq!(expected.len(), 6, "{expected:?}");
    assert_eq!(calls(&due().await.0).await, expected);
}

#[tokio::test(start_paused = true)]
async fn a_renewal_that_is_refused() {
    let expected =
        modelled(|world| world.server = world.server.after_revocation(), &[&NOTED, &SENT, &[Serve(0)], &SETTLED]);
    let (ports, _) = due().await;
    ports.server.play([Trick::Refuse("invalid_grant")]);
    assert_eq!(calls(&ports).await, expected);
}

#[tokio::test(start_paused = true)]
async fn a_renewal_whose_answer_is_lost() {
    let lost = [Serve(0), Lose(0), Tick, TimeOut(0), Advance(0), Advance(0), Advance(0)];
    let expected = modelled(|_| {}, &[&NOTED, &SENT, &lost]);
    let (ports, _) = due().await;
    ports.server.play([Trick::LoseAnswer]);
    assert_eq!(calls(&ports).await, expected);
}

#[tokio::test(start_paused = true)]
async fn a_renewal_that_is_not_sent() {
    let expected = modelled(|_| {}, &[&NOTED, &[Disconnect(0), Advance(0), Advance(0), Advance(0)]]);
    let (ports, _) = due().await;
    ports.server.play([Trick::Unreachable]);
    assert_eq!(calls(&ports).await, expected);
}

#[tokio::test(start_paused = true)]
async fn f11_a_renewal_whose_lock_is_taken_before_the_first_byte() {
    let stolen = [Stop(0), Steal(0), Wake(0), Advance(0)];
    let expected = modelled(|_| {}, &[&NOTED, &stolen, &NOTED[1..], &SENT, &[Serve(0)], &SETTLED]);
    let (ports, _) = due().await;
    ports.stolen.store(true, Ordering::SeqCst);
    assert_eq!(calls(&ports).await, expected);
}

#[tokio::test(start_paused = true)]
async fn f10_a_renewal_that_is_overtaken_while_its_request_is_under_way() {
    let (renewal, world) = model();
    let (mut world, mut expected) = renewal.calls(world, 0, &[&NOTED[..], &SENT, &[Serve(0), Answered(0)]].concat());
    world.store.fence += 1;
    expected.extend(renewal.calls(world, 0, &[Advance(0), Advance(0), Advance(0), Advance(0)]).1);
    let (ports, _) = due().await;
    ports.overtaken.store(true, Ordering::SeqCst);
    assert_eq!(calls(&ports).await, expected);
}

#[tokio::test(start_paused = true)]
async fn r1_a_renewal_that_another_process_made_meanwhile() {
    let other: Vec<Action> = [&NOTED[..], &SENT, &[Serve(0)], &SETTLED]
        .concat()
        .into_iter()
        .map(|action| match action {
            Advance(_) => Advance(1),
            Answered(_) => Answered(1),
            Serve(_) => Serve(1),
            other => other,
        })
        .collect();
    let expected = modelled(|_| {}, &[&other, &NOTED]);
    let (ports, clock) = due().await;
    let held = ports.read().unwrap();
    let tokens = TokenSet::first(ports.server.issue(), clock.now());
    *ports.record.lock().unwrap() = Some(Grant { generation: Generation(2), tokens: Some(tokens), ..held });
    ports.epoch.fetch_add(2, Ordering::SeqCst);
    assert_eq!(calls(&ports).await, expected);
}

/// What a process finds that comes after one that died in its attempt, with a token that is still good
/// or has ended.
async fn after_a_death(ended: bool) -> (Vec<Call>, Vec<Call>) {
    let (renewal, mut world) = model();
    if ended {
        world.now = u32::try_from(LIFE_SECS).unwrap() * 1000 + 1;
        world.calm_since = world.now;
    }
    let dead: [Action; 5] = [Advance(1), Advance(1), Advance(1), Advance(1), Crash(1)];
    // Before its time: the lease is let go.
    let (world, mut expected) = renewal.calls(world, 0, &[&dead[..], &NOTED].concat());
    let again: &[Action] = if ended { &[Tick, Advance(0)] } else { &[Tick] };
    let noted = if ended { &NOTED[1..] } else { &NOTED[..] };
    let rest = [again, noted, &SENT, &[Serve(0)], &SETTLED].concat();
    expected.extend(renewal.calls(world, 0, &rest).1);

    let (ports, clock) = due().await;
    if ended {
        tokio::time::sleep(Duration::from_secs(LIFE_SECS)).await;
    }
    let held = ports.read().unwrap();
    *ports.record.lock().unwrap() =
        Some(Grant { standing: Standing::Renewing { since: clock.now(), attempt: 1 }, ..held });
    ports.epoch.fetch_add(1, Ordering::SeqCst);
    let mut found = calls(&ports).await;
    if !ended {
        tokio::time::sleep(Duration::from_millis(500)).await;
        found.extend(calls(&ports).await);
    }
    (found, expected)
}

#[tokio::test(start_paused = true)]
async fn f02_a_renewal_after_one_that_died_while_the_token_is_good() {
    let (found, expected) = after_a_death(false).await;
    assert_eq!(found, expected);
}

#[tokio::test(start_paused = true)]
async fn f02_a_renewal_after_one_that_died_once_the_token_has_ended() {
    let (found, expected) = after_a_death(true).await;
    assert_eq!(found, expected);
}
