//! A server that a resource named is sent nothing beyond its reach, by any request that there is (RFC 9728 7.7).
#![allow(clippy::unwrap_used, missing_docs)]

use outlast::{
    Ask, BoxFuture, Code, GrantHandle, GrantId, GrantSettings, Introspection, LoginOptions, LoginPrompt, LoginStep,
    LoginWay, Provider, Reach, Secret, Server, Settings, TokenResponse, TokenSet,
};
use outlast_core::wire::{Answer, Reply, TokenEndpoint, TokenRequest};
use outlast_core::{Lease, Timestamp};
use serde_json::{Value, json};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

fn id() -> GrantId {
    GrantId::parse("mcp").unwrap()
}

/// A server of which it is only counted who connects; it says the same to everybody.
struct Counted {
    origin: String,
    connections: Arc<AtomicUsize>,
}

impl Counted {
    async fn start(say: impl Fn(&str) -> Value + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let origin = format!("http://{}", listener.local_addr().unwrap());
        let connections = Arc::new(AtomicUsize::new(0));
        let (counter, body) = (Arc::clone(&connections), say(&origin).to_string());
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                counter.fetch_add(1, Ordering::SeqCst);
                let _ = stream.read(&mut [0_u8; 4096]).await;
                let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", body.len());
                let _ = stream.write_all(format!("{head}{body}").as_bytes()).await;
            }
        });
        Self { origin, connections }
    }

    fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }
}

/// A server at `origin` with every endpoint there is.
fn provider(origin: &str, reach: Reach) -> Provider {
    let at = |path: &str| Some(format!("{origin}/{path}"));
    Provider {
        issuer: Some(origin.to_owned()),
        token_endpoint: format!("{origin}/token"),
        authorization_endpoint: at("authorize"),
        device_endpoint: at("device"),
        push_endpoint: at("push"),
        push_required: true,
        registration_endpoint: at("register"),
        revocation_endpoint: at("revoke"),
        introspection_endpoint: at("introspect"),
        userinfo_endpoint: at("userinfo"),
        reach,
        ..Provider::default()
    }
}

fn grant(grant_type: &str, server: impl Into<Server>) -> GrantSettings {
    GrantSettings {
        client_id: "client".to_owned(),
        scope: vec!["openid".to_owned()],
        ..GrantSettings::new(id(), grant_type, server.into())
    }
}

fn opened(settings: GrantSettings, endpoint: Option<Arc<dyn TokenEndpoint>>) -> GrantHandle {
    let keeper = Settings::in_memory().grant(settings);
    let keeper = match endpoint {
        Some(endpoint) => keeper.endpoint(endpoint),
        None => keeper,
    };
    keeper.open().unwrap().grant(&id()).unwrap()
}

/// Tokens that have ended.
async fn hold(handle: &GrantHandle) {
    let response = TokenResponse {
        refresh: Some(Secret::new("CANARY-refresh")),
        expires_in: Some(Duration::from_secs(1)),
        ..TokenResponse::bearer("CANARY-access")
    };
    handle.import(TokenSet::first(response, Timestamp::from_secs(1_700_000_000))).await.unwrap();
}

/// A person who pastes whatever address they would end at.
#[derive(Default)]
struct Paster(Mutex<Option<String>>);

impl LoginPrompt for Paster {
    fn show(&self, step: LoginStep) {
        if let LoginStep::Visit { address, redirect_uri, .. } = step {
            let url = reqwest::Url::parse(&address).unwrap();
            let state = url.query_pairs().find(|(name, _)| name == "state").map(|(_, state)| state.into_owned());
            *self.0.lock().unwrap() =
                Some(format!("{redirect_uri}?code=c0de&state={}", state.expect("it was not pushed")));
        }
    }

    fn pasted(&self) -> BoxFuture<'_, String> {
        Box::pin(async move {
            match self.0.lock().unwrap().take() {
                Some(address) => address,
                None => panic!("nothing was shown"),
            }
        })
    }

    fn refuse(&self, why: &str) {
        panic!("{why}");
    }
}

async fn login(settings: GrantSettings) -> Code {
    let options = LoginOptions { way: Some(LoginWay::Paste), ..LoginOptions::default() };
    let device = settings.grant_type == "device_code";
    let options = if device { LoginOptions::default() } else { options };
    opened(settings, None).login(&options, &Paster::default()).await.unwrap_err().code()
}

#[tokio::test]
async fn n40_no_request_goes_to_an_address_that_is_out_of_reach() {
    let server = Counted::start(|_| json!({})).await;
    for reach in [Reach::Public, Reach::Private] {
        let known = provider(&server.origin, reach);
        let unpushed = Provider { push_endpoint: None, push_required: false, ..known.clone() };
        let nameless = GrantSettings { client_id: String::new(), ..grant("authorization_code", known.clone()) };
        let far = Code::InsecureAddress;
        assert_eq!(login(nameless).await, Code::RegistrationRefused, "registration");
        assert_eq!(login(grant("authorization_code", known.clone())).await, far, "pushed request");
        assert_eq!(login(grant("authorization_code", unpushed)).await, far, "exchange of the code");
        assert_eq!(login(grant("device_code", known.clone())).await, far, "device code");

        let handle = opened(grant("refresh_token", known.clone()), None);
        hold(&handle).await;
        let introspected = handle.introspect().await.unwrap();
        let Some(Introspection::Unknown { why }) = introspected.refresh else { panic!("{introspected:?}") };
        assert!(why.contains("private network"), "introspection: {why}");
        let renewed = handle.access_token(Ask::default()).await.expect_err("the token has ended");
        assert_eq!(renewed.code(), far, "renewal");
        let record = handle.record().await.unwrap();
        assert!(record.tokens.is_some() && !record.in_doubt, "what was not sent is not spent");
        let revoked = handle.log_out(false).await.unwrap_err();
        assert!(revoked.to_string().contains("private network"), "revocation: {revoked}");
    }
    assert_eq!(server.connections(), 0);
    // The door is there: with a longer reach each of them knocks.
    let handle = opened(grant("refresh_token", provider(&server.origin, Reach::Loopback)), None);
    hold(&handle).await;
    handle.introspect().await.unwrap();
    assert_eq!(server.connections(), 2);
}

/// Says the same to everybody, and keeps how far each request might have gone.
struct Recorder(Mutex<Vec<(String, Reach)>>);

impl TokenEndpoint for Recorder {
    fn send<'a>(&'a self, _lease: &'a Lease, request: &'a TokenRequest) -> BoxFuture<'a, Answer> {
        self.ask(request)
    }

    fn ask<'a>(&'a self, request: &'a TokenRequest) -> BoxFuture<'a, Answer> {
        self.0.lock().unwrap().push((request.endpoint.clone(), request.reach));
        // A token set, a client, a device code: whatever is read of it. Nobody's name.
        let body = json!({
            "access_token": "given", "token_type": "Bearer", "expires_in": 3600, "client_id": "given", "active": true,
            "device_code": "given", "user_code": "AB", "verification_uri": "https://as.example/v", "interval": 1,
        });
        let reply = Reply { status: 200, body: body.to_string().into_bytes(), ..Reply::default() };
        Box::pin(async move { Answer::Complete(reply) })
    }
}

#[tokio::test]
async fn n40_every_request_to_a_server_is_made_with_its_reach_and_a_configured_address_is_not() {
    let recorder = Arc::new(Recorder(Mutex::default()));
    let endpoint = || Some(Arc::clone(&recorder) as Arc<dyn TokenEndpoint>);
    let known = Provider { push_required: false, ..provider("https://as.example", Reach::Public) };
    let mut nameless = GrantSettings { client_id: String::new(), ..grant("authorization_code", known.clone()) };
    nameless.login.subject_url = Some("https://10.0.0.1/me".to_owned());
    let paste = LoginOptions { way: Some(LoginWay::Paste), ..LoginOptions::default() };
    let handle = opened(nameless, endpoint());
    handle.login(&paste, &Paster::default()).await.unwrap();
    opened(grant("device_code", known.clone()), endpoint())
        .login(&LoginOptions::default(), &Paster::default())
        .await
        .unwrap();
    let handle = opened(grant("refresh_token", known), endpoint());
    hold(&handle).await;
    handle.introspect().await.unwrap();
    handle.access_token(Ask::default()).await.unwrap();
    handle.log_out(false).await.unwrap();

    let sent = recorder.0.lock().unwrap().clone();
    for path in ["register", "push", "token", "userinfo", "device", "introspect", "revoke"] {
        let at = format!("https://as.example/{path}");
        assert!(sent.iter().any(|(endpoint, _)| *endpoint == at), "{path} is asked: {sent:?}");
    }
    for (endpoint, reach) in &sent {
        let configured = endpoint == "https://10.0.0.1/me";
        assert_eq!(*reach, if configured { Reach::Anywhere } else { Reach::Public }, "{endpoint}");
    }
    assert!(sent.iter().any(|(endpoint, _)| endpoint == "https://10.0.0.1/me"), "{sent:?}");
}

#[tokio::test]
async fn n40_what_a_found_issuer_names_is_asked_within_the_reach_of_the_resource() {
    let server = Counted::start(|origin| {
        json!({ "issuer": origin, "token_endpoint": "https://as.example/token", "code_challenge_methods_supported": ["S256"] })
    })
    .await;
    for (named, wanted) in [
        (Server::Found { issuer: server.origin.clone(), reach: Reach::Loopback }, Reach::Loopback),
        (Server::Issuer(server.origin.clone()), Reach::Anywhere),
    ] {
        let recorder = Arc::new(Recorder(Mutex::default()));
        let handle = opened(grant("refresh_token", named), Some(Arc::clone(&recorder) as Arc<dyn TokenEndpoint>));
        hold(&handle).await;
        handle.access_token(Ask::default()).await.unwrap();
        assert_eq!(*recorder.0.lock().unwrap(), [("https://as.example/token".to_owned(), wanted)]);
    }
}

#[tokio::test]
async fn n40_a_found_issuer_is_held_to_its_reach_when_it_is_discovered_and_so_is_what_it_names() {
    let found = |issuer: &str, reach| Server::Found { issuer: issuer.to_owned(), reach };
    let honest =
        Counted::start(|origin| json!({ "issuer": origin, "token_endpoint": format!("{origin}/token") })).await;
    assert_eq!(login(grant("authorization_code", found(&honest.origin, Reach::Public))).await, Code::InsecureAddress);
    assert_eq!(honest.connections(), 0, "the issuer's name has turned into an address of this machine");
    for (name, member) in [
        ("token_endpoint", "authorization_code"),
        ("pushed_authorization_request_endpoint", "authorization_code"),
        ("registration_endpoint", "authorization_code"),
        ("revocation_endpoint", "authorization_code"),
        ("device_authorization_endpoint", "device_code"),
    ] {
        let turned = Counted::start(move |origin| {
            let mut metadata = json!({ "issuer": origin, "token_endpoint": format!("{origin}/token") });
            metadata["authorization_endpoint"] = json!(format!("{origin}/authorize"));
            metadata[name] = json!("https://192.168.1.1/x");
            metadata
        })
        .await;
        let settings =
            GrantSettings { client_id: String::new(), ..grant(member, found(&turned.origin, Reach::Loopback)) };
        assert_eq!(login(settings).await, Code::InsecureAddress, "{name}");
        assert_eq!(turned.connections(), 1, "{name}: the metadata and nothing else");
    }
}

#[tokio::test]
async fn n19_a_found_issuer_whose_metadata_is_anothers_is_refused_at_the_login() {
    let mixed = Counted::start(
        |origin| json!({ "issuer": "https://login.bank.example", "token_endpoint": format!("{origin}/token") }),
    )
    .await;
    let server = Server::Found { issuer: mixed.origin.clone(), reach: Reach::Loopback };
    assert_eq!(login(grant("authorization_code", server)).await, Code::MetadataInvalid);
    assert_eq!(mixed.connections(), 2, "both places of its metadata, and nothing else");
}
