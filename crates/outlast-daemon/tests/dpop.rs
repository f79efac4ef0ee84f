//! Tokens that are bound to a key (RFC 9449), through the proxy, judged by a certified server.
#![allow(clippy::unwrap_used, clippy::disallowed_methods, reason = "a test stops at the first surprise")]

mod support;

use outlast::{
    Ask, By, Clock, GrantHandle, GrantSettings, Keeper, LoginOptions, Provider, Rejected, Server, Settings,
    SystemClock, TokenResponse, TokenSet, TokenType,
};
use outlast_daemon::Sidecar;
use outlast_testkit::peer::OidcProvider;
use serde_json::{Value, json};
use std::time::Duration;
use support::{Browser, ask, get, id, sidecar};

fn settings(server: &OidcProvider, client: &str) -> GrantSettings {
    GrantSettings {
        client_id: client.to_owned(),
        scope: vec!["api:read".to_owned()],
        resource: Some(format!("{}/api", server.api())),
        upstream: Some(server.api().parse().unwrap()),
        dpop: true,
        ..GrantSettings::new(id("crm"), "authorization_code", Server::Issuer(server.issuer().to_owned()))
    }
}

async fn stage(config: &[(&str, &str)]) -> Option<(OidcProvider, Keeper, GrantHandle, Sidecar)> {
    let server = OidcProvider::start(&[&[("ACCESS_TTL", "600"), ("AUTO_LOGIN", "1")], config].concat())?;
    let keeper = Settings::in_memory().grant(settings(&server, "dpop")).open().unwrap();
    let handle = keeper.grant(&id("crm")).unwrap();
    handle.login(&LoginOptions::default(), &Browser).await.unwrap();
    let sidecar = sidecar(&keeper, Duration::from_secs(5), None).await;
    Some((server, keeper, handle, sidecar))
}

fn counter(server: &OidcProvider, pointer: &str) -> u64 {
    server.counters().pointer(pointer).and_then(Value::as_u64).unwrap_or_default()
}

async fn renew(handle: &GrantHandle) -> outlast::AccessToken {
    let generation = handle.record().await.unwrap().generation;
    let ask = Ask { rejected: Some(Rejected { generation, by: By::Person }), ..Ask::default() };
    handle.access_token(ask).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn n33_a_bound_grant_outlives_ten_renewals_through_the_proxy_while_nonces_change() {
    let Some((server, _keeper, handle, sidecar)) = stage(&[("DPOP_REQUIRE_NONCE", "1")]).await else { return };
    for round in 1..=10 {
        let answer = get(&sidecar, "/crm/api/whoami").await;
        assert_eq!(answer.status, 200, "round {round}: {answer:?}");
        assert!(answer.body.contains("\"dpop\":true"), "{}", answer.body);
        assert_eq!(answer.field("outlast-code"), None);
        let posted = ask(&sidecar, "POST /crm/api/charge", &["Content-Type: application/json"], "{\"amount\":1}").await;
        assert!((200..300).contains(&posted.status), "{posted:?}");
        assert_eq!(renew(&handle).await.token_type(), TokenType::Dpop);
    }
    assert_eq!((counter(&server, "/refreshes"), counter(&server, "/reuse_detections")), (10, 0));
    assert_eq!(counter(&server, "/charges/total").max(counter(&server, "/charges")), 10, "{}", server.counters());
}

#[tokio::test(flavor = "multi_thread")]
async fn n31_each_request_carries_a_proof_of_its_own_and_none_of_the_clients() {
    let Some((server, _keeper, _handle, sidecar)) = stage(&[]).await else { return };
    // The peer takes each proof once, and only for its own method, address and token.
    for target in ["GET /crm/api/whoami", "GET /crm/api/whoami?a=1", "POST /crm/api/echo", "GET /crm/api/whoami"] {
        let answer = ask(&sidecar, target, &["DPoP: forged.by.client"], "").await;
        assert_eq!(answer.status, 200, "{target}: {answer:?}");
    }
    server.kill_access_tokens();
    let answer = get(&sidecar, "/crm/api/whoami").await;
    assert_eq!(answer.status, 200, "a bound token is renewed after a 401 as any other: {answer:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn n32_a_token_that_is_not_bound_is_discarded_and_what_is_held_stays() {
    let Some((server, _keeper, handle, _sidecar)) = stage(&[]).await else { return };
    let held = handle.record().await.unwrap();
    server.fault(&json!({"kind": "patch", "on": "token", "times": 1, "set": {"token_type": "Bearer"}}));
    let ask = Ask { rejected: Some(Rejected { generation: held.generation, by: By::Person }), ..Ask::default() };
    let refused = handle.access_token(ask).await.unwrap_err();
    assert!(refused.to_string().contains("not bound to the grant's key"), "{refused}");
    let after = handle.record().await.unwrap();
    assert_eq!((after.generation, after.tokens), (held.generation, held.tokens));
    assert!(after.in_doubt, "the server has replaced the refresh token: its refusal will be no revocation");
}

#[tokio::test(flavor = "multi_thread")]
async fn n33_requests_that_are_challenged_together_are_all_answered() {
    let Some((_server, _keeper, _handle, sidecar)) = stage(&[("DPOP_REQUIRE_NONCE", "1")]).await else { return };
    // None of them knows a nonce yet, and all are given the same one.
    let asked = futures_util::future::join_all((0..8).map(|_| get(&sidecar, "/crm/api/whoami"))).await;
    assert_eq!(asked.iter().map(|answer| answer.status).collect::<Vec<_>>(), [200; 8]);
}

/// A server whose every answer gives another nonce, each good for one proof.
const EACH: &[(&str, &str)] = &[("DPOP_NONCE_EACH", "1")];

#[tokio::test(flavor = "multi_thread")]
async fn n33_nonces_that_change_with_every_answer_cost_one_retry_and_no_renewal() {
    let Some((server, _keeper, handle, sidecar)) = stage(EACH).await else { return };
    for round in 0..10 {
        let answer = get(&sidecar, "/crm/api/whoami").await;
        assert!(answer.status == 200 && answer.body.contains("\"dpop\":true"), "round {round}: {answer:?}");
        let posted = ask(&sidecar, "POST /crm/api/charge", &["Content-Type: application/json"], "{\"amount\":1}").await;
        assert!((200..300).contains(&posted.status), "round {round}: {posted:?}");
        renew(&handle).await;
    }
    let refused = |pointer: &str| counter(&server, pointer);
    // The first answer of each server teaches its nonce, and every later one the next: nothing is asked twice.
    assert_eq!(refused("/token_errors/use_dpop_nonce"), 1, "{}", server.counters());
    assert_eq!(refused("/api/unauthorized/dpop"), 1, "{}", server.counters());
    assert_eq!((counter(&server, "/refreshes"), counter(&server, "/reuse_detections")), (10, 0));
    assert_eq!(counter(&server, "/charges"), 10, "{}", server.counters());
}

#[tokio::test(flavor = "multi_thread")]
async fn n33_requests_that_share_a_nonce_good_once_are_all_answered_and_nothing_is_renewed() {
    let Some((server, _keeper, handle, sidecar)) = stage(EACH).await else { return };
    let generation = handle.record().await.unwrap().generation;
    for _ in 0..5 {
        let asked = futures_util::future::join_all((0..16).map(|_| get(&sidecar, "/crm/api/whoami"))).await;
        assert_eq!(asked.iter().map(|answer| answer.status).collect::<Vec<_>>(), [200; 16]);
    }
    assert_eq!(handle.record().await.unwrap().generation, generation);
    assert_eq!(counter(&server, "/refreshes"), 0, "a wish for a nonce is no refusal of the token");
    let asked = counter(&server, "/api/unauthorized/dpop");
    assert!(asked <= 5 * 16 * 2, "at most two more sends for each: {asked}");
}

#[tokio::test]
async fn f48_a_bound_token_without_its_key_is_not_served_by_the_fresh_path_either() {
    let provider = Provider { token_endpoint: "http://127.0.0.1:1/token".to_owned(), ..Provider::default() };
    let settings = GrantSettings::new(id("crm"), "authorization_code", Server::from(provider));
    let handle = Settings::in_memory().grant(settings).open().unwrap().grant(&id("crm")).unwrap();
    let response = TokenResponse {
        token_type: TokenType::Dpop,
        expires_in: Some(Duration::from_secs(3600)),
        ..TokenResponse::bearer("bound")
    };
    handle.import(TokenSet::first(response, SystemClock::new().now())).await.unwrap();
    assert!(handle.fresh().is_none());
    let refused = handle.access_token(Ask::default()).await.unwrap_err();
    assert!(refused.to_string().contains("the key that its tokens are bound to is lost"), "{refused}");
}
