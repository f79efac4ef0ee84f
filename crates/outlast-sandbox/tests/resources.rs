//! The protected API does real work, counts it, and repeats no credential.

#![allow(clippy::unwrap_used)]

mod speak;

use speak::{api, strict};

#[tokio::test]
async fn a_step_of_work_gives_the_same_result_each_time_and_counts_the_calls() {
    let sandbox = strict().await;
    let access = sandbox.issue().access;
    let first = api(&sandbox, &access, "POST /api/step/7", b"").await.json();
    let again = api(&sandbox, &access, "GET /api/step/7", b"").await.json();
    let other = api(&sandbox, &access, "GET /api/step/8", b"").await.json();
    assert_eq!(first["result"], again["result"]);
    assert_ne!(first["result"], other["result"]);
    assert_eq!((first["calls"].as_u64(), again["calls"].as_u64()), (Some(1), Some(2)));
    assert_eq!((sandbox.counters().work_calls, sandbox.counters().work_steps), (3, 2));
    assert_eq!(api(&sandbox, &access, "GET /api/step/seven", b"").await.status, 404);
}

#[tokio::test]
async fn a_numbered_call_of_a_step_is_known_when_it_comes_again() {
    let sandbox = strict().await;
    let access = sandbox.issue().access;
    let work = async |path: &str| api(&sandbox, &access, &format!("GET /api/step/{path}"), b"").await;
    for (path, calls) in [("7/call/0", 1), ("7/call/1", 1), ("7/call/1", 2), ("8/call/1", 1)] {
        assert_eq!(work(path).await.json()["calls"], calls, "{path}");
    }
    for path in ["7/call/", "7/call/one", "7/call/1/2", "7/called/1", "/call/1"] {
        assert_eq!(work(path).await.status, 404, "{path}");
    }
    let counters = sandbox.counters();
    assert_eq!((counters.work_calls, counters.work_steps, counters.work_repeated), (4, 2, 1));
}

#[tokio::test]
async fn a_charge_with_the_same_key_happens_once() {
    let sandbox = strict().await;
    let access = sandbox.issue().access;
    let charge = async |head: &str, body: &[u8]| api(&sandbox, &access, head, body).await;
    let keyed = "POST /api/charge\nIdempotency-Key: order-1";
    assert_eq!(charge(keyed, b"5").await.status, 201);
    let replayed = charge(keyed, b"5").await;
    assert_eq!((replayed.status, replayed.json()["replayed"].as_bool()), (200, Some(true)));
    assert_eq!(charge(keyed, b"6").await.status, 422);
    assert_eq!(charge("POST /api/charge", b"5").await.status, 201);
    assert_eq!(sandbox.counters().charges, 2);
}

#[tokio::test]
async fn a_charge_without_a_good_token_is_not_made() {
    let sandbox = strict().await;
    sandbox.issue();
    assert_eq!(api(&sandbox, "made-up", "POST /api/charge", b"5").await.status, 401);
    assert_eq!(sandbox.counters().charges, 0);
}

#[tokio::test]
async fn echo_tells_the_request_and_never_the_credential() {
    let sandbox = strict().await;
    let access = sandbox.issue().access;
    let answer = api(&sandbox, &access, "PATCH /api/echo?a=1\nX-Trace: t", b"hello").await;
    let echo = answer.json();
    assert_eq!((echo["method"].as_str(), echo["query"].as_str()), (Some("PATCH"), Some("a=1")));
    assert_eq!(echo["body"], "hello");
    let headers = echo["headers"].as_array().unwrap();
    assert!(headers.contains(&serde_json::json!(["x-trace", "t"])));
    assert_eq!(headers.iter().filter(|field| field[0] == "authorization").count(), 1);
    assert!(!String::from_utf8_lossy(&answer.body).contains(&access));
}

#[tokio::test]
async fn an_upload_is_answered_with_its_length_and_digest() {
    let sandbox = strict().await;
    let access = sandbox.issue().access;
    let upload = api(&sandbox, &access, "POST /api/upload", b"abc").await.json();
    assert_eq!(upload["length"], 3);
    // FIPS 180-2, example B.1.
    assert_eq!(upload["sha256"], "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    let large = vec![b'x'; 3 * 1024 * 1024];
    assert_eq!(api(&sandbox, &access, "POST /api/upload", &large).await.json()["length"], large.len());
}

#[tokio::test]
async fn a_big_answer_has_the_length_asked_for() {
    let sandbox = strict().await;
    let access = sandbox.issue().access;
    let big = api(&sandbox, &access, "GET /api/big?bytes=200001", b"").await;
    assert_eq!((big.field("content-length"), big.body.len()), (Some("200001"), 200_001));
    assert_eq!(api(&sandbox, &access, "GET /api/big?bytes=4294967297", b"").await.status, 400);
}

#[tokio::test]
async fn a_stream_sends_the_events_asked_for() {
    let sandbox = strict().await;
    let access = sandbox.issue().access;
    let stream = api(&sandbox, &access, "GET /api/stream?events=3&interval_ms=1", b"").await;
    let text = String::from_utf8_lossy(&stream.body).into_owned();
    assert_eq!(stream.field("content-type"), Some("text/event-stream"));
    assert_eq!(text.matches("data: ").count(), 3);
    assert_eq!(api(&sandbox, &access, "GET /api/stream?events=1000001", b"").await.status, 400);
}

#[tokio::test]
async fn any_status_can_be_asked_for_and_is_counted() {
    let sandbox = strict().await;
    let access = sandbox.issue().access;
    for status in [200, 204, 304, 401, 403, 404, 429, 500, 503] {
        let answer = api(&sandbox, &access, &format!("GET /api/status/{status}"), b"").await;
        assert_eq!(answer.status, status);
        assert_eq!(answer.field("retry-after").is_some(), status == 429 || status == 503);
        assert_eq!(sandbox.counters().api_by_status.get(&status), Some(&1));
    }
    assert_eq!(api(&sandbox, &access, "GET /api/status/100", b"").await.status, 404);
    let counters = sandbox.counters();
    assert_eq!((counters.api_total, counters.api_unauthorized), (10, 1));
}

#[tokio::test]
async fn a_wrong_method_and_an_unknown_path_are_told_apart() {
    let sandbox = strict().await;
    let access = sandbox.issue().access;
    assert_eq!(api(&sandbox, &access, "GET /api/charge", b"").await.status, 405);
    assert_eq!(api(&sandbox, &access, "GET /api/nowhere", b"").await.status, 404);
    assert_eq!(api(&sandbox, &access, "GET /elsewhere", b"").await.status, 404);
}
