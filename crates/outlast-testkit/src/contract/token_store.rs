//! What every [`TokenStore`] must keep.

use outlast_core::breaker::Breaker;
use outlast_core::grant::{ClientAuth, Registration, Retiring, Wanted};
use outlast_core::token::TokenType;
use outlast_core::wanted::Demand;
use outlast_core::wire::SigningKey;
use outlast_core::{
    Cause, Code, Fence, Generation, Grant, GrantId, Happening, History, Lease, Process, Secret, Standing, StoreError,
    Timestamp, TokenSet, TokenStore, Trouble,
};
use std::sync::Arc;
use std::time::Duration;

/// Long enough for a store on a busy machine, short enough for a test that hangs.
const PATIENCE: Duration = Duration::from_secs(30);
/// As large as the token client lets an answer be.
const LARGE_TOKEN_BYTES: usize = 256 * 1024;
const MANY: u64 = 200;
const RIVALS: u64 = 20;

/// Runs every promise against a new, empty store; panics at the first that is broken. Needs a
/// runtime with time.
pub async fn token_store<S: TokenStore + 'static>(make: impl Fn() -> S) {
    what_is_committed_is_loaded(&make()).await;
    an_empty_store_has_nothing(&make()).await;
    a_stale_generation_is_refused(&make()).await;
    a_record_without_tokens_counts_as_generation_zero(&make()).await;
    a_generation_never_falls(&make()).await;
    a_lease_covers_its_own_grant_only(&make()).await;
    every_write_raises_the_fence(&make()).await;
    a_lease_excludes_others(&make()).await;
    leases_of_different_grants_are_independent(&make()).await;
    a_forgotten_grant_is_gone_and_can_be_given_again(&make()).await;
    forgetting_obeys_the_same_conditions(&make()).await;
    names_are_listed_once_each(&make()).await;
    large_tokens_are_kept(&make()).await;
    many_grants_are_written_at_once(make()).await;
    rivals_lose_no_update(make()).await;
}

/// A grant of that name with a token set of that generation.
pub fn grant(name: &str, generation: u64) -> Grant {
    Grant {
        id: id(name),
        grant_type: "refresh_token".to_owned(),
        authorization_server: "https://as.example".to_owned(),
        client_id: "client".to_owned(),
        subject: None,
        subject_issuer: None,
        subject_name: None,
        generation: Generation(generation),
        tokens: Some(tokens(&format!("access-{name}-{generation}"), &format!("refresh-{name}-{generation}"))),
        standing: Standing::Live,
        failures: 0,
        in_doubt: false,
        breaker: Breaker::default(),
        ends_at: None,
        renewed_at: None,
        trouble: None,
        terms_fingerprint: 0,
        proof_key: None,
        registration: None,
        key_fingerprint: None,
        retiring: None,
        wanted: Wanted::default(),
        history: History::default(),
    }
}

/// A name.
pub fn id(name: &str) -> GrantId {
    GrantId::parse(name).expect("a name fit for a grant")
}

fn tokens(access: &str, refresh: &str) -> TokenSet {
    TokenSet {
        access: Secret::new(access),
        refresh: Some(Secret::new(refresh)),
        token_type: TokenType::Bearer,
        issued_at: Timestamp::from_secs(1_000),
        expires_at: Some(Timestamp::from_secs(4_600)),
        scope: None,
    }
}

/// Grants that differ in every member that can differ.
pub fn all_kinds() -> Vec<Grant> {
    let at = Timestamp::from_millis(1_700_000_000_123);
    let mut grants: Vec<_> =
        all_standings(at).into_iter().map(|standing| Grant { standing, ..grant("crm", 1) }).collect();
    grants.extend(client_auths().into_iter().map(|client_auth| Grant {
        registration: Some(Registration {
            authorization_server: "https://as.example".to_owned(),
            client_id: "registered".to_owned(),
            client_auth,
            secret_ends_at: Some(at),
        }),
        ..grant("crm", 1)
    }));
    grants.push(Grant {
        subject: Some("user \"é\" \u{1F600}\n".to_owned()),
        subject_issuer: Some("https://as.example".to_owned()),
        subject_name: Some("Ada <ada@example.com>".to_owned()),
        proof_key: Some(Secret::new("{\"kty\":\"EC\"}")),
        key_fingerprint: Some(u64::MAX),
        retiring: Some(Retiring { access: Secret::new("old key"), retire_at: at }),
        wanted: Wanted {
            scope: vec!["api:write".to_owned()],
            acr_values: Some("urn:mfa".to_owned()),
            max_age: Some(Duration::from_secs(300)),
            claims: Some("{\"id_token\":{}}".to_owned()),
            demands: vec![
                Demand { mark: u64::MAX, tries: 3, tried_at: Some(at) },
                Demand { mark: 0, tries: 0, tried_at: None },
            ],
        },
        history: all_happenings(at),
        failures: 255,
        in_doubt: true,
        breaker: Breaker { forced: vec![Timestamp::from_millis(1), at], born_forced: true, streak: 9 },
        ends_at: Some(Timestamp::from_millis(u64::MAX)),
        renewed_at: Some(at),
        trouble: Some(Trouble { code: Code::ServerMisbehaved, at, detail: "a detail".to_owned() }),
        terms_fingerprint: u64::MAX,
        tokens: Some(TokenSet {
            refresh: None,
            token_type: TokenType::Dpop,
            expires_at: None,
            scope: Some(vec!["a".to_owned(), "b".to_owned()]),
            ..tokens("access\u{7f}\0", "")
        }),
        ..grant("crm", 1)
    });
    grants
}

/// Each way in which a grant can stand.
fn all_standings(at: Timestamp) -> Vec<Standing> {
    vec![
        Standing::Live,
        Standing::CoolingDown { until: at },
        Standing::Renewing { since: at, attempt: 3 },
        Standing::Parked { cause: Cause::Dead, since: at },
        Standing::Parked { cause: Cause::LoggedOut, since: at },
        Standing::Parked { cause: Cause::LostRotation, since: at },
        Standing::Parked { cause: Cause::NeverGranted, since: at },
        Standing::Parked { cause: Cause::NotRenewable, since: at },
        Standing::Parked { cause: Cause::ProofKeyLost, since: at },
        Standing::Parked { cause: Cause::StepUp, since: at },
        Standing::Parked { cause: Cause::TheftSuspected, since: at },
        Standing::Revoking { since: at, retry_at: at.plus(std::time::Duration::from_secs(60)) },
    ]
}

/// A history with everything in it that can happen.
fn all_happenings(at: Timestamp) -> History {
    let happenings = [
        Happening::AnswerHealed,
        Happening::CrashFound,
        Happening::CrashFound,
        Happening::Failed(Code::ServerMisbehaved),
        Happening::Forced,
        Happening::Imported,
        Happening::Parked(Cause::TheftSuspected),
        Happening::Renewed,
        Happening::SignedIn,
        Happening::SignedOut,
    ];
    let took = Some(Duration::from_millis(230));
    let noted = |history: History, happening| history.with(happening, Generation(u64::MAX), took, at);
    happenings.into_iter().fold(History::default(), noted).by(Process::Sidecar)
}

fn client_auths() -> Vec<ClientAuth> {
    let key = |algorithm: Option<&str>| SigningKey {
        material: Secret::new("-----BEGIN PRIVATE KEY-----"),
        algorithm: algorithm.map(str::to_owned),
        key_id: algorithm.map(|_| "key-1".to_owned()),
    };
    vec![
        ClientAuth::None,
        ClientAuth::Basic(Secret::new("basic")),
        ClientAuth::Post(Secret::new("post")),
        ClientAuth::PrivateKeyJwt(key(None)),
        ClientAuth::PrivateKeyJwt(key(Some("ES256"))),
        ClientAuth::TlsClient(Secret::new("-----BEGIN CERTIFICATE-----")),
    ]
}

async fn lease<S: TokenStore>(store: &S, name: &str) -> Lease {
    store.lease(&id(name), PATIENCE).await.expect("a lease nobody else holds")
}

async fn load<S: TokenStore>(store: &S, name: &str) -> Option<Grant> {
    store.load(&id(name)).await.expect("a readable store")
}

/// Commits `next` over generation `expected` under a lease of its own.
async fn put<S: TokenStore>(store: &S, expected: u64, next: &Grant) {
    let lease = lease(store, next.id.as_str()).await;
    store.commit(&lease, Generation(expected), next).await.expect("a commit that nothing stands in the way of");
}

fn assert_fenced(outcome: Result<(), StoreError>) {
    assert!(matches!(outcome, Err(StoreError::Fenced { .. })), "{outcome:?}");
}

async fn what_is_committed_is_loaded<S: TokenStore>(store: &S) {
    for (expected, kind) in (0..).zip(all_kinds()) {
        let next = Grant { generation: Generation(expected + 1), ..kind };
        put(store, expected, &next).await;
        assert_eq!(load(store, "crm").await, Some(next));
    }
}

async fn an_empty_store_has_nothing<S: TokenStore>(store: &S) {
    assert_eq!(load(store, "crm").await, None);
    assert_eq!(store.list().await.expect("a readable store"), []);
    assert_eq!(lease(store, "crm").await.fence(), Fence(0));
}

async fn a_stale_generation_is_refused<S: TokenStore>(store: &S) {
    put(store, 0, &grant("crm", 1)).await;
    put(store, 1, &grant("crm", 2)).await;
    let lease = lease(store, "crm").await;
    for stale in [0, 1, 3] {
        assert_fenced(store.commit(&lease, Generation(stale), &grant("crm", 9)).await);
        assert_eq!(load(store, "crm").await, Some(grant("crm", 2)));
    }
    store.commit(&lease, Generation(2), &grant("crm", 3)).await.expect("the refusals cost the lease nothing");
}

async fn a_record_without_tokens_counts_as_generation_zero<S: TokenStore>(store: &S) {
    let lease = lease(store, "crm").await;
    let intent = Grant {
        tokens: None,
        standing: Standing::Renewing { since: Timestamp::from_secs(1), attempt: 1 },
        ..grant("crm", 0)
    };
    store.commit(&lease, Generation(0), &intent).await.expect("no record yet");
    assert_eq!(load(store, "crm").await, Some(intent));
    store.commit(&lease, Generation(0), &grant("crm", 1)).await.expect("a record of generation zero");
    assert_eq!(load(store, "crm").await, Some(grant("crm", 1)));
}

async fn a_generation_never_falls<S: TokenStore>(store: &S) {
    put(store, 0, &grant("crm", 5)).await;
    let lease = lease(store, "crm").await;
    assert_fenced(store.commit(&lease, Generation(5), &grant("crm", 4)).await);
    store.commit(&lease, Generation(5), &grant("crm", 5)).await.expect("the same generation, changed otherwise");
}

async fn a_lease_covers_its_own_grant_only<S: TokenStore>(store: &S) {
    let lease = lease(store, "crm").await;
    assert_fenced(store.commit(&lease, Generation(0), &grant("other", 1)).await);
    assert_eq!(load(store, "other").await, None);
}

async fn every_write_raises_the_fence<S: TokenStore>(store: &S) {
    let lease = lease(store, "crm").await;
    let first = lease.fence();
    store.commit(&lease, Generation(0), &grant("crm", 1)).await.expect("no record yet");
    let second = lease.fence();
    assert!(second > first, "{second:?} after {first:?}");
    // What a holder would carry that slept through the loss of its lease.
    let zombie = Lease::new(id("crm"), first, ());
    assert_fenced(store.commit(&zombie, Generation(1), &grant("crm", 2)).await);
    assert_fenced(store.forget(&zombie, Generation(1)).await);
    assert_eq!(load(store, "crm").await, Some(grant("crm", 1)));
    drop(lease);
    assert_eq!(self::lease(store, "crm").await.fence(), second);
}

async fn a_lease_excludes_others<S: TokenStore>(store: &S) {
    let held = lease(store, "crm").await;
    for patience in [Duration::ZERO, Duration::from_millis(30)] {
        let refused = store.lease(&id("crm"), patience).await;
        assert!(matches!(refused, Err(StoreError::Busy { .. })), "{refused:?}");
    }
    let waiting = lease(store, "crm");
    let letting_go = async {
        tokio::task::yield_now().await;
        drop(held);
    };
    tokio::join!(waiting, letting_go);
    assert!(store.lease(&id("crm"), Duration::ZERO).await.is_ok(), "a free lease is had without waiting");
}

async fn leases_of_different_grants_are_independent<S: TokenStore>(store: &S) {
    let _held = lease(store, "crm").await;
    assert!(store.lease(&id("CRM"), PATIENCE).await.is_ok(), "names differ by case");
    assert!(store.lease(&id("crm.lock"), PATIENCE).await.is_ok());
    assert!(store.lease(&id("writer"), PATIENCE).await.is_ok());
}

async fn a_forgotten_grant_is_gone_and_can_be_given_again<S: TokenStore>(store: &S) {
    put(store, 0, &grant("crm", 7)).await;
    let held = lease(store, "crm").await;
    let before = held.fence();
    store.forget(&held, Generation(7)).await.expect("the record it expects");
    assert_eq!(load(store, "crm").await, None);
    assert_eq!(store.list().await.expect("a readable store"), []);
    store.forget(&held, Generation(0)).await.expect("what is gone may be forgotten again");
    store.commit(&held, Generation(0), &grant("crm", 1)).await.expect("no record any more");
    assert_eq!(load(store, "crm").await, Some(grant("crm", 1)));
    let zombie = Lease::new(id("crm"), before, ());
    assert_fenced(store.commit(&zombie, Generation(1), &grant("crm", 2)).await);
    assert_fenced(store.commit(&Lease::new(id("crm"), Fence(0), ()), Generation(0), &grant("crm", 2)).await);
}

async fn forgetting_obeys_the_same_conditions<S: TokenStore>(store: &S) {
    put(store, 0, &grant("crm", 2)).await;
    let held = lease(store, "crm").await;
    for stale in [0, 1, 3] {
        assert_fenced(store.forget(&held, Generation(stale)).await);
    }
    assert_eq!(load(store, "crm").await, Some(grant("crm", 2)));
    let nothing = lease(store, "other").await;
    store.forget(&nothing, Generation(0)).await.expect("there is nothing, as expected");
    assert_fenced(store.forget(&nothing, Generation(1)).await);
}

async fn names_are_listed_once_each<S: TokenStore>(store: &S) {
    for name in ["b", "a", "A", "a.b-c_d"] {
        put(store, 0, &grant(name, 1)).await;
        put(store, 1, &grant(name, 2)).await;
    }
    let mut names = store.list().await.expect("a readable store");
    names.sort();
    assert_eq!(names, ["A", "a", "a.b-c_d", "b"].map(id));
}

async fn large_tokens_are_kept<S: TokenStore>(store: &S) {
    let large = "x".repeat(LARGE_TOKEN_BYTES);
    let next = Grant { tokens: Some(tokens(&large, &large)), ..grant("crm", 1) };
    put(store, 0, &next).await;
    assert_eq!(load(store, "crm").await, Some(next));
    put(store, 1, &grant("crm", 2)).await;
    assert_eq!(load(store, "crm").await, Some(grant("crm", 2)));
}

async fn many_grants_are_written_at_once<S: TokenStore + 'static>(store: S) {
    let store = Arc::new(store);
    let writing: Vec<_> = (0..MANY)
        .map(|number| {
            let store = Arc::clone(&store);
            tokio::spawn(async move { put(&*store, 0, &grant(&format!("g{number}"), 1 + number)).await })
        })
        .collect();
    for written in writing {
        written.await.expect("a writer that does not panic");
    }
    for number in 0..MANY {
        let name = format!("g{number}");
        assert_eq!(load(&*store, &name).await, Some(grant(&name, 1 + number)));
    }
    assert_eq!(store.list().await.expect("a readable store").len() as u64, MANY);
}

async fn rivals_lose_no_update<S: TokenStore + 'static>(store: S) {
    let store = Arc::new(store);
    put(&*store, 0, &grant("crm", 1)).await;
    let rivals: Vec<_> = (0..RIVALS)
        .map(|_| {
            let store = Arc::clone(&store);
            tokio::spawn(async move {
                let lease = lease(&*store, "crm").await;
                let held = load(&*store, "crm").await.expect("a record").generation;
                store.commit(&lease, held, &grant("crm", held.0 + 1)).await.expect("the only holder");
            })
        })
        .collect();
    for rival in rivals {
        rival.await.expect("a rival that does not panic");
    }
    assert_eq!(load(&*store, "crm").await.expect("a record").generation, Generation(1 + RIVALS));
}
