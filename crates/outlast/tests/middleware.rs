//! The 401 path, as a scripted table: what the resource says, what it sees, what the caller gets.
#![allow(clippy::unwrap_used, missing_docs)]
#![allow(clippy::disallowed_methods, reason = "simulated time is the runtime's time")]

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full, StreamBody};
use outlast::middleware::{AuthorizeError, AuthorizeLayer, Policy, ReplayBody, authorize};
use outlast::{Clock, Code, GrantHandle, GrantId, GrantSettings, Provider, Server, Settings, TokenSet};
use outlast_testkit::clock::SimulatedClock;
use outlast_testkit::strict_server::{StrictServer, Trick};
use std::convert::Infallible;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// A resource that takes some tokens and records what it was sent.
#[derive(Clone, Default)]
struct Resource {
    accepted: Arc<Mutex<Vec<String>>>,
    sent: Arc<Mutex<Vec<(String, Bytes)>>>,
}

impl Resource {
    fn accepts(&self, tokens: &[&str]) {
        *self.accepted.lock().unwrap() = tokens.iter().map(|token| format!("Bearer {token}")).collect();
    }

    fn tokens_seen(&self) -> Vec<String> {
        self.sent.lock().unwrap().iter().map(|(token, _)| token.trim_start_matches("Bearer ").to_owned()).collect()
    }

    async fn answer<B>(&self, request: Request<B>) -> Result<Response<Full<Bytes>>, Infallible>
    where
        B: http_body::Body<Data = Bytes>,
        B::Error: std::fmt::Debug,
    {
        let values: Vec<_> = request.headers().get_all("authorization").iter().collect();
        assert_eq!(values.len(), 1, "exactly one credential leaves");
        let token = values[0].to_str().unwrap().to_owned();
        let body = request.into_body().collect().await.unwrap().to_bytes();
        let taken = self.accepted.lock().unwrap().contains(&token);
        self.sent.lock().unwrap().push((token, body));
        let response = Response::builder();
        Ok(match taken {
            true => response.status(200).body(Full::from("fine")),
            false => response
                .status(401)
                .header(
                    "www-authenticate",
                    r#"Bearer error="invalid_token", error_description="The access token expired""#,
                )
                .body(Full::from("the original refusal")),
        }
        .unwrap())
    }
}

struct World {
    server: StrictServer,
    handle: GrantHandle,
    resource: Resource,
}

async fn world() -> World {
    world_of("").await
}

async fn world_of(provider_name: &str) -> World {
    let server = StrictServer::new(Duration::from_secs(3600), Duration::from_millis(100));
    let clock = Arc::new(SimulatedClock::new());
    let provider = Provider { token_endpoint: "https://as.example/token".to_owned(), ..Provider::default() };
    let settings = GrantSettings {
        client_id: "client".to_owned(),
        quirks: provider_name.to_owned(),
        ..GrantSettings::new(GrantId::parse("crm").unwrap(), "refresh_token", Server::from(provider))
    };
    let keeper = Settings::in_memory()
        .endpoint(Arc::new(server.clone()))
        .clock(Arc::clone(&clock) as Arc<dyn Clock>)
        .grant(settings)
        .open()
        .unwrap();
    let handle = keeper.grant(&GrantId::parse("crm").unwrap()).unwrap();
    handle.import(TokenSet::first(server.issue(), clock.now())).await.unwrap();
    World { server, handle, resource: Resource::default() }
}

impl World {
    async fn send_body<B>(
        &self,
        request: Request<B>,
    ) -> Result<(StatusCode, Option<String>, Bytes), AuthorizeError<Infallible>>
    where
        B: http_body::Body<Data = Bytes>,
        B::Error: std::fmt::Debug,
    {
        let policy = Policy { hold: Duration::ZERO, ..Policy::default() };
        let response = authorize(&self.handle, &policy, request, |request| self.resource.answer(request)).await?;
        let code = response.headers().get("outlast-code").map(|code| code.to_str().unwrap().to_owned());
        let status = response.status();
        Ok((status, code, response.into_body().collect().await.unwrap().to_bytes()))
    }

    async fn send(&self, request: Request<Full<Bytes>>) -> (u16, Option<String>, Bytes) {
        let (status, code, body) = self.send_body(request).await.unwrap();
        (status.as_u16(), code, body)
    }
}

fn request(method: Method, body: &'static str) -> Request<Full<Bytes>> {
    Request::builder()
        .method(method)
        .uri("/work")
        .header("authorization", "Bearer mine")
        .body(Full::from(body))
        .unwrap()
}

#[tokio::test(start_paused = true)]
async fn r8_a_refused_get_and_a_buffered_post_are_sent_once_more_byte_for_byte() {
    for method in [Method::GET, Method::POST] {
        let world = world().await;
        world.resource.accepts(&["access-1"]);
        world.send(request(Method::GET, "")).await;
        world.resource.accepts(&["access-2"]);
        assert_eq!(world.send(request(method, "payload")).await, (200, None, Bytes::from("fine")));
        assert_eq!(world.resource.tokens_seen(), ["access-1", "access-1", "access-2"]);
        assert!(world.resource.sent.lock().unwrap()[1..].iter().all(|(_, body)| body == "payload"));
        assert_eq!(world.server.seen().requests, 1);
    }
}

#[tokio::test(start_paused = true)]
async fn r8_a_post_that_is_refused_before_its_body_was_read_is_sent_once_more_whole() {
    let world = world().await;
    world.resource.accepts(&["access-2"]);
    let hasty = |request: Request<ReplayBody<Full<Bytes>>>| {
        let resource = world.resource.clone();
        async move {
            if request.headers()["authorization"] == "Bearer access-1" {
                let (head, _unread) = request.into_parts();
                return resource.answer(Request::from_parts(head, Full::<Bytes>::default())).await;
            }
            resource.answer(request).await
        }
    };
    let response = authorize(&world.handle, &Policy::default(), request(Method::POST, "payload"), hasty).await.unwrap();
    assert_eq!((response.status().as_u16(), world.resource.sent.lock().unwrap()[1].1.clone()), (200, "payload".into()));
}

#[tokio::test(start_paused = true)]
async fn r8_a_streamed_upload_is_not_sent_again_and_the_original_refusal_is_returned() {
    let world = world().await;
    let large = vec![b'x'; Policy::default().replay_body_bytes_max + 1];
    let upload = Request::post("/upload").body(Full::from(large)).unwrap();
    let answer = world.send(upload).await;
    assert_eq!(answer, (401, Some("not-replayed".to_owned()), Bytes::from("the original refusal")));
    assert_eq!(world.resource.tokens_seen(), ["access-1"]);
    assert_eq!(world.server.seen().requests, 1, "the token is renewed for the next request");
}

#[tokio::test(start_paused = true)]
async fn r8_a_request_marked_once_is_not_sent_again() {
    let world = world().await;
    let mut once = request(Method::POST, "charge");
    once.headers_mut().insert("outlast-replay", "never".parse().unwrap());
    let (status, code, _) = world.send(once).await;
    assert_eq!((status, code.as_deref()), (401, Some("not-replayed")));
    assert_eq!(world.resource.tokens_seen(), ["access-1"]);
}

#[tokio::test(start_paused = true)]
async fn a_short_stream_that_was_read_whole_is_sent_again() {
    let world = world().await;
    world.resource.accepts(&["access-2"]);
    let frames = futures_util::stream::iter([Ok::<_, Infallible>(http_body::Frame::data(Bytes::from("part")))]);
    let streamed = Request::post("/x").body(StreamBody::new(frames)).unwrap();
    let (status, _, _) = world.send_body(streamed).await.unwrap();
    assert_eq!(status, 200);
    assert!(world.resource.sent.lock().unwrap().iter().all(|(_, body)| body == "part"));
}

#[tokio::test(start_paused = true)]
async fn l1_a_resource_that_takes_tokens_again_is_written_down_for_processes_to_come() {
    let world = world().await;
    for _ in 0..3 {
        world.send(request(Method::GET, "")).await;
        tokio::time::sleep(Duration::from_secs(400)).await;
    }
    let counted = world.handle.record().await.unwrap();
    assert!(counted.breaker.streak > 0, "{:?}", counted.breaker);
    let held = counted.tokens.unwrap().access.expose().to_owned();
    world.resource.accepts(&[&held]);
    assert_eq!(world.send(request(Method::GET, "")).await.0, 200);
    tokio::time::sleep(Duration::from_secs(1)).await;
    let breaker = world.handle.record().await.unwrap().breaker;
    assert_eq!((breaker.streak, breaker.born_forced), (0, false));
    assert_eq!(breaker.forced, counted.breaker.forced);
}

#[tokio::test(start_paused = true)]
async fn r9_a_resource_that_refuses_everything_sees_one_renewal_one_replay_and_no_more_once_it_cannot_lag() {
    let world = world().await;
    let (status, code, body) = world.send(request(Method::GET, "")).await;
    assert_eq!((status, code.as_deref(), &*body), (401, Some("rejected-after-renewal"), &b"the original refusal"[..]));
    // Once with each, and with the new one three times more: the resource may lag behind it (F49).
    let once_and_three = ["access-1", "access-2", "access-2", "access-2", "access-2"];
    assert_eq!(world.resource.tokens_seen(), once_and_three);
    // Once the token is too old for that, each request is sent once, until another renewal is permitted.
    tokio::time::sleep(Duration::from_secs(30)).await;
    for _ in 0..100 {
        assert_eq!(world.send(request(Method::GET, "")).await.0, 401);
    }
    assert_eq!(world.resource.tokens_seen().len(), once_and_three.len() + 100);
    assert_eq!(world.server.seen().requests, 1);
}

#[tokio::test(start_paused = true)]
async fn f49_a_young_token_that_was_never_taken_is_tried_again_before_it_is_renewed() {
    let world = world().await;
    world.resource.accepts(&["access-1"]);
    world.send(request(Method::GET, "")).await;
    world.resource.accepts(&[]);
    let lagging = world.resource.clone();
    tokio::spawn(async move {
        tokio::time::sleep(Duration::from_millis(1000)).await;
        lagging.accepts(&["access-2"]);
    });
    assert_eq!(world.send(request(Method::GET, "")).await.0, 200);
    assert_eq!(world.server.seen().requests, 1, "the resource lagged; another renewal would not have helped");
}

#[tokio::test(start_paused = true)]
async fn f49_a_replay_that_one_replica_refuses_and_another_took_is_waited_out() {
    let world = world().await;
    world.resource.accepts(&["access-1"]);
    world.send(request(Method::GET, "")).await;
    world.resource.accepts(&["access-2"]);
    let replays = AtomicUsize::new(0);
    // The second replay comes to a replica that has not heard of the token yet.
    let replica = |request: Request<_>| {
        let new = request.headers()["authorization"] == "Bearer access-2";
        let lags = new && replays.fetch_add(1, Ordering::Relaxed) == 1;
        let resource = if lags { Resource::default() } else { world.resource.clone() };
        async move { resource.answer(request).await }
    };
    let policy = Policy::default();
    let asked = || authorize(&world.handle, &policy, request(Method::GET, ""), replica);
    let (one, other) = tokio::join!(asked(), asked());
    assert_eq!([one.unwrap().status(), other.unwrap().status()], [200, 200]);
    assert_eq!(replays.into_inner(), 3, "one of them twice");
    assert_eq!(world.server.seen().requests, 1);
}

#[tokio::test(start_paused = true)]
async fn n13_other_refusals_pass_untouched_and_cause_no_renewal() {
    for status in [400_u16, 403, 404, 409, 429, 500, 503] {
        let world = world().await;
        let answer = |_request| async move {
            Ok::<_, Infallible>(Response::builder().status(status).body(Full::<Bytes>::from("as it came")).unwrap())
        };
        let response = authorize(&world.handle, &Policy::default(), request(Method::GET, ""), answer).await.unwrap();
        assert_eq!(response.status(), status);
        assert!(!response.headers().contains_key("outlast-code"));
        assert_eq!(response.into_body().collect().await.unwrap().to_bytes(), "as it came");
        assert_eq!(world.server.seen().requests, 0, "{status}");
    }
}

#[tokio::test(start_paused = true)]
async fn r24_a_grant_that_needs_its_owner_is_no_401_and_its_text_says_wait() {
    let world = world().await;
    world.server.play([Trick::Refuse("invalid_grant")]);
    let AuthorizeError::Token(error) = world.send_body(request(Method::GET, "")).await.unwrap_err() else {
        panic!("a refusal was passed on");
    };
    assert_eq!(error.code(), Code::NeedsUser);
    assert!(error.to_string().contains("do not use another credential"));
}

#[tokio::test(start_paused = true)]
async fn fifty_refused_requests_cause_one_renewal_and_all_succeed() {
    let world = Arc::new(world().await);
    world.resource.accepts(&["access-1"]);
    world.send(request(Method::GET, "")).await;
    world.resource.accepts(&["access-2"]);
    let sending: Vec<_> = (0..50)
        .map(|_| {
            tokio::spawn({
                let world = Arc::clone(&world);
                async move { world.send(request(Method::POST, "x")).await.0 }
            })
        })
        .collect();
    for status in sending {
        assert_eq!(status.await.unwrap(), 200);
    }
    assert_eq!((world.server.seen().requests, world.server.seen().reuse_alarms), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn the_tower_layer_walks_the_same_way() {
    use tower::{Layer, ServiceExt, service_fn};
    let world = world().await;
    world.resource.accepts(&["access-2"]);
    let resource = world.resource.clone();
    let inner = service_fn(move |request| {
        let resource = resource.clone();
        async move { resource.answer(request).await }
    });
    let service = AuthorizeLayer::new(world.handle.clone()).layer(inner);
    let response = service.oneshot(request(Method::POST, "payload")).await.unwrap();
    assert_eq!(response.status(), 200);
    assert_eq!(world.server.seen().requests, 1);
}

/// What Slack answers to a token that has run out: status 200 (docs.slack.dev, `auth.test`).
fn slack_answer(request: &Request<ReplayBody<Full<Bytes>>>) -> Response<Full<Bytes>> {
    let expired = request.headers()["authorization"] == "Bearer access-1";
    let body = if expired { r#"{"ok":false,"error":"token_expired"}"# } else { r#"{"ok":true}"# };
    Response::builder().header("content-type", "application/json; charset=utf-8").body(Full::from(body)).unwrap()
}

#[tokio::test(start_paused = true)]
async fn f51_an_error_on_200_is_looked_for_only_where_the_provider_is_known_for_it() {
    for (provider, renewals) in [("slack", 1), ("", 0)] {
        let world = world_of(provider).await;
        let answer = |request| {
            let answer = slack_answer(&request);
            async move { Ok::<_, Infallible>(answer) }
        };
        let response = authorize(&world.handle, &Policy::default(), request(Method::GET, ""), answer).await.unwrap();
        let body = response.into_body().collect().await.unwrap().to_bytes();
        assert_eq!(body == r#"{"ok":true}"#, renewals == 1, "{provider:?}");
        assert_eq!(world.server.seen().requests, renewals, "{provider:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn r24_a_refusal_that_cannot_be_mended_now_is_no_bare_401_and_keeps_to_the_hold() {
    for trick in [Trick::Status(503), Trick::Unreachable, Trick::Refuse("invalid_client")] {
        let world = world().await;
        world.resource.accepts(&["access-1"]);
        world.send(request(Method::GET, "")).await;
        world.resource.accepts(&["access-2"]);
        world.server.play(std::iter::repeat_n(trick, 100));
        let before = tokio::time::Instant::now();
        let policy = Policy { hold: Duration::from_secs(1), ..Policy::default() };
        let send = |request| world.resource.answer(request);
        let answered = authorize(&world.handle, &policy, request(Method::GET, ""), send).await;
        assert!(matches!(answered, Err(AuthorizeError::Token(_))), "{trick:?}");
        assert!(before.elapsed() < Duration::from_secs(3), "{trick:?}: {:?}", before.elapsed());
    }
}

/// Sends a request to a resource that answers with this challenge.
async fn challenged(world: &World, status: u16, challenge: &str) -> (u16, Option<String>) {
    let answer = |_| async {
        let response = Response::builder().status(status).header("www-authenticate", challenge);
        Ok::<_, Infallible>(response.body(Full::from("the resource's own words")).unwrap())
    };
    let policy = Policy { hold: Duration::ZERO, ..Policy::default() };
    let response = authorize(&world.handle, &policy, request(Method::GET, ""), answer).await.unwrap();
    let code = response.headers().get("outlast-code").map(|code| code.to_str().unwrap().to_owned());
    let status = response.status().as_u16();
    assert_eq!(response.into_body().collect().await.unwrap().to_bytes(), "the resource's own words");
    (status, code)
}

#[tokio::test(start_paused = true)]
async fn n47_n46_challenged_scopes_are_passed_on_and_remembered_as_their_union_without_a_renewal() {
    let world = world().await;
    for scope in ["files:read", "mail:read files:read", "files:read"] {
        let challenge = format!("Bearer error=\"insufficient_scope\", scope=\"{scope}\"");
        let told = challenged(&world, 403, &challenge).await;
        assert_eq!(told, (403, Some("insufficient-scope".to_owned())));
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    let record = world.handle.record().await.unwrap();
    assert_eq!(record.wanted.scope, ["files:read", "mail:read"]);
    assert_eq!((record.standing, record.generation.0), (outlast::Standing::Live, 1));
    assert_eq!(world.server.seen().requests, 0, "no renewal brings more scope");
    assert!(world.handle.access_token(outlast::Ask::default()).await.is_ok(), "it is good for everything else");
}

#[tokio::test(start_paused = true)]
async fn n46_after_three_sign_ins_that_did_not_help_the_refusal_is_the_resources_last_word() {
    for (status, code, challenge) in [
        (403, "insufficient-scope", r#"Bearer error="insufficient_scope", scope="files:write""#),
        (401, "step-up-required", r#"Bearer error="insufficient_user_authentication", acr_values="mfa""#),
    ] {
        let world = world().await;
        for _ in 0..3 {
            assert_eq!(challenged(&world, status, challenge).await, (status, Some(code.to_owned())));
            // The note is made behind the caller.
            tokio::time::sleep(Duration::from_secs(1)).await;
            let tokens = world.handle.record().await.unwrap().tokens.unwrap();
            world.handle.import(tokens).await.unwrap();
        }
        assert_eq!(challenged(&world, status, challenge).await, (status, None), "{code}");
        let other = challenge.replace("files:write", "mail:send").replace("mfa", "hardware");
        assert_eq!(challenged(&world, status, &other).await, (status, Some(code.to_owned())), "another is tried");
        assert_eq!(world.server.seen().requests, 0, "and nothing was renewed for it");
    }
}

#[tokio::test(start_paused = true)]
async fn n34_a_demand_for_another_sign_in_is_passed_on_and_carried_to_the_login() {
    let world = world().await;
    let challenge = r#"Bearer error="insufficient_user_authentication", acr_values="mfa", max_age="300""#;
    for _ in 0..20 {
        let told = challenged(&world, 401, challenge).await;
        assert_eq!(told, (401, Some("step-up-required".to_owned())));
    }
    tokio::time::sleep(Duration::from_secs(1)).await;
    let wanted = world.handle.record().await.unwrap().wanted;
    assert_eq!((wanted.acr_values.as_deref(), wanted.max_age), (Some("mfa"), Some(Duration::from_secs(300))));
    assert_eq!(world.server.seen().requests, 0, "and not renewed away");
}
