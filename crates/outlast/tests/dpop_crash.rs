//! A grant's key and the refresh token bound to it are one thing: whenever a process dies, both are there
//! or neither is (N32). Every point of a login and of a renewal at which a process can die is tried.
#![allow(clippy::unwrap_used, clippy::disallowed_methods, missing_docs)]

use outlast::{
    Ask, BoxFuture, By, Generation, GrantHandle, GrantId, GrantSettings, KeySource, LoginOptions, LoginPrompt,
    LoginStep, LoginWay, Provider, Rejected, Server, Settings, Standing, TokenType, read_record,
};
use outlast_core::store::StoreError;
use outlast_core::wire::{Answer, Reply, TokenEndpoint, TokenRequest};
use outlast_core::{Grant, Lease, TokenStore};
use outlast_oauth::dpop;
use outlast_store::SqliteStore;
use serde_json::json;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// In the environment of a child: the folder, what it does, and the point at which it dies.
const HOME: &str = "OUTLAST_TEST_CHILD_HOME";
const DEED: &str = "OUTLAST_TEST_CHILD_DEED";
const DEATH: &str = "OUTLAST_TEST_CHILD_DEATH";
/// More points than any deed has.
const POINTS_MAX: usize = 100;

fn crm() -> GrantId {
    GrantId::parse("crm").unwrap()
}

/// Counts the points at which a process can die, and dies at the one it is told.
#[derive(Clone)]
struct Fate(Arc<AtomicUsize>, Option<usize>);

impl Fate {
    fn passes(&self) {
        if Some(self.0.fetch_add(1, Ordering::SeqCst)) == self.1 {
            // No destructor runs and nothing is flushed, as with SIGKILL.
            std::process::abort();
        }
    }
}

/// A real store, in a process that may die before and after everything it is asked.
struct MortalStore(SqliteStore, Fate);

impl MortalStore {
    async fn witness<T>(&self, deed: impl Future<Output = T>) -> T {
        self.1.passes();
        let done = deed.await;
        self.1.passes();
        done
    }
}

impl TokenStore for MortalStore {
    fn list(&self) -> BoxFuture<'_, Result<Vec<GrantId>, StoreError>> {
        Box::pin(self.witness(self.0.list()))
    }

    fn load<'a>(&'a self, id: &'a GrantId) -> BoxFuture<'a, Result<Option<Grant>, StoreError>> {
        Box::pin(self.witness(self.0.load(id)))
    }

    fn lease<'a>(&'a self, id: &'a GrantId, patience: Duration) -> BoxFuture<'a, Result<Lease, StoreError>> {
        Box::pin(self.witness(self.0.lease(id, patience)))
    }

    fn commit<'a>(
        &'a self,
        lease: &'a Lease,
        expected: Generation,
        next: &'a Grant,
    ) -> BoxFuture<'a, Result<(), StoreError>> {
        Box::pin(self.witness(self.0.commit(lease, expected, next)))
    }

    fn forget<'a>(&'a self, lease: &'a Lease, expected: Generation) -> BoxFuture<'a, Result<(), StoreError>> {
        Box::pin(self.witness(self.0.forget(lease, expected)))
    }
}

/// A server that outlives the processes: one refresh token is good at a time, with the key whose
/// thumbprint it begins with and with no other.
struct BindingServer(PathBuf, Fate);

impl BindingServer {
    fn answer(&self, request: &TokenRequest) -> Answer {
        let thumbprint = dpop::thumbprint(request.proof_key.as_ref().expect("a key goes with it")).unwrap();
        let member = |wanted: &str| {
            let members = request.form_members();
            members.iter().find(|(name, _)| *name == wanted).map(|(_, value)| value.expose().to_owned())
        };
        let current = std::fs::read_to_string(&self.0).unwrap_or_default();
        let is_current = member("refresh_token").is_none_or(|sent| sent == current && sent.starts_with(&thumbprint));
        if !is_current {
            let body = json!({"error": "invalid_grant"}).to_string().into_bytes();
            return Answer::Complete(Reply { status: 400, body, ..Reply::default() });
        }
        let count: u32 = current.rsplit('~').next().and_then(|count| count.parse().ok()).unwrap_or_default();
        let refresh = format!("{thumbprint}~{}", count + 1);
        std::fs::write(&self.0, &refresh).unwrap();
        let body = json!({
            "access_token": format!("access-{refresh}"), "token_type": "DPoP", "expires_in": 600, "refresh_token": refresh,
        });
        Answer::Complete(Reply { status: 200, body: body.to_string().into_bytes(), ..Reply::default() })
    }
}

impl TokenEndpoint for BindingServer {
    fn send<'a>(&'a self, _lease: &'a Lease, request: &'a TokenRequest) -> BoxFuture<'a, Answer> {
        Box::pin(async move {
            self.1.passes();
            let answer = self.answer(request);
            self.1.passes();
            answer
        })
    }

    fn ask<'a>(&'a self, _request: &'a TokenRequest) -> BoxFuture<'a, Answer> {
        Box::pin(async { panic!("nothing but tokens is asked for") })
    }
}

/// A person who pastes what the browser ended at.
#[derive(Default)]
struct Person(Mutex<String>);

impl LoginPrompt for Person {
    fn show(&self, step: LoginStep) {
        let LoginStep::Visit { address, redirect_uri, .. } = step else { panic!("{step:?}") };
        let url = reqwest::Url::parse(&address).unwrap();
        let state = url.query_pairs().find(|(name, _)| name == "state").unwrap().1.into_owned();
        *self.0.lock().unwrap() = format!("{redirect_uri}?state={state}&code=c");
    }

    fn pasted(&self) -> BoxFuture<'_, String> {
        Box::pin(async { self.0.lock().unwrap().clone() })
    }

    fn refuse(&self, why: &str) {
        panic!("{why}");
    }
}

fn settings() -> GrantSettings {
    let provider = Provider {
        token_endpoint: "https://as.example/token".to_owned(),
        authorization_endpoint: Some("https://as.example/authorize".to_owned()),
        ..Provider::default()
    };
    GrantSettings {
        client_id: "client".to_owned(),
        dpop: true,
        ..GrantSettings::new(crm(), "authorization_code", Server::from(provider))
    }
}

async fn deed(home: &Path, deed: &str, fate: Fate) {
    let store = SqliteStore::open(home, KeySource::File).unwrap();
    let keeper = Settings::in_memory()
        .store(Arc::new(MortalStore(store, fate.clone())))
        .endpoint(Arc::new(BindingServer(home.with_extension("server"), fate)))
        .grant(settings())
        .open()
        .unwrap();
    let handle = keeper.grant(&crm()).unwrap();
    match deed {
        "login" => login(&handle).await,
        "renewal" => {
            let generation = handle.record().await.unwrap().generation;
            let ask = Ask { rejected: Some(Rejected { generation, by: By::Person }), ..Ask::default() };
            // That it may have been lost with the process before is told by the record.
            drop(handle.access_token_within(ask, Duration::from_millis(300)).await);
        }
        other => panic!("{other}"),
    }
}

async fn login(handle: &GrantHandle) {
    let options = LoginOptions { way: Some(LoginWay::Paste), ..LoginOptions::default() };
    handle.login(&options, &Person::default()).await.unwrap();
}

/// Not a test by itself: does what it is told, and dies where it is told.
#[test]
fn child() {
    let Some(home) = std::env::var_os(HOME) else { return };
    let death = std::env::var(DEATH).ok().map(|point| point.parse().unwrap());
    let fate = Fate(Arc::default(), death);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(deed(Path::new(&home), &std::env::var(DEED).unwrap(), fate));
}

/// Whether the child came to its end.
fn lives(home: &Path, deed: &str, death: Option<usize>) -> bool {
    let mut child = Command::new(std::env::current_exe().unwrap());
    child.args(["--exact", "child"]).env(HOME, home).env(DEED, deed);
    if let Some(point) = death {
        child.env(DEATH, point.to_string());
    }
    let told = child.output().unwrap();
    let panicked = String::from_utf8_lossy(&told.stdout).contains("panicked");
    assert!(!panicked, "{deed}: {}", String::from_utf8_lossy(&told.stdout));
    told.status.success()
}

/// What is on disk: a key and what is bound to it, or neither.
fn assert_whole(home: &Path, at: &str) -> Option<Grant> {
    let grant = read_record(home, &KeySource::File, &crm()).unwrap()?;
    match (&grant.proof_key, &grant.tokens) {
        (Some(key), Some(tokens)) => {
            assert_eq!(tokens.token_type, TokenType::Dpop, "{at}");
            let thumbprint = dpop::thumbprint(key).unwrap();
            let refresh = tokens.refresh.as_ref().unwrap().expose();
            assert!(refresh.starts_with(&thumbprint), "{at}: the key is another than that of the refresh token");
        }
        (None, None) => {}
        (key, tokens) => panic!("{at}: key {}, tokens {}", key.is_some(), tokens.is_some()),
    }
    Some(grant)
}

/// Dies at each point of `last`, after `before`; returns how many points there are.
fn every_death(before: &[&str], last: &str) -> usize {
    for point in 0..POINTS_MAX {
        let folder = tempfile::tempdir().unwrap();
        let home = folder.path().join("home");
        for deed in before {
            assert!(lives(&home, deed, None), "{deed}");
        }
        let at = format!("{last} after {before:?}, dead at point {point}");
        let held = assert_whole(&home, &at);
        let ended = lives(&home, last, Some(point));
        let found = assert_whole(&home, &at);
        if ended {
            let moved_on = found.unwrap().generation > held.as_ref().map_or(Generation(0), |held| held.generation);
            assert!(moved_on, "{at}: it went through");
            return point;
        }
        let has_tokens = |grant: Option<Grant>| grant.is_some_and(|grant| grant.tokens.is_some());
        assert!(!has_tokens(held) || has_tokens(found), "{at}: what was held is lost");
        goes_on(&home, &at);
    }
    panic!("{last} has no end");
}

/// The next process finds out how it stands, and a login makes everything good.
fn goes_on(home: &Path, at: &str) {
    if read_record(home, &KeySource::File, &crm()).unwrap().is_some() {
        assert!(lives(home, "renewal", None), "{at}");
        assert_whole(home, at);
    }
    assert!(lives(home, "login", None), "{at}");
    let found = assert_whole(home, at).unwrap();
    assert!(found.standing == Standing::Live && found.tokens.is_some(), "{at}: {found:?}");
}

#[test]
fn n32_a_login_that_dies_anywhere_leaves_key_and_refresh_token_or_neither() {
    let points = every_death(&[], "login");
    assert!(points >= 10, "{points} points are all there are of a login");
}

#[test]
fn n32_a_login_over_a_held_grant_swaps_key_and_refresh_token_at_once() {
    let points = every_death(&["login"], "login");
    assert!(points >= 10, "{points} points are all there are of a login");
}

#[test]
fn n32_a_renewal_that_dies_anywhere_leaves_the_refresh_token_with_its_key() {
    let points = every_death(&["login"], "renewal");
    assert!(points >= 10, "{points} points are all there are of a renewal");
}
