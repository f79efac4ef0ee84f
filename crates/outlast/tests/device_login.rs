//! The device flow of RFC 8628 through the library, against a certified server that nobody here wrote.
#![allow(clippy::unwrap_used, missing_docs)]

use outlast::{BoxFuture, GrantHandle, GrantId, GrantSettings, LoginError, LoginOptions, LoginPrompt, LoginStep};
use outlast::{ClientAuth, Secret, Server, Settings};
use outlast_testkit::peer::OidcProvider;
use serde_json::json;
use std::sync::{Arc, Mutex};

/// The person at the other device: answers the code as soon as it is shown.
struct Person {
    server: Arc<OidcProvider>,
    answer: Option<&'static str>,
    shown: Mutex<Vec<LoginStep>>,
}

impl LoginPrompt for Person {
    fn show(&self, step: LoginStep) {
        if let (LoginStep::EnterCode { user_code, .. }, Some(path)) = (&step, self.answer) {
            self.server.admin_post(path, &json!({ "user_code": user_code }));
        }
        self.shown.lock().unwrap().push(step);
    }

    fn pasted(&self) -> BoxFuture<'_, String> {
        Box::pin(std::future::pending())
    }

    fn refuse(&self, _why: &str) {}
}

struct World {
    person: Person,
    handle: GrantHandle,
}

impl World {
    fn start(client: &str, auth: ClientAuth, env: &[(&str, &str)], answer: Option<&'static str>) -> Option<Self> {
        let server = Arc::new(OidcProvider::start(env)?);
        let id = GrantId::parse("tv").unwrap();
        let grant = GrantSettings {
            client_id: client.to_owned(),
            client_auth: auth,
            scope: vec!["openid".to_owned(), "api:read".to_owned()],
            resource: Some(format!("{}/api", server.api())),
            ..GrantSettings::new(id.clone(), "device_code", Server::Issuer(server.issuer().to_owned()))
        };
        let handle = Settings::in_memory().grant(grant).open().unwrap().grant(&id).unwrap();
        Some(Self { person: Person { server, answer, shown: Mutex::default() }, handle })
    }

    async fn login(&self) -> Result<outlast::LoggedIn, LoginError> {
        self.handle.login(&LoginOptions::default(), &self.person).await
    }

    fn polls(&self) -> usize {
        let shown = self.person.shown.lock().unwrap();
        shown.iter().filter(|step| matches!(step, LoginStep::Waiting { .. })).count()
    }
}

const APPROVE: Option<&str> = Some("/device/approve");

#[tokio::test]
async fn a_code_that_is_approved_brings_a_renewable_grant_and_its_owner() {
    let Some(world) = World::start("public", ClientAuth::None, &[], APPROVE) else { return };
    let brought = world.login().await.unwrap();
    assert!(brought.renewable, "{brought:?}");
    assert_eq!(brought.subject.as_deref(), Some("alice"));
    let renewed = outlast::Ask { min_ttl: std::time::Duration::from_secs(86_400), ..outlast::Ask::default() };
    assert!(world.handle.access_token(renewed).await.is_ok());
    assert_eq!(world.person.server.counters()["reuse_detections"], 0);
    let shown = world.person.shown.lock().unwrap();
    let LoginStep::EnterCode { scope, authorization_server, verification_uri, .. } = &shown[0] else {
        panic!("{shown:?}")
    };
    assert_eq!((scope.join(" ").as_str(), authorization_server.as_str()), ("openid api:read", "127.0.0.1"));
    assert!(verification_uri.starts_with(world.person.server.issuer()));
}

#[tokio::test]
async fn a_code_that_is_denied_leaves_what_is_held_as_it_is() {
    let basic = ClientAuth::Basic(Secret::new("basic-secret"));
    let Some(world) = World::start("basic", basic, &[], Some("/device/deny")) else { return };
    let before = world.handle.record().await.unwrap();
    assert!(matches!(world.login().await, Err(LoginError::Denied { .. })));
    assert_eq!(world.handle.record().await.unwrap(), before);
}

#[tokio::test]
async fn a_code_that_nobody_enters_ends_when_the_server_said() {
    let Some(world) = World::start("public", ClientAuth::None, &[("DEVICE_TTL", "8")], None) else { return };
    assert!(matches!(world.login().await, Err(LoginError::Expired { .. })));
    assert_eq!(world.polls(), 1);
}

#[tokio::test]
async fn n22_slow_down_is_obeyed_and_the_login_goes_on() {
    let Some(world) = World::start("public", ClientAuth::None, &[], APPROVE) else { return };
    world.person.server.fault(&json!({"kind": "oauth_error", "on": "token", "error": "slow_down", "status": 400}));
    assert!(world.login().await.is_ok());
    assert_eq!(world.polls(), 1);
    let record = world.handle.record().await.unwrap();
    let shown = world.person.shown.lock().unwrap();
    let LoginStep::EnterCode { expires_at, .. } = &shown[0] else { panic!("{shown:?}") };
    let LoginStep::Waiting { left } = &shown[1] else { panic!("{shown:?}") };
    // Five seconds to the first poll, then ten to the second: RFC 8628 3.5.
    let granted = record.renewed_at.unwrap();
    let refused = expires_at.minus(*left);
    assert!(granted.since(refused) >= std::time::Duration::from_secs(10), "{granted} {refused}");
}

#[tokio::test]
async fn a_client_that_may_not_ask_is_told_what_to_mend() {
    let wrong = ClientAuth::Basic(Secret::new("CANARY-wrong"));
    let Some(world) = World::start("basic", wrong, &[], None) else { return };
    let error = world.login().await.unwrap_err();
    assert_eq!(error.code(), outlast::Code::ClientMisconfigured);
    assert!(!format!("{error} {error:?}").contains("CANARY"));
}

#[tokio::test]
async fn a_dpop_client_gets_its_key_with_its_tokens() {
    let Some(world) = World::start("dpop", ClientAuth::None, &[("DPOP_REQUIRE_NONCE", "1")], APPROVE) else { return };
    let settings = GrantSettings { dpop: true, ..world.handle.settings().clone() };
    let id = settings.id.clone();
    let handle = Settings::in_memory().grant(settings).open().unwrap().grant(&id).unwrap();
    assert!(handle.login(&LoginOptions::default(), &world.person).await.is_ok());
    assert!(handle.record().await.unwrap().proof_key.is_some());
}
