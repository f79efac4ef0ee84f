//! What a login promises: one answer of its own server, for one person, and nothing lost before.
#![allow(clippy::unwrap_used, missing_docs)]

use outlast::{
    Ask, BoxFuture, Clock, Code, Generation, Grant, GrantHandle, GrantId, GrantSettings, LoggedIn, LoginError,
    LoginOptions, LoginPrompt, LoginSettings, LoginStep, LoginWay, Provider, Server, Settings, StoreError,
    TokenResponse, TokenSet,
};
use outlast_core::wire::{Answer, Content, Reply, TokenEndpoint, TokenRequest};
use outlast_core::{Lease, TokenStore};
use outlast_store::MemoryStore;
use outlast_testkit::clock::SimulatedClock;
use serde_json::json;
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

const ISSUER: &str = "https://as.example";

fn crm() -> GrantId {
    GrantId::parse("crm").unwrap()
}

/// Answers what it is told to, and keeps what it was sent.
#[derive(Clone, Default)]
struct Script(Arc<Mutex<(VecDeque<Reply>, Vec<TokenRequest>)>>);

impl Script {
    fn answers(&self, status: u16, body: &serde_json::Value) {
        let reply = Reply { status, body: body.to_string().into_bytes(), ..Reply::default() };
        self.0.lock().unwrap().0.push_back(reply);
    }

    fn sent(&self) -> Vec<TokenRequest> {
        self.0.lock().unwrap().1.clone()
    }

    fn answer(&self, request: &TokenRequest) -> Answer {
        let mut inner = self.0.lock().unwrap();
        inner.1.push(request.clone());
        Answer::Complete(inner.0.pop_front().expect("a request that nobody expected"))
    }
}

impl TokenEndpoint for Script {
    fn send<'a>(&'a self, _lease: &'a Lease, request: &'a TokenRequest) -> BoxFuture<'a, Answer> {
        self.ask(request)
    }

    fn ask<'a>(&'a self, request: &'a TokenRequest) -> BoxFuture<'a, Answer> {
        Box::pin(async move { self.answer(request) })
    }
}

/// A person at a terminal.
struct Person {
    shown: mpsc::UnboundedSender<LoginStep>,
    clipboard: tokio::sync::Mutex<mpsc::UnboundedReceiver<String>>,
    refused: Mutex<Vec<String>>,
}

impl LoginPrompt for Person {
    fn show(&self, step: LoginStep) {
        let _ = self.shown.send(step);
    }

    fn pasted(&self) -> BoxFuture<'_, String> {
        Box::pin(async move {
            match self.clipboard.lock().await.recv().await {
                Some(text) => text,
                None => std::future::pending().await,
            }
        })
    }

    fn refuse(&self, why: &str) {
        self.refused.lock().unwrap().push(why.to_owned());
    }
}

/// A login that goes on.
struct Going {
    login: JoinHandle<Result<LoggedIn, LoginError>>,
    shown: mpsc::UnboundedReceiver<LoginStep>,
    clipboard: mpsc::UnboundedSender<String>,
    person: Arc<Person>,
}

impl Going {
    async fn visit(&mut self) -> (String, String, bool) {
        match self.shown.recv().await.expect("an address is shown") {
            LoginStep::Visit { address, redirect_uri, replaces, .. } => (address, redirect_uri, replaces),
            other => panic!("{other:?}"),
        }
    }

    async fn ended(self) -> Result<LoggedIn, LoginError> {
        tokio::time::timeout(Duration::from_secs(20), self.login).await.expect("the login ends").unwrap()
    }
}

struct World {
    script: Script,
    store: Arc<dyn TokenStore>,
    clock: Option<Arc<SimulatedClock>>,
    settings: GrantSettings,
}

fn provider() -> Provider {
    Provider {
        issuer: Some(ISSUER.to_owned()),
        token_endpoint: format!("{ISSUER}/token"),
        authorization_endpoint: Some(format!("{ISSUER}/authorize")),
        names_issuer: true,
        ..Provider::default()
    }
}

impl World {
    fn new() -> Self {
        Self::at(provider())
    }

    fn at(provider: Provider) -> Self {
        let settings = GrantSettings {
            client_id: "client".to_owned(),
            scope: vec!["api".to_owned()],
            ..GrantSettings::new(crm(), "authorization_code", Server::from(provider))
        };
        Self { script: Script::default(), store: Arc::new(MemoryStore::new()), clock: None, settings }
    }

    fn handle(&self) -> GrantHandle {
        let settings = Settings::in_memory()
            .store(Arc::clone(&self.store))
            .endpoint(Arc::new(self.script.clone()))
            .grant(self.settings.clone());
        let settings = match &self.clock {
            Some(clock) => settings.clock(Arc::clone(clock) as Arc<dyn Clock>),
            None => settings,
        };
        settings.open().unwrap().grant(&crm()).unwrap()
    }
}

fn begin(handle: &GrantHandle, options: LoginOptions) -> Going {
    let (shown_by, shown) = mpsc::unbounded_channel();
    let (clipboard, pastes) = mpsc::unbounded_channel();
    let person = Arc::new(Person { shown: shown_by, clipboard: pastes.into(), refused: Mutex::default() });
    let (handle, own) = (handle.clone(), Arc::clone(&person));
    let login = tokio::spawn(async move { handle.login(&options, own.as_ref()).await });
    Going { login, shown, clipboard, person }
}

fn parameter(address: &str, name: &str) -> String {
    let url = reqwest::Url::parse(address).unwrap();
    url.query_pairs().find(|(key, _)| key == name).map(|(_, value)| value.into_owned()).unwrap()
}

/// The address a browser would come back to.
fn callback(address: &str, rest: &str) -> String {
    format!("{}?state={}&{rest}", parameter(address, "redirect_uri"), parameter(address, "state"))
}

const GOOD: &str = "code=c0de&iss=https%3A%2F%2Fas.example";

async fn request(method: &str, address: &str, fields: &str) -> std::io::Result<String> {
    let url = reqwest::Url::parse(address).unwrap();
    let mut stream = TcpStream::connect((url.host_str().unwrap(), url.port().unwrap())).await?;
    let query = url.query().map(|query| format!("?{query}")).unwrap_or_default();
    let head = format!("{method} {}{query} HTTP/1.1\r\nHost: x\r\n{fields}\r\n", url.path());
    stream.write_all(head.as_bytes()).await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    Ok(answer)
}

async fn get(address: &str) -> String {
    request("GET", address, "").await.unwrap()
}

fn tokens(access: &str) -> serde_json::Value {
    json!({ "access_token": access, "token_type": "Bearer", "expires_in": 3600, "refresh_token": "CANARY-refresh" })
}

async fn access(handle: &GrantHandle) -> String {
    handle.access_token(Ask::default()).await.unwrap().secret().expose().to_owned()
}

fn form(request: &TokenRequest) -> BTreeMap<String, String> {
    assert!(matches!(request.content, Content::Form(_)));
    request.form_members().iter().map(|(name, value)| ((*name).to_owned(), value.expose().to_owned())).collect()
}

#[tokio::test]
async fn n16_a_browser_comes_back_to_the_literal_of_loopback_and_the_tokens_are_served() {
    let world = World::new();
    let handle = world.handle();
    world.script.answers(200, &tokens("first"));
    let mut going = begin(&handle, LoginOptions::default());
    let (address, redirect_uri, _) = going.visit().await;
    assert!(redirect_uri.starts_with("http://127.0.0.1:") && redirect_uri.ends_with("/callback"), "{redirect_uri}");
    assert_eq!(parameter(&address, "redirect_uri"), redirect_uri);
    let page = get(&callback(&address, GOOD)).await;
    assert!(page.starts_with("HTTP/1.1 200") && page.contains("no-store") && page.contains("default-src 'none'"));
    assert!(!page.contains("c0de"));
    let brought = going.ended().await.unwrap();
    assert!(brought.renewable && brought.expires_at.is_some());
    assert_eq!(access(&handle).await, "first");
    let exchanged = form(&world.script.sent()[0]);
    assert_eq!((exchanged["code"].as_str(), exchanged["redirect_uri"].as_str()), ("c0de", redirect_uri.as_str()));
    assert!(exchanged["code_verifier"].len() >= 43);
}

#[tokio::test]
async fn n17_f73_forged_answers_change_nothing_and_after_the_first_valid_one_nobody_listens() {
    let world = World::new();
    let handle = world.handle();
    world.script.answers(200, &tokens("first"));
    let mut going = begin(&handle, LoginOptions::default());
    let (address, redirect_uri, _) = going.visit().await;
    let origin = redirect_uri.strip_suffix("/callback").unwrap();
    let status = |answer: &str| answer[9..12].to_owned();
    for _ in 0..40 {
        let forged = get(&format!("{redirect_uri}?state=<script>guess</script>&code=forged&iss={ISSUER}")).await;
        assert_eq!(status(&forged), "400");
        assert!(!forged.contains("guess"), "nothing of a request is repeated");
    }
    assert_eq!(status(&get(&format!("{origin}/favicon.ico")).await), "404");
    assert_eq!(status(&get(&redirect_uri).await), "404");
    let good = callback(&address, GOOD);
    assert_eq!(status(&request("POST", &good, "Content-Length: 0\r\n").await.unwrap()), "405");
    assert_eq!(status(&request("HEAD", &good, "").await.unwrap()), "405");
    assert_eq!(status(&request("GET", &good, "Sec-Purpose: prefetch\r\n").await.unwrap()), "404");
    assert_eq!(status(&get(&good.replace("/callback?", "/other?")).await), "404", "the right answer, at another path");
    let huge = request("GET", &format!("{redirect_uri}?x={}", "x".repeat(40_000)), "").await;
    assert!(huge.is_err() || !huge.unwrap().starts_with("HTTP/1.1 200"));
    assert!(world.script.sent().is_empty(), "no forged code is sent anywhere");
    assert_eq!(status(&get(&good).await), "200");
    going.ended().await.unwrap();
    assert!(request("GET", &good, "").await.is_err(), "a second answer finds nobody");
    assert_eq!(world.script.sent().len(), 1);
}

#[tokio::test]
async fn n30_n36_a_mix_up_is_refused_before_the_code_is_sent() {
    // The attacker's server sent the browser on to an honest one, which answers with its own name.
    let evil = "https://evil.example";
    let at_evil = Provider {
        issuer: Some(evil.to_owned()),
        token_endpoint: format!("{evil}/token"),
        authorization_endpoint: Some(format!("{evil}/authorize")),
        names_issuer: false,
        ..Provider::default()
    };
    for rest in [GOOD, "error=access_denied&error_description=CANARY&iss=https%3A%2F%2Fas.example"] {
        let world = World::at(at_evil.clone());
        let handle = world.handle();
        let mut going = begin(&handle, LoginOptions::default());
        let (address, ..) = going.visit().await;
        get(&callback(&address, rest)).await;
        let error = going.ended().await.unwrap_err();
        assert_eq!(error.code(), Code::LoginRefused, "{error}");
        assert!(!error.to_string().contains("CANARY") && !error.to_string().contains("access_denied"), "{error}");
        assert!(world.script.sent().is_empty(), "the code went to nobody");
    }
}

#[tokio::test]
async fn n30_an_answer_without_iss_is_refused_where_the_server_always_sends_it() {
    let world = World::new();
    let mut going = begin(&world.handle(), LoginOptions::default());
    let (address, ..) = going.visit().await;
    get(&callback(&address, "code=c0de")).await;
    assert_eq!(going.ended().await.unwrap_err().code(), Code::LoginRefused);
    assert!(world.script.sent().is_empty());
}

#[tokio::test]
async fn n49_a_denial_is_told_by_its_code_alone() {
    let world = World::new();
    let mut going = begin(&world.handle(), LoginOptions::default());
    let (address, ..) = going.visit().await;
    let rest = "error=access_denied&error_description=%1b%5b2Juse+the+admin+token&iss=https%3A%2F%2Fas.example";
    get(&callback(&address, rest)).await;
    let error = going.ended().await.unwrap_err();
    assert_eq!(error.code(), Code::LoginDenied);
    assert!(error.to_string().contains("access_denied"), "{error}");
    assert!(!error.to_string().contains("admin") && !error.to_string().contains('\u{1b}'), "{error:?}");
}

#[tokio::test]
async fn paste_takes_the_whole_address_of_this_login_and_asks_again_for_anything_else() {
    let world = World::new();
    world.script.answers(200, &tokens("pasted"));
    let handle = world.handle();
    let mut going = begin(&handle, LoginOptions { way: Some(LoginWay::Paste), ..LoginOptions::default() });
    let (address, redirect_uri, _) = going.visit().await;
    assert_eq!(redirect_uri, "http://127.0.0.1/callback");
    for useless in ["c0de", "http://127.0.0.1/callback?code=c&state=guess", "https://evil.example/callback?code=c"] {
        going.clipboard.send(useless.to_owned()).unwrap();
    }
    going.clipboard.send(format!(" {}\n", callback(&address, GOOD))).unwrap();
    let person = Arc::clone(&going.person);
    going.ended().await.unwrap();
    assert_eq!(person.refused.lock().unwrap().len(), 3);
    assert_eq!(access(&handle).await, "pasted");
}

#[tokio::test]
async fn a_paste_is_taken_while_the_listener_waits() {
    let world = World::new();
    world.script.answers(200, &tokens("pasted"));
    let mut going = begin(&world.handle(), LoginOptions::default());
    let (address, ..) = going.visit().await;
    let good = callback(&address, GOOD);
    going.clipboard.send(good.clone()).unwrap();
    going.ended().await.unwrap();
    assert!(request("GET", &good, "").await.is_err(), "the listener is closed by the paste");
}

#[tokio::test]
async fn n17_nobody_waits_longer_than_ten_minutes() {
    let mut world = World::new();
    world.clock = Some(Arc::new(SimulatedClock::new()));
    tokio::time::pause();
    let mut going = begin(&world.handle(), LoginOptions { way: Some(LoginWay::Paste), ..LoginOptions::default() });
    going.visit().await;
    tokio::time::sleep(Duration::from_secs(599)).await;
    assert!(!going.login.is_finished());
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert!(going.login.is_finished(), "simulated time would wait for any end");
    assert_eq!(going.login.await.unwrap().unwrap_err().code(), Code::LoginExpired);
}

#[tokio::test]
async fn n17_after_ten_minutes_nobody_listens_and_a_late_answer_is_sent_nowhere() {
    let mut world = World::new();
    let clock = Arc::new(SimulatedClock::new());
    world.clock = Some(clock);
    tokio::time::pause();
    let mut going = begin(&world.handle(), LoginOptions::default());
    let (address, ..) = going.visit().await;
    let late = callback(&address, GOOD);
    tokio::time::sleep(Duration::from_secs(599)).await;
    assert!(!going.login.is_finished());
    assert!(TcpStream::connect(socket(&late)).await.is_ok(), "it is listened until then");
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert!(going.login.is_finished(), "simulated time would wait for any end");
    assert_eq!(going.login.await.unwrap().unwrap_err().code(), Code::LoginExpired);
    assert!(TcpStream::connect(socket(&late)).await.is_err(), "and no longer");
    assert!(world.script.sent().is_empty());
}

fn socket(address: &str) -> (String, u16) {
    let url = reqwest::Url::parse(address).unwrap();
    (url.host_str().unwrap().to_owned(), url.port().unwrap())
}

#[tokio::test]
async fn n29_a_server_that_wants_requests_pushed_gets_none_in_an_address() {
    // It names no place for them, or refuses the push: there is no second way.
    for push_endpoint in [None, Some(format!("{ISSUER}/par"))] {
        let world = World::at(Provider { push_endpoint: push_endpoint.clone(), push_required: true, ..provider() });
        world.script.answers(400, &json!({ "error": "invalid_request", "error_description": "CANARY" }));
        let mut going = begin(&world.handle(), LoginOptions::default());
        let error = (&mut going.login).await.unwrap().unwrap_err();
        assert!(!error.to_string().contains("CANARY"), "{error}");
        assert!(going.shown.try_recv().is_err(), "nobody is sent to {push_endpoint:?} with the request in the address");
    }
    // One that only offers it is asked by the address then.
    let offers = World::at(Provider { push_endpoint: Some(format!("{ISSUER}/par")), ..provider() });
    offers.script.answers(400, &json!({ "error": "invalid_request" }));
    let (address, ..) = begin(&offers.handle(), LoginOptions::default()).visit().await;
    assert!(address.contains("code_challenge="), "{address}");
}

#[tokio::test]
async fn n29_a_pushed_request_that_expires_is_pushed_anew_and_either_may_be_answered() {
    let push_endpoint = Some(format!("{ISSUER}/par"));
    let mut world = World::at(Provider { push_endpoint, push_required: true, ..provider() });
    world.clock = Some(Arc::new(SimulatedClock::new()));
    tokio::time::pause();
    let pushed = |n: u8| json!({ "request_uri": format!("urn:x:{n}"), "expires_in": 60 });
    world.script.answers(201, &pushed(1));
    world.script.answers(201, &pushed(2));
    world.script.answers(200, &tokens("late"));
    let handle = world.handle();
    let mut going = begin(&handle, LoginOptions { way: Some(LoginWay::Paste), ..LoginOptions::default() });
    let (first, _, replaces) = going.visit().await;
    assert!(first.contains("request_uri=urn%3Ax%3A1") && !first.contains("state=") && !replaces);
    tokio::time::sleep(Duration::from_secs(61)).await;
    let (second, redirect_uri, replaces) = going.visit().await;
    assert!(second.contains("urn%3Ax%3A2") && replaces);
    let states: Vec<String> = world.script.sent().iter().map(further_state).collect();
    assert_ne!(states[0], states[1], "each request has a state of its own");
    going.clipboard.send(format!("{redirect_uri}?state={}&{GOOD}", states[0])).unwrap();
    going.login.await.unwrap().unwrap();
    assert_eq!(access(&handle).await, "late");
}

fn further_state(request: &TokenRequest) -> String {
    request.further.iter().find(|(name, _)| name == "state").unwrap().1.expose().to_owned()
}

fn id_token(claims: &serde_json::Value) -> String {
    use base64::Engine;
    let part = |value: &serde_json::Value| base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(value.to_string());
    format!("{}.{}.c2ln", part(&json!({ "alg": "ES256" })), part(claims))
}

/// A login of the person `sub`, through paste; the script answers with an ID token about them.
async fn login_as(
    world: &World,
    handle: &GrantHandle,
    sub: &str,
    switch_account: bool,
) -> Result<LoggedIn, LoginError> {
    let options = LoginOptions { way: Some(LoginWay::Paste), switch_account };
    let mut going = begin(handle, options);
    let (address, ..) = going.visit().await;
    let claims = json!({
        "iss": ISSUER, "sub": sub, "aud": "client", "exp": 32_503_680_000_u64, "nonce": parameter(&address, "nonce"),
        "email": format!("{sub}@example.com\u{1b}[2J"),
    });
    let mut answer = tokens(&format!("of-{sub}"));
    answer["id_token"] = id_token(&claims).into();
    world.script.answers(200, &answer);
    going.clipboard.send(callback(&address, GOOD)).unwrap();
    going.ended().await
}

fn openid() -> World {
    let mut world = World::new();
    world.settings.scope = vec!["openid".to_owned()];
    world
}

#[tokio::test]
async fn r11_r18_f82_another_account_is_refused_with_both_names_and_what_is_held_serves_on() {
    let world = openid();
    let handle = world.handle();
    assert_eq!(login_as(&world, &handle, "alice", false).await.unwrap().subject.as_deref(), Some("alice"));
    let before = handle.record().await.unwrap();
    let error = login_as(&world, &handle, "bob", false).await.unwrap_err();
    assert_eq!(error.code(), Code::AccountMismatch);
    let text = error.to_string();
    assert!(text.contains("alice") && text.contains("bob@example.com") && !text.contains('\u{1b}'), "{text}");
    assert!(!text.contains("CANARY") && !format!("{error:?}").contains("CANARY"));
    assert_eq!(handle.record().await.unwrap(), before, "nothing was stored");
    assert_eq!(access(&handle).await, "of-alice");
    login_as(&world, &handle, "alice", false).await.unwrap();
    login_as(&world, &handle, "bob", true).await.unwrap();
    assert_eq!(access(&handle).await, "of-bob");
}

#[tokio::test]
async fn r11_the_held_token_is_served_during_and_after_a_login_that_fails() {
    let world = World::new();
    let handle = world.handle();
    let now = outlast::SystemClock::new().now();
    let held = TokenResponse { expires_in: Some(Duration::from_secs(3600)), ..TokenResponse::bearer("held") };
    handle.import(TokenSet::first(held, now)).await.unwrap();
    world.script.answers(400, &json!({ "error": "invalid_grant", "error_description": "CANARY" }));
    let mut going = begin(&handle, LoginOptions::default());
    let (address, ..) = going.visit().await;
    assert_eq!(access(&handle).await, "held");
    get(&callback(&address, GOOD)).await;
    let error = going.ended().await.unwrap_err();
    assert_eq!(error.code(), Code::LoginRefused, "{error}");
    assert_eq!(access(&handle).await, "held");
    assert_eq!(access(&world.handle()).await, "held", "in another process too");
}

#[tokio::test]
async fn a_login_in_another_process_wakes_a_parked_caller() {
    let world = World::new();
    let (here, there) = (world.handle(), world.handle());
    let waiting = tokio::spawn(async move { here.access_token_within(Ask::default(), Duration::from_secs(15)).await });
    world.script.answers(200, &tokens("woken"));
    let mut going = begin(&there, LoginOptions::default());
    let (address, ..) = going.visit().await;
    assert!(!waiting.is_finished());
    get(&callback(&address, GOOD)).await;
    going.ended().await.unwrap();
    assert_eq!(waiting.await.unwrap().unwrap().secret().expose(), "woken");
}

#[tokio::test]
async fn r18_a_configured_address_tells_whose_token_it_is() {
    let mut world = World::new();
    world.settings.login = LoginSettings {
        subject_url: Some("https://api.example/user".to_owned()),
        subject_pointer: Some("/id".to_owned()),
        ..LoginSettings::default()
    };
    world.script.answers(200, &tokens("probed"));
    world.script.answers(200, &json!({ "id": 17, "login": "octocat" }));
    let mut going = begin(&world.handle(), LoginOptions::default());
    let (address, ..) = going.visit().await;
    get(&callback(&address, GOOD)).await;
    let brought = going.ended().await.unwrap();
    assert_eq!((brought.subject.as_deref(), brought.subject_name.as_deref()), (Some("17"), Some("octocat")));
    assert!(matches!(world.script.sent()[1].content, Content::None));
}

/// A store on a disk that takes no more.
struct FullDisk(MemoryStore);

impl TokenStore for FullDisk {
    fn list(&self) -> BoxFuture<'_, Result<Vec<GrantId>, StoreError>> {
        self.0.list()
    }
    fn load<'a>(&'a self, id: &'a GrantId) -> BoxFuture<'a, Result<Option<Grant>, StoreError>> {
        self.0.load(id)
    }
    fn lease<'a>(&'a self, id: &'a GrantId, patience: Duration) -> BoxFuture<'a, Result<Lease, StoreError>> {
        self.0.lease(id, patience)
    }
    fn commit<'a>(
        &'a self,
        _lease: &'a Lease,
        _expected: Generation,
        _next: &'a Grant,
    ) -> BoxFuture<'a, Result<(), StoreError>> {
        Box::pin(async { Err(StoreError::Unwritable { detail: "no space left on device".to_owned() }) })
    }
    fn forget<'a>(&'a self, lease: &'a Lease, expected: Generation) -> BoxFuture<'a, Result<(), StoreError>> {
        self.0.forget(lease, expected)
    }
}

#[tokio::test]
async fn r4_with_a_full_disk_no_code_is_spent() {
    let mut world = World::new();
    world.store = Arc::new(FullDisk(MemoryStore::new()));
    world.script.answers(200, &tokens("lost"));
    let mut going = begin(&world.handle(), LoginOptions::default());
    let (address, ..) = going.visit().await;
    get(&callback(&address, GOOD)).await;
    let error = going.ended().await.unwrap_err();
    assert_eq!(error.code(), Code::StoreUnwritable, "{error}");
    assert!(world.script.sent().is_empty(), "the code is good for another try");
}

#[tokio::test]
async fn f73_a_fixed_port_that_is_taken_is_said_and_nobody_is_sent_there() {
    let squatter = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = squatter.local_addr().unwrap().port();
    let mut world = World::new();
    world.settings.login.redirect_uri = Some(format!("http://127.0.0.1:{port}/callback"));
    let mut going = begin(&world.handle(), LoginOptions::default());
    let error = (&mut going.login).await.unwrap().unwrap_err();
    assert_eq!(error.code(), Code::LoginUnavailable, "{error}");
    assert!(going.shown.try_recv().is_err(), "no address is shown");
}

#[tokio::test]
async fn n16_localhost_is_listened_to_on_both_families() {
    let mut world = World::new();
    world.settings.login.redirect_uri = Some("http://localhost/callback".to_owned());
    world.script.answers(200, &tokens("first"));
    let mut going = begin(&world.handle(), LoginOptions::default());
    let (address, redirect_uri, _) = going.visit().await;
    assert!(redirect_uri.starts_with("http://localhost:"), "{redirect_uri}");
    let port = reqwest::Url::parse(&redirect_uri).unwrap().port().unwrap();
    assert!(TcpStream::connect(("127.0.0.1", port)).await.is_ok());
    if tokio::net::TcpListener::bind("[::1]:0").await.is_ok() {
        assert!(TcpStream::connect(("::1", port)).await.is_ok());
    }
    get(&callback(&address, GOOD)).await;
    going.ended().await.unwrap();
}

#[tokio::test]
async fn what_cannot_be_signed_in_to_says_so() {
    let mut world = World::new();
    world.settings.grant_type = "client_credentials".to_owned();
    let error = begin(&world.handle(), LoginOptions::default()).ended().await.unwrap_err();
    assert_eq!(error.code(), Code::LoginUnavailable, "{error}");
    let script = World::at(Provider { authorization_endpoint: Some("javascript:alert(1)".to_owned()), ..provider() });
    let mut going = begin(&script.handle(), LoginOptions::default());
    let error = (&mut going.login).await.unwrap().unwrap_err();
    assert_eq!(error.code(), Code::LoginUnavailable, "{error}");
    assert!(going.shown.try_recv().is_err(), "n53: no such address is shown");
}
