//! Every fault does what it says, as often as it was asked for, and no more.

#![allow(clippy::unwrap_used)]

mod speak;

use outlast_sandbox::{Fault, Lasting, Settings};
use serde_json::Value;
use speak::{CLIENT, api, order, refresh, send, strict, token, until, with_clock};
use std::sync::Arc;
use std::time::Duration;

#[tokio::test]
async fn an_outage_answers_nothing_spends_nothing_and_ends() {
    let (sandbox, pass) = with_clock(Settings::default()).await;
    let issued = sandbox.issue();
    assert_eq!(order(&sandbox, r#"{"kind":"outage","for_ms":5000}"#).await.status, 200);
    for _ in 0..3 {
        assert!(refresh(&sandbox, &issued.refresh).await.is_err());
    }
    pass(Duration::from_millis(4_999));
    assert!(refresh(&sandbox, &issued.refresh).await.is_err());
    pass(Duration::from_millis(1));
    assert_eq!(refresh(&sandbox, &issued.refresh).await.unwrap().status, 200);
    let counters = sandbox.counters();
    assert_eq!((counters.token_requests, counters.refreshes, counters.reuse_alarms), (5, 1, 0));
}

#[tokio::test]
async fn an_outage_can_answer_503_with_retry_after() {
    let sandbox = strict().await;
    let issued = sandbox.issue();
    order(&sandbox, r#"{"kind":"outage","status":503,"times":2}"#).await;
    for _ in 0..2 {
        let answer = refresh(&sandbox, &issued.refresh).await.unwrap();
        assert_eq!((answer.status, answer.field("retry-after")), (503, Some("1")));
    }
    assert_eq!(refresh(&sandbox, &issued.refresh).await.unwrap().status, 200);
}

#[tokio::test]
async fn an_outage_leaves_the_api_working() {
    let sandbox = strict().await;
    let issued = sandbox.issue();
    sandbox.fault(Fault::CutConnection, Lasting::UntilCleared);
    assert_eq!(api(&sandbox, &issued.access, "GET /api/echo", b"").await.status, 200);
    assert!(refresh(&sandbox, &issued.refresh).await.is_err());
    sandbox.clear_faults();
    assert_eq!(refresh(&sandbox, &issued.refresh).await.unwrap().status, 200);
}

#[tokio::test]
async fn a_lost_answer_has_spent_the_token() {
    let sandbox = strict().await;
    let issued = sandbox.issue();
    order(&sandbox, r#"{"kind":"lost_answer"}"#).await;
    assert!(refresh(&sandbox, &issued.refresh).await.is_err());
    let counters = sandbox.counters();
    assert_eq!((counters.refreshes, counters.lost_answers, counters.reuse_alarms), (1, 1, 0));
    assert_eq!(refresh(&sandbox, &issued.refresh).await.unwrap().error(), "invalid_grant");
    assert_eq!(sandbox.counters().reuse_alarms, 1);
}

#[tokio::test]
async fn a_lost_answer_waits_for_a_request_that_succeeds() {
    let sandbox = strict().await;
    let issued = sandbox.issue();
    sandbox.fault(Fault::LostAnswer, Lasting::Times(1));
    assert_eq!(refresh(&sandbox, "made-up").await.unwrap().error(), "invalid_grant");
    assert!(refresh(&sandbox, &issued.refresh).await.is_err());
}

#[tokio::test]
async fn a_page_of_html_spends_nothing() {
    let sandbox = strict().await;
    let issued = sandbox.issue();
    order(&sandbox, r#"{"kind":"html","times":1}"#).await;
    order(&sandbox, r#"{"kind":"html","status":200}"#).await;
    for status in [502, 200] {
        let page = refresh(&sandbox, &issued.refresh).await.unwrap();
        assert_eq!((page.status, page.field("content-type")), (status, Some("text/html; charset=utf-8")));
    }
    assert_eq!(refresh(&sandbox, &issued.refresh).await.unwrap().status, 200);
}

#[tokio::test]
async fn a_slow_answer_has_done_its_work_before_it_comes() {
    let sandbox = Arc::new(strict().await);
    let issued = sandbox.issue();
    sandbox.fault(Fault::Slow { delay: Duration::from_secs(3_600) }, Lasting::Times(1));
    sandbox.fault(Fault::Slow { delay: Duration::from_millis(1) }, Lasting::Times(1));
    let (server, held) = (Arc::clone(&sandbox), issued.refresh.clone());
    let waiting = tokio::spawn(async move { refresh(&server, &held).await.map(|answer| answer.status) });
    until(|| sandbox.counters().refreshes == 1).await;
    assert_eq!(refresh(&sandbox, &issued.refresh).await.unwrap().error(), "invalid_grant");
    assert!(!waiting.is_finished(), "the answer is still held back");
    waiting.abort();
}

#[tokio::test]
async fn early_revocation_kills_access_tokens_and_a_refresh_mends_it() {
    let sandbox = strict().await;
    let issued = sandbox.issue();
    assert_eq!(order(&sandbox, r#"{"kind":"kill_access_tokens"}"#).await.json()["affected"], 1);
    let refused = api(&sandbox, &issued.access, "GET /api/echo", b"").await;
    assert_eq!(refused.status, 401);
    assert!(
        refused.field("www-authenticate").is_some_and(|it| it.contains("invalid_token") && !it.contains("expired"))
    );
    let renewed = refresh(&sandbox, &issued.refresh).await.unwrap().json();
    assert_eq!(api(&sandbox, renewed["access_token"].as_str().unwrap(), "GET /api/echo", b"").await.status, 200);
    assert!(sandbox.counters().grant_alive);
}

#[tokio::test]
async fn a_family_can_be_revoked_alone_or_with_all_others() {
    let sandbox = strict().await;
    let (first, second, third) = (sandbox.issue(), sandbox.issue(), sandbox.issue());
    let one = format!(r#"{{"kind":"revoke_family","family":{}}}"#, first.family);
    assert_eq!(order(&sandbox, &one).await.json()["affected"], 1);
    assert_eq!(order(&sandbox, &one).await.json()["affected"], 0);
    assert_eq!(refresh(&sandbox, &first.refresh).await.unwrap().error(), "invalid_grant");
    assert_eq!(api(&sandbox, &second.access, "GET /api/echo", b"").await.status, 200);
    assert_eq!(sandbox.revoke_family(None), 2);
    assert_eq!(api(&sandbox, &third.access, "GET /api/echo", b"").await.status, 401);
    assert_eq!(sandbox.counters().reuse_alarms, 0);
}

#[tokio::test]
async fn f49_the_api_can_refuse_a_good_token_a_few_times() {
    let sandbox = strict().await;
    let issued = sandbox.issue();
    order(&sandbox, r#"{"kind":"api_unauthorized","times":2}"#).await;
    for expected in [401, 401, 200] {
        assert_eq!(api(&sandbox, &issued.access, "GET /api/echo", b"").await.status, expected);
    }
    assert_eq!(sandbox.counters().api_unauthorized, 2);
}

#[tokio::test]
async fn a_wrong_order_is_refused_and_changes_nothing() {
    let sandbox = strict().await;
    let issued = sandbox.issue();
    assert_eq!(order(&sandbox, r#"{"kind":"outage","minutes":1}"#).await.status, 400);
    assert_eq!(refresh(&sandbox, &issued.refresh).await.unwrap().status, 200);
}

#[tokio::test]
async fn minted_tokens_work_and_the_counters_tell_what_happened_without_any_token() {
    let sandbox = strict().await;
    let minted = send(sandbox.issuer(), "POST /mint", b"").await.unwrap().json();
    let refreshed = refresh(&sandbox, minted["refresh_token"].as_str().unwrap()).await.unwrap().json();
    api(&sandbox, refreshed["access_token"].as_str().unwrap(), "GET /api/step/3", b"").await;
    token(&sandbox, &format!("grant_type=client_credentials&{CLIENT}")).await.unwrap();
    let told = send(sandbox.issuer(), "GET /counters", b"").await.unwrap();
    let counters: Value = told.json();
    assert_eq!(counters, sandbox.counters().to_json());
    assert_eq!((counters["refreshes"].as_u64(), counters["client_credentials"].as_u64()), (Some(1), Some(1)));
    assert_eq!((counters["api_by_status"]["200"].as_u64(), counters["grant_alive"].as_bool()), (Some(1), Some(true)));
    assert!(!String::from_utf8_lossy(&told.body).contains("sandbox-"));
}
