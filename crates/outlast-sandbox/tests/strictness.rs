//! The authorization server is as strict as the RFCs allow.

#![allow(clippy::unwrap_used)]

mod speak;

use base64::Engine;
use outlast_sandbox::{Fault, Lasting, Sandbox, Settings};
use speak::{CLIENT, api, refresh, send, strict, token, until, with_clock};
use std::sync::Arc;
use std::time::Duration;

fn text(value: &serde_json::Value) -> String {
    value.as_str().expect("a string").to_owned()
}

#[tokio::test]
async fn discovery_names_the_issuer_exactly_and_its_endpoints_work() {
    let sandbox = strict().await;
    let metadata = send(sandbox.issuer(), "GET /.well-known/oauth-authorization-server", b"").await.unwrap().json();
    assert_eq!(metadata["issuer"], sandbox.issuer());
    assert_eq!(metadata["token_endpoint"], sandbox.token_endpoint());
    assert_eq!(metadata["revocation_endpoint"], format!("{}/revoke", sandbox.issuer()));
}

#[tokio::test]
async fn n07_a_refresh_answers_new_tokens_that_must_not_be_stored() {
    let sandbox = strict().await;
    let issued = sandbox.issue();
    let answer = refresh(&sandbox, &issued.refresh).await.unwrap();
    let content = answer.json();
    assert_eq!((answer.status, answer.field("cache-control")), (200, Some("no-store")));
    assert_eq!((content["token_type"].as_str(), content["expires_in"].as_u64()), (Some("Bearer"), Some(3)));
    assert_ne!(content["refresh_token"], issued.refresh);
    assert_ne!(content["access_token"], issued.access);
    let access = text(&content["access_token"]);
    assert_eq!(api(&sandbox, &access, "GET /api/whoami", b"").await.json()["family"], issued.family);
}

#[tokio::test]
async fn reuse_of_a_rotated_token_revokes_the_family_and_kills_its_access_tokens() {
    let sandbox = strict().await;
    let issued = sandbox.issue();
    let renewed = refresh(&sandbox, &issued.refresh).await.unwrap().json();
    let access = text(&renewed["access_token"]);
    assert_eq!(api(&sandbox, &access, "GET /api/echo", b"").await.status, 200);
    assert_eq!(refresh(&sandbox, &issued.refresh).await.unwrap().error(), "invalid_grant");
    for dead in [&access, &issued.access] {
        assert_eq!(api(&sandbox, dead, "GET /api/echo", b"").await.status, 401);
    }
    let successor = text(&renewed["refresh_token"]);
    assert_eq!(refresh(&sandbox, &successor).await.unwrap().error(), "invalid_grant");
    let counters = sandbox.counters();
    assert_eq!((counters.reuse_alarms, counters.families_revoked, counters.grant_alive), (1, 1, false));
    assert_eq!((counters.token_requests, counters.refreshes, counters.token_refused), (3, 1, 2));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_parallel_refreshes_with_one_token_exactly_one_wins_and_the_family_dies() {
    let sandbox = Arc::new(strict().await);
    let issued = sandbox.issue();
    let racers: Vec<_> = (0..8)
        .map(|_| {
            let (sandbox, token) = (Arc::clone(&sandbox), issued.refresh.clone());
            tokio::spawn(async move { refresh(&sandbox, &token).await.unwrap() })
        })
        .collect();
    let mut winners = Vec::new();
    for racer in racers {
        let answer = racer.await.unwrap();
        if answer.status == 200 {
            winners.push(text(&answer.json()["access_token"]));
        }
    }
    assert_eq!(winners.len(), 1);
    assert_eq!(api(&sandbox, &winners[0], "GET /api/echo", b"").await.status, 401);
    let counters = sandbox.counters();
    assert_eq!((counters.refreshes, counters.reuse_alarms, counters.grant_alive), (1, 1, false));
}

#[tokio::test]
async fn token_requests_of_a_family_that_overlap_are_seen() {
    let sandbox = Arc::new(strict().await);
    sandbox.fault(Fault::Slow { delay: Duration::from_secs(3_600) }, Lasting::Times(1));
    let (issued, other) = (sandbox.issue(), sandbox.issue());
    let (server, held) = (Arc::clone(&sandbox), issued.refresh.clone());
    let waiting = tokio::spawn(async move { refresh(&server, &held).await.map(|answer| answer.status) });
    until(|| sandbox.counters().refreshes == 1).await;
    refresh(&sandbox, &other.refresh).await.unwrap();
    assert_eq!(sandbox.counters().max_concurrent_token_requests_per_family, 1);
    refresh(&sandbox, &issued.refresh).await.unwrap();
    assert_eq!(sandbox.counters().max_concurrent_token_requests_per_family, 2);
    waiting.abort();
}

#[tokio::test]
async fn a_token_request_whose_client_hung_up_is_no_longer_in_progress() {
    let sandbox = Arc::new(strict().await);
    sandbox.fault(Fault::Slow { delay: Duration::from_secs(3_600) }, Lasting::Times(1));
    let (server, held) = (Arc::clone(&sandbox), sandbox.issue().refresh);
    let waiting = tokio::spawn(async move { refresh(&server, &held).await.map(|answer| answer.status) });
    until(|| sandbox.counters().token_requests_in_progress == 1).await;
    waiting.abort();
    until(|| sandbox.counters().token_requests_in_progress == 0).await;
}

#[tokio::test]
async fn an_access_token_dies_at_its_end_with_the_challenge_of_rfc_6750() {
    let settings = Settings { access_ttl: Duration::from_millis(1_500), ..Settings::default() };
    let (sandbox, pass) = with_clock(settings).await;
    let issued = sandbox.issue();
    pass(Duration::from_millis(1_499));
    assert_eq!(api(&sandbox, &issued.access, "GET /api/echo", b"").await.status, 200);
    pass(Duration::from_millis(1));
    let refused = api(&sandbox, &issued.access, "GET /api/echo", b"").await;
    let challenge = r#"Bearer error="invalid_token", error_description="The access token expired""#;
    assert_eq!((refused.status, refused.field("www-authenticate")), (401, Some(challenge)));
}

#[tokio::test]
async fn a_refresh_token_dies_at_its_end_and_each_rotation_starts_a_new_life() {
    let (sandbox, pass) = with_clock(Settings { refresh_ttl: Duration::from_secs(10), ..Settings::default() }).await;
    let issued = sandbox.issue();
    pass(Duration::from_secs(9));
    let renewed = text(&refresh(&sandbox, &issued.refresh).await.unwrap().json()["refresh_token"]);
    pass(Duration::from_secs(9));
    let renewed = text(&refresh(&sandbox, &renewed).await.unwrap().json()["refresh_token"]);
    assert!(sandbox.counters().grant_alive);
    pass(Duration::from_secs(10));
    assert_eq!(refresh(&sandbox, &renewed).await.unwrap().error(), "invalid_grant");
    let counters = sandbox.counters();
    assert_eq!((counters.reuse_alarms, counters.families_revoked, counters.grant_alive), (0, 0, false));
}

#[tokio::test]
async fn a_request_without_a_token_gets_a_challenge_without_an_error() {
    let sandbox = strict().await;
    let refused = send(sandbox.api(), "GET /api/echo", b"").await.unwrap();
    assert_eq!(refused.status, 401);
    assert!(refused.field("www-authenticate").is_some_and(|it| it.starts_with("Bearer") && !it.contains("error")));
    let doubled = send(sandbox.api(), "GET /api/echo\nAuthorization: Bearer a\nAuthorization: Bearer b", b"").await;
    assert_eq!(doubled.unwrap().status, 400);
}

#[tokio::test]
async fn a_client_that_does_not_prove_itself_is_refused_with_401_and_a_challenge() {
    let sandbox = strict().await;
    let issued = sandbox.issue();
    let form = format!("grant_type=refresh_token&refresh_token={}", issued.refresh);
    for client in
        ["", "&client_id=sandbox", "&client_id=sandbox&client_secret=wrong", "&client_id=other&client_secret=x"]
    {
        let refused = token(&sandbox, &format!("{form}{client}")).await.unwrap();
        assert_eq!((refused.status, refused.error().as_str()), (401, "invalid_client"), "{client}");
        assert!(refused.field("www-authenticate").is_some());
    }
    assert_eq!(refresh(&sandbox, &issued.refresh).await.unwrap().status, 200, "a refused client spends nothing");
}

#[tokio::test]
async fn n02_basic_credentials_are_form_decoded() {
    let settings = Settings {
        client_id: "odd:client+1".to_owned(),
        client_secret: Some("s3cr+t/with=odd%25 &?:ü".to_owned()),
        ..Settings::default()
    };
    let sandbox = Sandbox::start(settings).await.unwrap();
    let encode = |text: &str| url::form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
    let ask = async |joined: String| {
        let basic = base64::engine::general_purpose::STANDARD.encode(joined);
        let head =
            format!("POST /token\nContent-Type: application/x-www-form-urlencoded\nAuthorization: Basic {basic}");
        send(sandbox.issuer(), &head, b"grant_type=client_credentials").await.unwrap().status
    };
    let encoded = format!("{}:{}", encode("odd:client+1"), encode("s3cr+t/with=odd%25 &?:ü"));
    assert_eq!(ask(encoded).await, 200);
    assert_eq!(ask("odd:client+1:s3cr+t/with=odd%25 &?:ü".to_owned()).await, 401);
}

#[tokio::test]
async fn client_credentials_bring_an_access_token_and_no_refresh_token() {
    let sandbox = strict().await;
    let answer = token(&sandbox, &format!("grant_type=client_credentials&{CLIENT}")).await.unwrap().json();
    assert!(answer.get("refresh_token").is_none());
    let caller = api(&sandbox, &text(&answer["access_token"]), "GET /api/whoami", b"").await.json();
    assert_eq!((caller["subject"].as_str(), caller["family"].is_null()), (Some("sandbox"), true));
    let public = Sandbox::start(Settings { client_secret: None, ..Settings::default() }).await.unwrap();
    let refused = token(&public, "grant_type=client_credentials&client_id=sandbox").await.unwrap();
    assert_eq!(refused.error(), "unauthorized_client");
    let form = format!("grant_type=refresh_token&client_id=sandbox&refresh_token={}", public.issue().refresh);
    assert_eq!(token(&public, &form).await.unwrap().status, 200);
}

#[tokio::test]
async fn n01_malformed_requests_get_the_error_the_rfc_names_and_spend_nothing() {
    let sandbox = strict().await;
    let issued = sandbox.issue();
    let good = format!("grant_type=refresh_token&refresh_token={}&{CLIENT}", issued.refresh);
    let cases = [
        (format!("{good}&refresh_token={}", issued.refresh), "invalid_request"),
        (format!("{good}&scope=api:read&scope=api:read"), "invalid_request"),
        (format!("{good}&scope=api:admin"), "invalid_scope"),
        (format!("{good}&resource=https://elsewhere.example"), "invalid_target"),
        (format!("{good}&resource={}.example", sandbox.api()), "invalid_target"),
        (format!("grant_type=password&{CLIENT}"), "unsupported_grant_type"),
        (format!("grant_type=&{CLIENT}"), "invalid_request"),
        (format!("grant_type=refresh_token&{CLIENT}"), "invalid_request"),
        (format!("grant_type=refresh_token&refresh_token=made-up&{CLIENT}"), "invalid_grant"),
    ];
    for (form, expected) in cases {
        let refused = token(&sandbox, &form).await.unwrap();
        assert_eq!((refused.status, refused.error().as_str()), (400, expected), "{form}");
    }
    let in_address = format!("POST /token?{good}\nContent-Type: application/x-www-form-urlencoded");
    assert_eq!(send(sandbox.issuer(), &in_address, b"").await.unwrap().error(), "invalid_request");
    let as_json = send(sandbox.issuer(), "POST /token\nContent-Type: application/json", good.as_bytes()).await;
    assert_eq!(as_json.unwrap().error(), "invalid_request");
    assert_eq!(send(sandbox.issuer(), "GET /token", b"").await.unwrap().status, 405);
    let both = format!("{good}&scope=api:read&resource={0}/api&resource={0}", sandbox.api());
    assert_eq!(token(&sandbox, &both).await.unwrap().status, 200);
}

#[tokio::test]
async fn a_body_past_the_limit_is_refused_and_spends_nothing() {
    let sandbox = strict().await;
    let padded = format!("{}&{CLIENT}&padding={}", sandbox.issue().refresh, "x".repeat(1024 * 1024));
    // The server may answer and close before everything was sent; what counts is that it spends nothing.
    if let Ok(refused) = token(&sandbox, &format!("grant_type=refresh_token&refresh_token={padded}")).await {
        assert_eq!(refused.error(), "invalid_request");
    }
    assert_eq!((sandbox.counters().token_requests, sandbox.counters().refreshes), (1, 0));
}

#[tokio::test]
async fn revocation_ends_the_family_of_a_refresh_token_and_says_200_to_any_token() {
    let sandbox = strict().await;
    let issued = sandbox.issue();
    let revoke = async |form: String| {
        let head = "POST /revoke\nContent-Type: application/x-www-form-urlencoded";
        send(sandbox.issuer(), head, form.as_bytes()).await.unwrap().status
    };
    assert_eq!(revoke(format!("token={}", issued.refresh)).await, 401);
    assert_eq!(revoke(format!("token=made-up&{CLIENT}")).await, 200);
    assert_eq!(api(&sandbox, &issued.access, "GET /api/echo", b"").await.status, 200);
    assert_eq!(revoke(format!("token={}&token_type_hint=refresh_token&{CLIENT}", issued.refresh)).await, 200);
    assert_eq!(api(&sandbox, &issued.access, "GET /api/echo", b"").await.status, 401);
    assert_eq!((sandbox.counters().families_revoked, sandbox.counters().grant_alive), (1, false));
}

#[tokio::test]
async fn the_api_is_not_served_by_the_issuer_nor_the_token_endpoint_by_the_api() {
    let sandbox = strict().await;
    let issued = sandbox.issue();
    let at_issuer = format!("GET /api/echo\nAuthorization: Bearer {}", issued.access);
    assert_eq!(send(sandbox.issuer(), &at_issuer, b"").await.unwrap().status, 404);
    for path in ["/token", "/counters", "/mint", "/faults"] {
        assert_eq!(api(&sandbox, &issued.access, &format!("POST {path}"), b"").await.status, 404, "{path}");
    }
}

#[tokio::test]
async fn shutdown_frees_the_ports_and_closes_connections() {
    let sandbox = strict().await;
    let (issuer, api) = (sandbox.issuer().to_owned(), sandbox.api().to_owned());
    let port = |base: &str| base.rsplit(':').next().and_then(|port| port.parse().ok()).expect("a port");
    let settings = Settings { port: port(&issuer), api_port: port(&api), ..Settings::default() };
    assert!(Sandbox::start(settings.clone()).await.is_err(), "the ports are taken while it runs");
    let mut idle = tokio::net::TcpStream::connect(issuer.trim_start_matches("http://")).await.unwrap();
    send(&issuer, "GET /counters", b"").await.unwrap();
    sandbox.shutdown().await;
    assert_eq!(tokio::io::AsyncReadExt::read(&mut idle, &mut [0; 1]).await.unwrap_or(0), 0);
    assert!(Sandbox::start(settings).await.is_ok());
}
