//! Signing out: what is asked of the server, in which order, and what is left when it goes wrong.
#![allow(clippy::unwrap_used, missing_docs)]

use outlast::{
    Ask, AtServer, Cause, Code, GrantHandle, GrantId, GrantSettings, Introspection, Keeper, Provider, Server, Settings,
    Standing, TokenError, TokenSet,
};
use outlast_core::store::{Lease, StoreError, TokenStore};
use outlast_core::wire::{Answer, Fault, Reply, TokenEndpoint, TokenRequest, TokenResponse};
use outlast_core::{BoxFuture, Clock, Generation, Grant, Happening, Secret};
use outlast_store::MemoryStore;
use outlast_testkit::clock::SimulatedClock;
use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

const REVOKE: &str = "https://as.example/revoke";
const INTROSPECT: &str = "https://as.example/introspect";

fn crm() -> GrantId {
    GrantId::parse("crm").unwrap()
}

fn provider() -> Provider {
    Provider {
        token_endpoint: "https://as.example/token".to_owned(),
        revocation_endpoint: Some(REVOKE.to_owned()),
        introspection_endpoint: Some(INTROSPECT.to_owned()),
        ..Provider::default()
    }
}

fn settings(grant_type: &str, provider: Provider) -> GrantSettings {
    GrantSettings { client_id: "client".to_owned(), ..GrantSettings::new(crm(), grant_type, Server::from(provider)) }
}

fn reply(status: u16, body: &str) -> Answer {
    Answer::Complete(Reply { status, body: body.as_bytes().to_vec(), ..Reply::default() })
}

/// Answers as it is told, then 200, and remembers what it was asked: endpoint, token and hint.
#[derive(Clone, Default)]
struct FakeEndpoint {
    asked: Arc<Mutex<Vec<String>>>,
    answers: Arc<Mutex<VecDeque<Answer>>>,
}

impl FakeEndpoint {
    fn answer(&self, answers: impl IntoIterator<Item = Answer>) {
        self.answers.lock().unwrap().extend(answers);
    }

    fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

impl TokenEndpoint for FakeEndpoint {
    fn send<'a>(&'a self, _lease: &'a Lease, request: &'a TokenRequest) -> BoxFuture<'a, Answer> {
        self.ask(request)
    }

    fn ask<'a>(&'a self, request: &'a TokenRequest) -> BoxFuture<'a, Answer> {
        let member = |name: &str| {
            let found = request.form_members().iter().find(|(key, _)| *key == name);
            found.map_or("-", |(_, value)| value.expose()).to_owned()
        };
        let path = request.endpoint.rsplit('/').next().unwrap();
        let line = format!("{path} {} {} {}", member("token"), member("token_type_hint"), member("client_id"));
        self.asked.lock().unwrap().push(line);
        let answer = self.answers.lock().unwrap().pop_front().unwrap_or_else(|| reply(200, ""));
        Box::pin(async move { answer })
    }
}

/// What becomes of the commit that fails.
enum Fate {
    /// A crash: it is not made.
    Crash,
    /// Whoever makes it was stopped, lost the lease, and this is what the others wrote meanwhile.
    Overtaken(Box<dyn Fn(&Grant) -> Grant + Send + Sync>),
}

/// A store that fails its n-th commit from now.
struct FailingStore {
    inner: MemoryStore,
    commits_left: AtomicUsize,
    fate: Fate,
}

impl TokenStore for FailingStore {
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
        if self.commits_left.fetch_sub(1, Ordering::SeqCst) != 0 {
            return self.inner.commit(lease, expected, next);
        }
        match &self.fate {
            Fate::Crash => Box::pin(async { Err(StoreError::Unwritable { detail: "the power is gone".to_owned() }) }),
            Fate::Overtaken(others) => Box::pin(async move {
                let held = self.inner.load(lease.grant()).await?.unwrap();
                self.inner.commit(lease, held.generation, &others(&held)).await?;
                Err(StoreError::Fenced { grant: lease.grant().clone() })
            }),
        }
    }
    fn forget<'a>(&'a self, lease: &'a Lease, expected: Generation) -> BoxFuture<'a, Result<(), StoreError>> {
        self.inner.forget(lease, expected)
    }
}

struct World {
    endpoint: FakeEndpoint,
    clock: Arc<SimulatedClock>,
    store: MemoryStore,
}

impl World {
    fn new() -> Self {
        let endpoint = FakeEndpoint::default();
        Self { endpoint, clock: Arc::new(SimulatedClock::new()), store: MemoryStore::new() }
    }

    fn process(&self, settings: GrantSettings) -> GrantHandle {
        self.process_over(Arc::new(self.store.clone()), settings)
    }

    fn process_over(&self, store: Arc<dyn TokenStore>, settings: GrantSettings) -> GrantHandle {
        let keeper: Keeper = Settings::in_memory()
            .store(store)
            .endpoint(Arc::new(self.endpoint.clone()))
            .clock(Arc::clone(&self.clock) as Arc<dyn Clock>)
            .grant(settings)
            .open()
            .unwrap();
        keeper.grant(&crm()).unwrap()
    }

    fn tokens(&self, refresh: Option<&str>) -> TokenSet {
        let response = TokenResponse {
            refresh: refresh.map(Secret::new),
            expires_in: Some(Duration::from_secs(3600)),
            ..TokenResponse::bearer("CANARY-access")
        };
        TokenSet::first(response, self.clock.now())
    }

    /// A handle on a grant that holds both tokens.
    async fn granted(&self) -> GrantHandle {
        let handle = self.process(settings("authorization_code", provider()));
        handle.import(self.tokens(Some("CANARY-refresh"))).await.unwrap();
        handle
    }
}

const BOTH: [&str; 2] = ["revoke CANARY-refresh refresh_token client", "revoke CANARY-access access_token client"];

#[tokio::test(start_paused = true)]
async fn n25_the_refresh_token_is_revoked_then_the_access_token_then_both_are_forgotten() {
    let world = World::new();
    let handle = world.granted().await;
    let done = handle.log_out(false).await.unwrap();
    assert_eq!(done.at_server, AtServer::Revoked);
    assert_eq!(world.endpoint.asked(), BOTH);
    let record = handle.record().await.unwrap();
    assert_eq!((record.tokens, record.generation), (None, Generation(2)));
    let error = handle.access_token(Ask::default()).await.unwrap_err();
    assert_eq!(error.code(), Code::NeedsUser);
    assert!(error.to_string().contains("signed out"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn n24_a_server_that_is_busy_leaves_the_grant_revoking_and_a_second_logout_goes_on() {
    let world = World::new();
    let handle = world.granted().await;
    let mut busy = Reply { status: 503, ..Reply::default() };
    busy.headers.insert("retry-after", "120".parse().unwrap());
    world.endpoint.answer([Answer::Complete(busy)]);
    let error = handle.log_out(false).await.unwrap_err();
    assert_eq!(error.code(), Code::RevocationPending, "{error}");
    assert_eq!(error.retry_at(), Some(world.clock.now().plus(Duration::from_secs(120))));
    assert!(error.to_string().contains("outlast logout crm") && !error.to_string().contains("CANARY"), "{error}");
    let record = handle.record().await.unwrap();
    assert!(matches!(record.standing, Standing::Revoking { .. }));
    assert!(record.tokens.is_some(), "what has to be revoked yet is kept");
    assert!(handle.fresh().is_none());
    let refused = handle.access_token(Ask::default()).await.unwrap_err();
    assert_eq!(refused.code(), Code::NeedsUser);
    assert_eq!(world.endpoint.asked().len(), 1, "the access token waits for the refresh token");
    assert_eq!(handle.log_out(false).await.unwrap().at_server, AtServer::Revoked);
    assert_eq!(world.endpoint.asked()[1..], BOTH);
}

#[tokio::test(start_paused = true)]
async fn n24_a_refresher_finishes_a_logout_when_the_server_said_to_and_not_before() {
    let world = World::new();
    let handle = world.granted().await;
    let mut busy = Reply { status: 503, ..Reply::default() };
    busy.headers.insert("retry-after", "300".parse().unwrap());
    world.endpoint.answer([Answer::Complete(busy), reply(500, "")]);
    assert_eq!(handle.log_out(false).await.unwrap_err().code(), Code::RevocationPending);
    // Another process than the one that began it.
    let other = world.process(settings("authorization_code", provider()));
    let _refresher = other.keeper().refresh_in_background();
    world.clock.sleep(Duration::from_secs(295)).await;
    assert_eq!(world.endpoint.asked().len(), 1, "not before the time that the server said");
    world.clock.sleep(Duration::from_secs(10)).await;
    assert_eq!(world.endpoint.asked().len(), 2, "asked again, and ill");
    world.clock.sleep(Duration::from_secs(240)).await;
    assert_eq!(world.endpoint.asked().len(), 2, "as long a pause again as it was tried for");
    world.clock.sleep(Duration::from_secs(120)).await;
    assert_eq!(world.endpoint.asked()[2..], BOTH);
    assert_eq!(other.record().await.unwrap().tokens, None);
    world.clock.sleep(Duration::from_secs(24 * 3600)).await;
    assert_eq!(world.endpoint.asked().len(), 4, "what is over is not asked again");
}

#[tokio::test(start_paused = true)]
async fn n24_a_refresher_does_not_revoke_what_a_new_login_brought() {
    let world = World::new();
    let handle = world.granted().await;
    world.endpoint.answer([reply(503, "")]);
    assert_eq!(handle.log_out(false).await.unwrap_err().code(), Code::RevocationPending);
    let other = world.process(settings("authorization_code", provider()));
    assert!(matches!(other.record().await.unwrap().standing, Standing::Revoking { .. }));
    let _refresher = other.keeper().refresh_in_background();
    world.clock.sleep(Duration::from_secs(50)).await;
    handle.import(world.tokens(Some("next"))).await.unwrap();
    world.clock.sleep(Duration::from_secs(300)).await;
    assert_eq!(world.endpoint.asked().len(), 1);
    assert_eq!(other.record().await.unwrap().standing, Standing::Live);
}

#[tokio::test(start_paused = true)]
async fn a_logout_that_was_stopped_does_not_end_a_login_that_came_since() {
    // Stopped before anybody was told of it, and after the server was.
    for commits_before in [0, 1] {
        let world = World::new();
        world.granted().await;
        let terms = outlast_core::Terms::new(crm(), "authorization_code", "https://as.example/token");
        let (tokens, now) = (world.tokens(Some("next")), world.clock.now());
        let login = move |held: &Grant| held.granted(&terms, tokens.clone()).noting(Happening::SignedIn, now);
        let store = FailingStore {
            inner: world.store.clone(),
            commits_left: AtomicUsize::new(commits_before),
            fate: Fate::Overtaken(Box::new(login)),
        };
        let stopped = world.process_over(Arc::new(store), settings("authorization_code", provider()));
        let error = stopped.log_out(true).await.unwrap_err();
        assert!(matches!(error, TokenError::SignedInSince { .. }), "{error:?}");
        assert_eq!(error.code(), Code::StoreBusy);
        assert_eq!(world.endpoint.asked().len(), 2 * commits_before, "the new tokens are not revoked");
        assert_eq!(stopped.record().await.unwrap().standing, Standing::Live);
        let served = stopped.access_token(Ask::default()).await.unwrap();
        assert_eq!(served.generation(), Generation(2));
    }
}

#[tokio::test(start_paused = true)]
async fn a_logout_that_waited_for_a_login_does_not_end_it() {
    let world = World::new();
    let handle = world.granted().await;
    let lease = world.store.lease(&crm(), Duration::from_secs(9)).await.unwrap();
    let logout = tokio::spawn(async move { handle.log_out(false).await });
    world.clock.sleep(Duration::from_secs(1)).await;
    let held = world.store.load(&crm()).await.unwrap().unwrap();
    let terms = outlast_core::Terms::new(crm(), "authorization_code", "https://as.example/token");
    let login = held.granted(&terms, world.tokens(Some("next"))).noting(Happening::SignedIn, world.clock.now());
    world.store.commit(&lease, held.generation, &login).await.unwrap();
    drop(lease);
    let error = logout.await.unwrap().unwrap_err();
    assert!(matches!(error, TokenError::SignedInSince { .. }), "{error:?}");
    assert!(world.endpoint.asked().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_logout_that_was_overtaken_by_a_renewal_goes_on() {
    let world = World::new();
    world.granted().await;
    let terms = outlast_core::Terms::new(crm(), "authorization_code", "https://as.example/token");
    let (tokens, now) = (world.tokens(Some("next")), world.clock.now());
    let renewal = move |held: &Grant| held.granted(&terms, tokens.clone()).noting(Happening::Renewed, now);
    let (commits_left, fate) = (AtomicUsize::new(0), Fate::Overtaken(Box::new(renewal)));
    let store = FailingStore { inner: world.store.clone(), commits_left, fate };
    let slow = world.process_over(Arc::new(store), settings("authorization_code", provider()));
    assert_eq!(slow.log_out(false).await.unwrap().at_server, AtServer::Revoked);
    assert_eq!(world.endpoint.asked()[0], "revoke next refresh_token client");
    assert_eq!(slow.record().await.unwrap().tokens, None);
}

#[tokio::test(start_paused = true)]
async fn n25_another_process_serves_nothing_once_it_looks() {
    let world = World::new();
    let handle = world.granted().await;
    let other = world.process(settings("authorization_code", provider()));
    world.endpoint.answer([Answer::Lost(Fault::Timeout)]);
    assert_eq!(handle.log_out(false).await.unwrap_err().code(), Code::RevocationPending);
    assert_eq!(other.access_token(Ask::default()).await.unwrap_err().code(), Code::NeedsUser);
}

#[tokio::test(start_paused = true)]
async fn n25_a_crash_between_revoking_and_forgetting_is_gone_on_from() {
    for survived in [0, 1] {
        let world = World::new();
        world.granted().await;
        let commits_left = AtomicUsize::new(survived);
        let store = FailingStore { inner: world.store.clone(), commits_left, fate: Fate::Crash };
        let dying = world.process_over(Arc::new(store), settings("authorization_code", provider()));
        assert_eq!(dying.log_out(false).await.unwrap_err().code(), Code::StoreUnwritable);
        let asked = world.endpoint.asked();
        let next = world.process(settings("authorization_code", provider()));
        let record = next.record().await.unwrap();
        if survived == 0 {
            assert!(asked.is_empty(), "the server hears of it only after it is on disk: {asked:?}");
            assert_eq!(record.standing, Standing::Live);
        } else {
            assert_eq!(asked, BOTH);
            assert!(matches!(record.standing, Standing::Revoking { .. }));
            assert!(next.access_token(Ask::default()).await.is_err(), "a revoked token is not served");
        }
        assert_eq!(next.log_out(false).await.unwrap().at_server, AtServer::Revoked);
        assert_eq!(next.record().await.unwrap().tokens, None);
    }
}

#[tokio::test(start_paused = true)]
async fn a_wrong_client_is_the_configurations_fault_and_force_forgets_all_the_same() {
    let world = World::new();
    let handle = world.granted().await;
    let refusal = || reply(401, r#"{"error":"invalid_client"}"#);
    world.endpoint.answer([reply(404, ""), refusal(), refusal()]);
    assert_eq!(handle.log_out(false).await.unwrap_err().code(), Code::ClientMisconfigured, "a wrong address");
    let error = handle.log_out(false).await.unwrap_err();
    assert_eq!(error.code(), Code::ClientMisconfigured, "{error}");
    let done = handle.log_out(true).await.unwrap();
    assert!(matches!(done.at_server, AtServer::Forced { code: Code::ClientMisconfigured, .. }), "{done:?}");
    assert!(done.at_server.describe().contains("may be good there"));
    assert_eq!(handle.record().await.unwrap().tokens, None);
}

#[tokio::test(start_paused = true)]
async fn n24_kinds_that_the_server_does_not_revoke_are_forgotten_and_told() {
    let unsupported = || reply(400, r#"{"error":"unsupported_token_type"}"#);
    for (answers, expected) in [
        (vec![reply(200, ""), unsupported()], AtServer::AccessTokenLivesOn),
        (vec![unsupported(), unsupported()], AtServer::NotOffered),
        (vec![unsupported(), reply(200, "")], AtServer::NotOffered),
    ] {
        let world = World::new();
        let handle = world.granted().await;
        world.endpoint.answer(answers);
        assert_eq!(handle.log_out(false).await.unwrap().at_server, expected);
        assert_eq!(world.endpoint.asked().len(), 2);
    }
}

#[tokio::test(start_paused = true)]
async fn n24_unknown_tokens_count_as_revoked_and_pages_and_odd_answers_do_not() {
    let revoked = [(200, ""), (200, "{}"), (204, ""), (400, r#"{"error":"invalid_token"}"#)];
    for (status, body) in revoked {
        let world = World::new();
        let handle = world.granted().await;
        world.endpoint.answer([reply(status, body)]);
        assert!(handle.log_out(false).await.is_ok(), "{status} {body}");
    }
    let pending = [(200, "<html>sign in to the network</html>"), (302, ""), (500, ""), (429, "")];
    for (status, body) in pending {
        let world = World::new();
        let handle = world.granted().await;
        world.endpoint.answer([reply(status, body)]);
        let error = handle.log_out(false).await.unwrap_err();
        assert_eq!(error.code(), Code::RevocationPending, "{status} {body}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_server_without_revocation_is_not_told_and_the_person_hears_so() {
    let world = World::new();
    let silent = Provider { revocation_endpoint: None, ..provider() };
    let handle = world.process(settings("authorization_code", silent));
    handle.import(world.tokens(Some("CANARY-refresh"))).await.unwrap();
    let done = handle.log_out(false).await.unwrap();
    assert_eq!(done.at_server, AtServer::NotOffered);
    assert!(done.at_server.describe().contains("was not told"));
    assert_eq!(handle.record().await.unwrap().tokens, None);
    assert!(world.endpoint.asked().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_minted_grant_begins_anew_after_a_logout() {
    let world = World::new();
    let client_auth = outlast::ClientAuth::Post(Secret::new("CANARY-secret"));
    let handle = world.process(GrantSettings { client_auth, ..settings("client_credentials", provider()) });
    handle.import(world.tokens(None)).await.unwrap();
    let done = handle.log_out(false).await.unwrap();
    assert!(done.at_server == AtServer::Revoked && done.begins_anew, "{done:?}");
    assert_eq!(world.endpoint.asked(), [BOTH[1]]);
    world.endpoint.answer([reply(200, r#"{"access_token":"minted","expires_in":60}"#)]);
    assert_eq!(handle.access_token(Ask::default()).await.unwrap().secret().expose(), "minted");
}

#[tokio::test(start_paused = true)]
async fn n48_tokens_of_another_server_are_sent_to_nobody() {
    let world = World::new();
    world.granted().await;
    let elsewhere = Provider { token_endpoint: "https://other.example/token".to_owned(), ..provider() };
    let handle = world.process(settings("authorization_code", elsewhere));
    assert_eq!(handle.log_out(false).await.unwrap_err().code(), Code::AuthorizationServerChanged);
    assert!(matches!(handle.log_out(true).await.unwrap().at_server, AtServer::Forced { .. }));
    assert!(world.endpoint.asked().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_new_login_after_a_logout_is_served_by_every_process() {
    let world = World::new();
    let handle = world.granted().await;
    let other = world.process(settings("authorization_code", provider()));
    assert!(other.access_token(Ask::default()).await.is_ok());
    handle.log_out(false).await.unwrap();
    handle.import(world.tokens(Some("next"))).await.unwrap();
    assert_eq!(handle.access_token(Ask::default()).await.unwrap().generation(), Generation(3));
    let record = other.record().await.unwrap();
    assert_eq!((record.generation, record.standing), (Generation(3), Standing::Live));
    assert_eq!(other.access_token(Ask::default()).await.unwrap().generation(), Generation(3));
}

#[tokio::test(start_paused = true)]
async fn a_logout_with_nothing_held_asks_nobody() {
    let world = World::new();
    let handle = world.process(settings("authorization_code", provider()));
    assert_eq!(handle.log_out(false).await.unwrap().at_server, AtServer::NothingHeld);
    assert!(world.endpoint.asked().is_empty());
    let parked = handle.access_token(Ask::default()).await.unwrap_err();
    assert!(parked.to_string().contains(Cause::NeverGranted.describe()), "{parked}");
}

#[tokio::test(start_paused = true)]
async fn n26_only_a_plain_active_is_believed_and_nothing_changes_the_grant() {
    let world = World::new();
    let handle = world.granted().await;
    let before = handle.record().await.unwrap();
    let unknown = |introspection: &Introspection| matches!(introspection, Introspection::Unknown { .. });
    for odd in [
        reply(401, r#"{"error":"invalid_client"}"#),
        reply(401, r#"{"active":false}"#),
        reply(500, ""),
        reply(200, "<html></html>"),
        reply(200, "{}"),
        reply(200, r#"{"active":"false"}"#),
        reply(200, r#"{"active":false,"error":"server_error"}"#),
        Answer::Lost(Fault::Timeout),
        Answer::Unsent(Fault::Connect),
    ] {
        world.endpoint.answer([odd.clone(), odd.clone()]);
        let said = handle.introspect().await.unwrap();
        assert!(unknown(&said.access.unwrap()) && unknown(&said.refresh.unwrap()), "{odd:?}");
    }
    world.endpoint.answer([reply(200, r#"{"active":true,"exp":99,"scope":"a b"}"#), reply(200, r#"{"active":false}"#)]);
    let said = handle.introspect().await.unwrap();
    let Some(Introspection::Active { expires_at, scope }) = said.access else { panic!("{said:?}") };
    assert_eq!((expires_at.unwrap().as_secs(), scope.unwrap().len()), (99, 2));
    assert_eq!(said.refresh, Some(Introspection::Inactive));
    assert_eq!(handle.record().await.unwrap(), before);
    assert_eq!(world.endpoint.asked()[0], "introspect CANARY-access access_token client");
}
