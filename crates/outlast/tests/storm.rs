//! The library over its real store and real HTTP client, against the strict sandbox.
#![allow(clippy::unwrap_used, missing_docs)]

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use outlast::middleware::AuthorizedClient;
use outlast::{
    Ask, ClientAuth, Clock, GrantHandle, GrantId, GrantSettings, Keeper, Secret, Server, SystemClock, TokenSet,
};
use outlast_sandbox::{Fault, Lasting, Sandbox};
use std::path::Path;
use std::time::Duration;

fn crm() -> GrantId {
    GrantId::parse("crm").unwrap()
}

async fn sandbox(access_ttl: Duration) -> Sandbox {
    Sandbox::start(outlast_sandbox::Settings { access_ttl, ..Default::default() }).await.unwrap()
}

fn process(home: &Path, sandbox: &Sandbox, grant_type: &str) -> Keeper {
    let settings = GrantSettings {
        client_id: "sandbox".to_owned(),
        client_auth: ClientAuth::Basic(Secret::new("sandbox-secret")),
        ..GrantSettings::new(crm(), grant_type, Server::Issuer(sandbox.issuer().to_owned()))
    };
    outlast::Settings::new(home).grant(settings).open().unwrap()
}

async fn granted(keeper: &Keeper, sandbox: &Sandbox) -> GrantHandle {
    let handle = keeper.grant(&crm()).unwrap();
    let issued = outlast::read_token_set(&sandbox.issue().token_response().to_string()).unwrap();
    handle.import(TokenSet::first(issued, SystemClock::new().now())).await.unwrap();
    handle
}

/// Calls the API until `rounds` calls are made; returns how many were not answered 200.
async fn work(handle: GrantHandle, address: String, rounds: usize) -> usize {
    let client = AuthorizedClient::new(reqwest::Client::builder().no_proxy().build().unwrap(), handle);
    let mut refused = 0;
    for _ in 0..rounds {
        let request = http::Request::post(&address).body(Full::<Bytes>::from("payload")).unwrap();
        let response = client.send(request).await.unwrap();
        refused += usize::from(response.status() != 200);
        response.into_body().collect().await.unwrap();
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    refused
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn eight_workers_live_through_many_lives_an_outage_and_an_early_revocation() {
    let folder = tempfile::tempdir().unwrap();
    let sandbox = sandbox(Duration::from_secs(2)).await;
    let keeper = process(&folder.path().join("home"), &sandbox, "refresh_token");
    let handle = granted(&keeper, &sandbox).await;
    let _refresher = keeper.refresh_in_background();
    let address = format!("{}/api/echo", sandbox.api());
    let workers: Vec<_> = (0..8).map(|_| tokio::spawn(work(handle.clone(), address.clone(), 300))).collect();
    tokio::time::sleep(Duration::from_millis(2500)).await;
    sandbox.fault(Fault::CutConnection, Lasting::For(Duration::from_millis(300)));
    tokio::time::sleep(Duration::from_millis(1500)).await;
    sandbox.kill_access_tokens();
    for worker in workers {
        assert_eq!(worker.await.unwrap(), 0, "a worker saw a refusal");
    }
    let seen = sandbox.counters();
    assert_eq!((seen.reuse_alarms, seen.families_revoked), (0, 0));
    assert_eq!(seen.max_concurrent_token_requests_per_family, 1);
    assert!(seen.grant_alive && seen.refreshes >= 2, "{seen:?}");
    sandbox.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s1_a_thousand_tasks_and_a_second_process_at_expiry_cause_one_refresh() {
    let folder = tempfile::tempdir().unwrap();
    let home = folder.path().join("home");
    let sandbox = sandbox(Duration::from_secs(300)).await;
    let keeper = process(&home, &sandbox, "refresh_token");
    let handle = keeper.grant(&crm()).unwrap();
    let issued = outlast::read_token_set(&sandbox.issue().token_response().to_string()).unwrap();
    let expired = TokenSet::first(issued, SystemClock::new().now().minus(Duration::from_secs(400)));
    handle.import(expired).await.unwrap();
    let other = process(&home, &sandbox, "refresh_token").grant(&crm()).unwrap();
    let ask = |handle: GrantHandle| async move { handle.access_token(Ask::default()).await.unwrap().secret().clone() };
    let asking: Vec<_> =
        (0..1000).map(|n| tokio::spawn(ask(if n % 2 == 0 { handle.clone() } else { other.clone() }))).collect();
    let mut answers = vec![];
    for answer in asking {
        answers.push(answer.await.unwrap());
    }
    assert!(answers.iter().all(|answer| *answer == answers[0]), "one answer for all");
    let seen = sandbox.counters();
    assert_eq!((seen.refreshes, seen.token_requests, seen.reuse_alarms), (1, 1, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tokens_survive_a_restart_and_client_credentials_are_minted_without_a_person() {
    let folder = tempfile::tempdir().unwrap();
    let home = folder.path().join("home");
    let sandbox = sandbox(Duration::from_secs(300)).await;
    let first = process(&home, &sandbox, "client_credentials").access_token(&crm(), Ask::default()).await.unwrap();
    let again = process(&home, &sandbox, "client_credentials").access_token(&crm(), Ask::default()).await.unwrap();
    assert_eq!(first.secret(), again.secret());
    assert_eq!(sandbox.counters().client_credentials, 1);
}
