//! A resource that wants a nonce in the proof (RFC 9449 9): what is sent again, how often, and what is not.
#![allow(clippy::unwrap_used, missing_docs)]

use base64::Engine;
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use outlast::middleware::{Policy, authorize};
use outlast::{
    BoxFuture, GrantHandle, GrantId, GrantSettings, LoginOptions, LoginPrompt, LoginStep, LoginWay, Provider, Server,
    Settings,
};
use outlast_core::Lease;
use outlast_core::wire::{Answer, Reply, TokenEndpoint, TokenRequest};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::convert::Infallible;
use std::sync::{Arc, Mutex};

/// Gives one bound token set, and no second one.
#[derive(Default)]
struct Once(Mutex<usize>);

impl TokenEndpoint for Once {
    fn send<'a>(&'a self, _lease: &'a Lease, _request: &'a TokenRequest) -> BoxFuture<'a, Answer> {
        *self.0.lock().unwrap() += 1;
        let body =
            json!({"access_token": "CANARY-token", "token_type": "DPoP", "expires_in": 600, "refresh_token": "r"});
        let body = body.to_string().into_bytes();
        Box::pin(async { Answer::Complete(Reply { status: 200, body, ..Reply::default() }) })
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

async fn bound_grant(endpoint: Arc<Once>) -> GrantHandle {
    let id = GrantId::parse("crm").unwrap();
    let provider = Provider {
        token_endpoint: "https://as.example/token".to_owned(),
        authorization_endpoint: Some("https://as.example/authorize".to_owned()),
        ..Provider::default()
    };
    let settings = GrantSettings {
        client_id: "client".to_owned(),
        dpop: true,
        ..GrantSettings::new(id.clone(), "authorization_code", Server::from(provider))
    };
    let keeper = Settings::in_memory().endpoint(endpoint).grant(settings).open().unwrap();
    let handle = keeper.grant(&id).unwrap();
    let options = LoginOptions { way: Some(LoginWay::Paste), ..LoginOptions::default() };
    handle.login(&options, &Person::default()).await.unwrap();
    handle
}

/// The claims of the proof, of a request that carries one credential, and not as Bearer.
fn proof(request: &Request<outlast::middleware::ReplayBody<Full<Bytes>>>) -> Value {
    let authorization: Vec<_> = request.headers().get_all("authorization").iter().collect();
    assert_eq!(authorization, ["DPoP CANARY-token"], "never as Bearer, whatever the resource says");
    let proof = request.headers()["dpop"].to_str().unwrap();
    let claims = proof.split('.').nth(1).unwrap();
    serde_json::from_slice(&base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(claims).unwrap()).unwrap()
}

/// Sends to a resource that wants the nonce `n-K` of its own `K`-th answer, until it has refused `refusals`
/// requests. Returns the answer's status and code, and the claims of each proof.
async fn sent(handle: &GrantHandle, refusals: usize, mark: &[(&str, &str)]) -> (u16, Option<String>, Vec<Value>) {
    let seen: Mutex<Vec<Value>> = Mutex::default();
    let mut request = Request::builder().method("POST").uri("https://api.example/work");
    for (name, value) in mark {
        request = request.header(*name, *value);
    }
    let request = request.body(Full::from("body")).unwrap();
    let policy = Policy::default();
    let response = authorize(handle, &policy, request, |request| {
        let number = {
            let mut seen = seen.lock().unwrap();
            seen.push(proof(&request));
            seen.len()
        };
        async move {
            let body = request.into_body().collect().await.unwrap().to_bytes();
            assert_eq!(body, "body", "the whole of it, each time");
            let response = Response::builder().header("dpop-nonce", format!("n-{number}"));
            let response = match number <= refusals {
                // Bearer is offered too, as a resource does that takes both.
                true => response
                    .status(401)
                    .header("www-authenticate", "Bearer, DPoP error=\"use_dpop_nonce\", algs=\"ES256\""),
                false => response.status(200),
            };
            Ok::<_, Infallible>(response.body(Full::<Bytes>::default()).unwrap())
        }
    });
    let response = response.await.unwrap();
    let code = response.headers().get("outlast-code").map(|code| code.to_str().unwrap().to_owned());
    (response.status().as_u16(), code, seen.into_inner().unwrap())
}

#[tokio::test]
async fn n33_at_most_two_more_sends_each_with_the_latest_nonce_and_never_as_bearer() {
    let endpoint = Arc::new(Once::default());
    let handle = bound_grant(Arc::clone(&endpoint)).await;
    let not_replayed = Some("not-replayed".to_owned());
    for (refusals, wanted) in
        [(0, (200, None, 1)), (1, (200, None, 2)), (2, (200, None, 3)), (9, (401, not_replayed, 3))]
    {
        let (status, code, proofs) = sent(&handle, refusals, &[]).await;
        assert_eq!((status, code, proofs.len()), wanted, "{refusals} refusals");
        for (turn, claims) in proofs.iter().enumerate().skip(1) {
            assert_eq!(claims["nonce"], format!("n-{turn}"), "the latest wins");
        }
        let names: BTreeSet<String> = proofs.iter().map(|claims| claims["jti"].to_string()).collect();
        assert_eq!(names.len(), proofs.len(), "no proof is sent twice");
    }
    assert_eq!(*endpoint.0.lock().unwrap(), 1, "a wish for a nonce renews nothing");
    // It cost no part of what a real refusal may cost either.
    assert_eq!(handle.record().await.unwrap().generation.0, 1);
}

#[tokio::test]
async fn n33_a_request_that_may_be_sent_once_is_not_sent_again_for_a_nonce_and_the_next_one_has_it() {
    let handle = bound_grant(Arc::default()).await;
    let (status, code, proofs) = sent(&handle, 1, &[("outlast-replay", "never")]).await;
    assert_eq!((status, code.as_deref(), proofs.len()), (401, Some("not-replayed"), 1));
    let (status, _, proofs) = sent(&handle, 0, &[("outlast-replay", "never")]).await;
    assert_eq!((status, proofs[0]["nonce"].as_str()), (200, Some("n-1")));
}
