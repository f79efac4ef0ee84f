//! Tokens that end while requests are under way: what the client sees, and what the servers count.
#![allow(clippy::unwrap_used, clippy::disallowed_methods, reason = "a test stops at the first surprise")]

mod support;

use outlast::{Clock, Keeper, Settings, SystemClock, TokenSet, read_token_set};
use outlast_daemon::Sidecar;
use outlast_sandbox::Sandbox;
use std::sync::Arc;
use std::time::Duration;
use support::{ask, get, id, import, read_until, sandbox, settings, sidecar};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::Notify;

/// A sandbox, and a sidecar before it whose grant `crm` holds a family of its own.
async fn stage(hold: Duration) -> (Sandbox, Keeper, Sidecar) {
    let sandbox = sandbox().await;
    let grant = settings("crm", &sandbox.token_endpoint(), Some(sandbox.api()));
    let keeper = Settings::in_memory().grant(grant).open().unwrap();
    import(&keeper.grant(&id("crm")).unwrap(), &sandbox).await;
    let sidecar = sidecar(&keeper, hold, None).await;
    (sandbox, keeper, sidecar)
}

#[tokio::test]
async fn a_refused_token_is_renewed_and_the_request_sent_again_unseen_by_the_client() {
    let (sandbox, _keeper, sidecar) = stage(Duration::ZERO).await;
    assert_eq!(get(&sidecar, "/crm/api/whoami").await.status, 200);
    sandbox.kill_access_tokens();
    let answer = ask(&sidecar, "POST /crm/api/charge", &["Content-Type: application/json"], "{\"amount\":1}").await;
    assert_eq!(answer.status, 201, "{answer:?}");
    assert_eq!(answer.field("outlast-code"), None);
    let counters = sandbox.counters();
    assert_eq!((counters.api_total, counters.api_unauthorized, counters.refreshes), (3, 1, 1));
    assert_eq!((counters.charges, counters.reuse_alarms), (1, 0));
}

#[tokio::test]
async fn many_refused_requests_cause_one_renewal_and_all_succeed() {
    let (sandbox, _keeper, sidecar) = stage(Duration::ZERO).await;
    assert_eq!(get(&sidecar, "/crm/api/whoami").await.status, 200);
    sandbox.kill_access_tokens();
    let answers = futures_util::future::join_all((0..32).map(|_| get(&sidecar, "/crm/api/whoami"))).await;
    assert!(answers.iter().all(|answer| answer.status == 200), "{answers:?}");
    let counters = sandbox.counters();
    assert_eq!((counters.refreshes, counters.reuse_alarms), (1, 0));
}

#[tokio::test]
async fn what_is_too_large_to_keep_is_not_sent_twice_but_the_token_is_renewed() {
    let (sandbox, _keeper, sidecar) = stage(Duration::ZERO).await;
    assert_eq!(get(&sidecar, "/crm/api/whoami").await.status, 200);
    sandbox.kill_access_tokens();
    let body = "x".repeat(256 * 1024 + 1);
    let answer = ask(&sidecar, "POST /crm/api/upload", &[], &body).await;
    assert_eq!((answer.status, answer.field("outlast-code")), (401, Some("not-replayed")));
    assert!(answer.field("www-authenticate").is_some(), "the original refusal");
    assert_eq!(ask(&sidecar, "POST /crm/api/upload", &[], &body).await.status, 200);
    assert_eq!(sandbox.counters().refreshes, 1);
}

/// A resource that refuses a token at the first line of a request, before it reads any of the body, and says so to
/// `refused`; to any other token it answers with the length of the body.
async fn hasty_resource(bad: String, refused: Arc<Notify>) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let origin = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let (bad, refused) = (bad.clone(), Arc::clone(&refused));
            tokio::spawn(async move {
                let mut stream = tokio::io::BufReader::new(stream);
                let mut head = String::new();
                while !head.ends_with("\r\n\r\n") {
                    assert!(stream.read_line(&mut head).await.unwrap() > 0, "{head}");
                }
                if head.contains(&bad) {
                    let refusal = "HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Bearer error=\"invalid_token\"\r\n\
                                   Content-Length: 0\r\nConnection: close\r\n\r\n";
                    stream.write_all(refusal.as_bytes()).await.unwrap();
                    refused.notify_one();
                    // It reads what still comes, and makes nothing of it.
                    let _ended = stream.read_to_end(&mut Vec::new()).await;
                    return;
                }
                let length =
                    head.to_lowercase().split("content-length: ").nth(1).unwrap().lines().next().unwrap().to_owned();
                let mut body = vec![0; length.parse().unwrap()];
                stream.read_exact(&mut body).await.unwrap();
                assert!(body.iter().all(|byte| *byte == b'x'));
                let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{length}", length.len());
                stream.write_all(answer.as_bytes()).await.unwrap();
            });
        }
    });
    origin
}

#[tokio::test]
async fn r8_a_post_that_is_refused_before_its_body_was_sent_is_sent_again_whole() {
    let sandbox = sandbox().await;
    let (refused, length) = (Arc::new(Notify::new()), 200_000);
    let issued = sandbox.issue();
    let origin = hasty_resource(issued.access.clone(), Arc::clone(&refused)).await;
    let grant = settings("crm", &sandbox.token_endpoint(), Some(&origin));
    let keeper = Settings::in_memory().grant(grant).open().unwrap();
    let response = read_token_set(&issued.token_response().to_string()).unwrap();
    keeper.grant(&id("crm")).unwrap().import(TokenSet::first(response, SystemClock::new().now())).await.unwrap();
    let sidecar = sidecar(&keeper, Duration::from_secs(5), None).await;
    let (address, capability) = (sidecar.proxy_address(), sidecar.capability().expose());
    let mut client = TcpStream::connect(address).await.unwrap();
    let head = format!(
        "POST /crm/upload HTTP/1.1\r\nHost: {address}\r\nX-Api-Key: {capability}\r\nContent-Length: {length}\r\n\r\n"
    );
    client.write_all(head.as_bytes()).await.unwrap();
    client.write_all(&vec![b'x'; length / 2]).await.unwrap();
    refused.notified().await;
    client.write_all(&vec![b'x'; length - length / 2]).await.unwrap();
    let answer = read_until(&mut client, &length.to_string()).await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    assert_eq!(sandbox.counters().refreshes, 1);
}

#[tokio::test]
async fn a_request_marked_never_is_not_sent_twice() {
    let (sandbox, _keeper, sidecar) = stage(Duration::ZERO).await;
    assert_eq!(get(&sidecar, "/crm/api/whoami").await.status, 200);
    sandbox.kill_access_tokens();
    let answer = ask(&sidecar, "POST /crm/api/charge", &["Outlast-Replay: never"], "{}").await;
    assert_eq!((answer.status, answer.field("outlast-code")), (401, Some("not-replayed")));
    assert_eq!((sandbox.counters().api_total, sandbox.counters().charges), (2, 0));
}

#[tokio::test]
async fn r24_a_dead_grant_is_503_with_text_that_says_wait_or_stop() {
    let (sandbox, _keeper, sidecar) = stage(Duration::ZERO).await;
    sandbox.revoke_family(None);
    for _ in 0..2 {
        let answer = get(&sidecar, "/crm/api/whoami").await;
        assert_eq!((answer.status, answer.field("outlast-code")), (503, Some("needs-user")), "{answer:?}");
        assert_eq!(answer.field("retry-after"), Some("60"));
        assert_eq!(answer.field("www-authenticate"), None);
        assert_eq!(answer.field("content-type"), Some("text/plain; charset=utf-8"));
        assert!(answer.body.contains("Stop or wait") && answer.body.contains("do not use another credential"));
    }
    // The dead grant is not asked about again.
    assert_eq!(sandbox.counters().token_requests, 1);
}

#[tokio::test]
async fn a_request_that_waits_for_a_person_goes_on_as_if_nothing_had_happened() {
    let (sandbox, keeper, sidecar) = stage(Duration::from_secs(60)).await;
    sandbox.revoke_family(None);
    let waiting = get(&sidecar, "/crm/api/whoami");
    let person = async {
        let handle = keeper.grant(&id("crm")).unwrap();
        while sandbox.counters().token_requests == 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        import(&handle, &sandbox).await;
    };
    let (answer, ()) = tokio::join!(waiting, person);
    assert_eq!(answer.status, 200, "{answer:?}");
}

#[tokio::test]
async fn a_request_that_meets_an_expired_token_and_a_short_outage_waits_and_succeeds() {
    let sandbox = sandbox().await;
    let grant = settings("crm", &sandbox.token_endpoint(), Some(sandbox.api()));
    let keeper = Settings::in_memory().grant(grant).open().unwrap();
    let response = read_token_set(&sandbox.issue().token_response().to_string()).unwrap();
    let long_ago = SystemClock::new().now().minus(Duration::from_secs(3600));
    keeper.grant(&id("crm")).unwrap().import(TokenSet::first(response, long_ago)).await.unwrap();
    sandbox.fault(outlast_sandbox::Fault::Unavailable, outlast_sandbox::Lasting::Times(1));
    let sidecar = sidecar(&keeper, Duration::from_secs(10), None).await;
    let answer = get(&sidecar, "/crm/api/whoami").await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let counters = sandbox.counters();
    assert_eq!((counters.token_requests, counters.refreshes), (2, 1));
    assert_eq!((counters.api_unauthorized, counters.reuse_alarms), (0, 0));
}
