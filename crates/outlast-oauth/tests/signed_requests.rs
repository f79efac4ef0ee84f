//! JWTs are made when a request is sent, by the clock of the server that reads them.
#![allow(clippy::unwrap_used)]

mod support;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use outlast_core::wire::{Answer, Assertion, AssertionPlace, Content, Fault, SigningKey};
use outlast_core::{Fence, GrantId, Lease, Secret, TokenEndpoint, TokenRequest};
use outlast_oauth::HttpTokenEndpoint;
use serde_json::Value;
use std::sync::Arc;
use std::time::Duration;
use support::{Ending, Server, Standing, answer, complete, field, tokens};

/// RFC 7515 appendix A.3.
const JWK: &str = r#"{"kty":"EC","crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
    "y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0","d":"jpsQnnGQmL-YBIffH1136cspYG6-0iY7X1fCE9-E9LI"}"#;
/// Ten minutes after [`Standing::AT`].
const AHEAD: &str = "Date: Fri, 15 Jan 2027 08:10:00 GMT\r\n";

fn request(endpoint: String, grant_type: &str, place: AssertionPlace) -> TokenRequest {
    let mut request = TokenRequest::form(&endpoint, vec![("grant_type", Secret::new(grant_type))]);
    request.assertions.push(Assertion {
        place,
        claims: serde_json::Map::new(),
        life: Duration::from_secs(60),
        backdated: Duration::ZERO,
        key: SigningKey { material: Secret::new(JWK), algorithm: None, key_id: None },
    });
    request
}

fn endpoint() -> HttpTokenEndpoint {
    HttpTokenEndpoint::new(Arc::new(Standing))
}

async fn send(endpoint: &HttpTokenEndpoint, request: &TokenRequest) -> Answer {
    endpoint.send(&Lease::new(GrantId::parse("test").unwrap(), Fence(1), ()), request).await
}

/// The claims of the client assertion in the form of a request.
fn claims(request: &str) -> Value {
    let (_, body) = request.split_once("\r\n\r\n").unwrap();
    let jwt = body.split('&').find_map(|member| member.strip_prefix("client_assertion=")).unwrap();
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(jwt.split('.').nth(1).unwrap()).unwrap()).unwrap()
}

/// Refuses every JWT that is not of the server's own time, ten minutes ahead of ours.
async fn strict_about_time(refusal: &'static str) -> Server {
    Server::start(move |request| {
        let bearer = field(request.split("\r\n\r\n").next().unwrap(), "authorization").is_some();
        let good = !bearer && claims(request)["iat"].as_u64() == Some(Standing::AT.as_secs() + 600);
        let bytes = if good { tokens() } else { answer(refusal, AHEAD, r#"{"error":"invalid_client"}"#) };
        (bytes, Ending::Hold)
    })
    .await
}

#[tokio::test]
async fn each_request_is_signed_when_it_is_sent_and_as_a_bearer_where_that_is_wanted() {
    let server = Server::always(tokens(), Ending::Hold).await;
    let endpoint = endpoint();
    let form = request(server.address("/token"), "client_credentials", AssertionPlace::Form("client_assertion"));
    complete(send(&endpoint, &form).await);
    complete(send(&endpoint, &form).await);
    let requests = server.requests();
    assert_eq!(claims(&requests[0])["iat"], Standing::AT.as_secs());
    assert_ne!(claims(&requests[0])["jti"], claims(&requests[1])["jti"]);

    let mut bearer = request(server.address("/token"), "", AssertionPlace::Bearer);
    bearer.content = Content::Json(Secret::new(r#"{"repositories":["one"]}"#));
    complete(send(&endpoint, &bearer).await);
    let requests = server.requests();
    let (head, body) = requests[2].split_once("\r\n\r\n").unwrap();
    assert!(field(head, "authorization").unwrap().starts_with("Bearer eyJ"), "{head}");
    assert_eq!(field(head, "content-type"), Some("application/json"));
    assert_eq!(body, r#"{"repositories":["one"]}"#);
}

#[tokio::test]
async fn f18_a_jwt_refused_by_a_server_whose_clock_is_ahead_is_signed_by_that_clock_and_sent_once_more() {
    for refusal in ["401 Unauthorized", "400 Bad Request"] {
        let server = strict_about_time(refusal).await;
        let endpoint = endpoint();
        let form = request(server.address("/token"), "client_credentials", AssertionPlace::Form("client_assertion"));
        assert_eq!(complete(send(&endpoint, &form).await).status, 200);
        assert_eq!(server.requests().len(), 2);
        // What was learned stays: the next one is right at once.
        assert_eq!(complete(send(&endpoint, &form).await).status, 200);
        assert_eq!(server.requests().len(), 3);
    }
}

#[tokio::test]
async fn f18_a_request_that_spends_something_is_sent_once_whatever_the_clock() {
    for grant_type in ["refresh_token", "authorization_code", "urn:ietf:params:oauth:grant-type:device_code"] {
        let server = strict_about_time("401 Unauthorized").await;
        let endpoint = endpoint();
        let form = request(server.address("/token"), grant_type, AssertionPlace::Form("client_assertion"));
        assert_eq!(complete(send(&endpoint, &form).await).status, 401);
        assert_eq!(server.requests().len(), 1, "{grant_type}");
        assert_eq!(complete(send(&endpoint, &form).await).status, 200, "the next attempt has the right time");
    }
}

#[tokio::test]
async fn f18_a_server_that_goes_on_refusing_is_asked_twice_and_no_more() {
    let refusal = answer("401 Unauthorized", AHEAD, r#"{"error":"invalid_client"}"#);
    let server = Server::always(refusal, Ending::Hold).await;
    let endpoint = endpoint();
    let form = request(server.address("/token"), "client_credentials", AssertionPlace::Form("client_assertion"));
    for attempt in 1..=3 {
        assert_eq!(complete(send(&endpoint, &form).await).status, 401);
        assert_eq!(server.requests().len(), 2 * attempt);
    }
    let dates: Vec<u64> = server.requests().iter().map(|request| claims(request)["iat"].as_u64().unwrap()).collect();
    let (ours, theirs) = (Standing::AT.as_secs(), Standing::AT.as_secs() + 600);
    assert_eq!(dates, [ours, theirs, theirs, ours, ours, theirs], "no attempt leaves either clock out");
}

#[tokio::test]
async fn f18_a_date_that_lies_is_not_followed_while_our_own_clock_is_taken() {
    let server = Server::always(answer("200 OK", AHEAD, support::TOKENS), Ending::Hold).await;
    let endpoint = endpoint();
    let form = request(server.address("/token"), "client_credentials", AssertionPlace::Form("client_assertion"));
    for _ in 0..3 {
        complete(send(&endpoint, &form).await);
        assert_eq!(claims(server.requests().last().unwrap())["iat"], Standing::AT.as_secs());
    }
}

#[tokio::test]
async fn what_cannot_be_signed_is_not_sent() {
    let server = Server::always(tokens(), Ending::Hold).await;
    let mut form = request(server.address("/token"), "client_credentials", AssertionPlace::Form("client_assertion"));
    form.assertions[0].key.material = Secret::new("CANARY");
    let answer = send(&endpoint(), &form).await;
    assert!(matches!(answer, Answer::Unsent(Fault::Unsigned)), "{answer:?}");
    assert_eq!(server.connections(), 0);
}

/// Nonces are wanted at every request: the server's answers differ in the nonce alone.
async fn wants_nonces(refusals: usize) -> (Server, Answer) {
    let count = std::sync::atomic::AtomicUsize::new(0);
    let server = Server::start(move |_| {
        let number = count.fetch_add(1, std::sync::atomic::Ordering::SeqCst) + 1;
        let nonce = format!("DPoP-Nonce: n-{number}\r\n");
        let refusal = answer("400 Bad Request", &nonce, r#"{"error":"use_dpop_nonce"}"#);
        (if number <= refusals { refusal } else { tokens() }, Ending::Hold)
    })
    .await;
    let mut request = TokenRequest::form(&server.address("/token"), vec![("grant_type", Secret::new("refresh_token"))]);
    request.proof_key = Some(Secret::new(JWK));
    let answered = send(&endpoint(), &request).await;
    (server, answered)
}

#[tokio::test]
async fn n33_a_refresh_is_sent_again_with_each_new_nonce_but_twice_at_most() {
    for (refusals, sends, status) in [(0, 1, 200), (1, 2, 200), (2, 3, 200), (9, 3, 400)] {
        let (server, answered) = wants_nonces(refusals).await;
        let Answer::Complete(reply) = answered else { panic!("{answered:?}") };
        assert_eq!((reply.status, server.requests().len()), (status, sends), "{refusals} refusals");
        let nonces: Vec<Option<String>> = server.requests().iter().map(|request| nonce(request)).collect();
        let wanted: Vec<_> = (0..sends).map(|turn| (turn > 0).then(|| format!("n-{turn}"))).collect();
        assert_eq!(nonces, wanted, "the latest wins");
    }
}

fn nonce(request: &str) -> Option<String> {
    let proof = field(request.split("\r\n\r\n").next().unwrap(), "dpop").expect("each has a proof");
    let claims = URL_SAFE_NO_PAD.decode(proof.split('.').nth(1).unwrap()).unwrap();
    serde_json::from_slice::<Value>(&claims).unwrap()["nonce"].as_str().map(str::to_owned)
}
