//! The device flow (RFC 8628) is as strict as the rest.

#![allow(clippy::unwrap_used)]

mod speak;

use outlast_sandbox::{Fault, Lasting, Sandbox, Settings};
use serde_json::Value;
use speak::{Answer, CLIENT, api, order, refresh, send, strict, token, with_clock};
use std::time::Duration;

const FORM: &str = "Content-Type: application/x-www-form-urlencoded";
const INTERVAL: Duration = Duration::from_secs(5);

async fn ask(sandbox: &Sandbox, form: &str) -> Answer {
    send(sandbox.issuer(), &format!("POST /device_authorization\n{FORM}"), form.as_bytes()).await.unwrap()
}

async fn codes(sandbox: &Sandbox) -> (String, String) {
    let told = ask(sandbox, CLIENT).await.json();
    (text(&told["device_code"]), text(&told["user_code"]))
}

async fn poll(sandbox: &Sandbox, device_code: &str) -> Answer {
    let grant_type = "urn:ietf:params:oauth:grant-type:device_code";
    token(sandbox, &format!("grant_type={grant_type}&device_code={device_code}&{CLIENT}")).await.unwrap()
}

fn text(value: &Value) -> String {
    value.as_str().expect("a string").to_owned()
}

#[tokio::test]
async fn discovery_tells_of_the_device_flow_and_it_brings_a_family_once() {
    let (sandbox, pass) = with_clock(Settings::default()).await;
    let metadata = send(sandbox.issuer(), "GET /.well-known/oauth-authorization-server", b"").await.unwrap().json();
    assert_eq!(metadata["device_authorization_endpoint"], format!("{}/device_authorization", sandbox.issuer()));
    let supported = metadata["grant_types_supported"].as_array().unwrap();
    assert!(supported.contains(&"urn:ietf:params:oauth:grant-type:device_code".into()));
    let answer = ask(&sandbox, &format!("{CLIENT}&scope=api:read")).await;
    assert_eq!((answer.status, answer.field("cache-control")), (200, Some("no-store")));
    let told = answer.json();
    assert_eq!((told["interval"].as_u64(), told["expires_in"].as_u64()), (Some(5), Some(300)));
    assert_eq!(told["verification_uri"], format!("{}/device", sandbox.issuer()));
    let (device_code, user_code) = (text(&told["device_code"]), text(&told["user_code"]));
    let pending = poll(&sandbox, &device_code).await;
    assert_eq!((pending.status, pending.error().as_str()), (400, "authorization_pending"));
    assert!(sandbox.approve(&user_code.to_lowercase()));
    assert!(!sandbox.approve(&user_code) && !sandbox.deny(&user_code), "answered once");
    pass(INTERVAL);
    let tokens = poll(&sandbox, &device_code).await.json();
    assert_eq!(api(&sandbox, &text(&tokens["access_token"]), "GET /api/whoami", b"").await.json()["subject"], "alice");
    assert_eq!(refresh(&sandbox, &text(&tokens["refresh_token"])).await.unwrap().status, 200);
    pass(INTERVAL);
    assert_eq!(poll(&sandbox, &device_code).await.error(), "invalid_grant");
    assert_eq!((sandbox.counters().device_logins, sandbox.counters().grant_alive), (1, true));
}

#[tokio::test]
async fn a_device_that_polls_too_soon_is_slowed_down_for_good() {
    let (sandbox, pass) = with_clock(Settings::default()).await;
    let (device_code, user_code) = codes(&sandbox).await;
    let mut said = vec![poll(&sandbox, &device_code).await.error()];
    pass(INTERVAL - Duration::from_millis(1));
    said.push(poll(&sandbox, &device_code).await.error());
    pass(INTERVAL);
    said.push(poll(&sandbox, &device_code).await.error());
    assert_eq!(said, ["authorization_pending", "slow_down", "slow_down"]);
    sandbox.approve(&user_code);
    pass(3 * INTERVAL);
    assert_eq!(poll(&sandbox, &device_code).await.status, 200);
}

#[tokio::test]
async fn a_code_that_nobody_answered_or_that_was_refused_brings_nothing() {
    let (sandbox, pass) = with_clock(Settings::default()).await;
    let ((refused, its_code), (ignored, late_code)) = (codes(&sandbox).await, codes(&sandbox).await);
    assert_eq!(
        order(&sandbox, &format!(r#"{{"kind":"deny_device","user_code":"{its_code}"}}"#)).await.json()["affected"],
        1
    );
    assert_eq!(poll(&sandbox, &refused).await.error(), "access_denied");
    pass(Duration::from_secs(300));
    let approval = format!(r#"{{"kind":"approve_device","user_code":"{late_code}"}}"#);
    assert_eq!(order(&sandbox, &approval).await.json()["affected"], 0);
    assert_eq!(poll(&sandbox, &ignored).await.error(), "expired_token");
    assert_eq!(poll(&sandbox, "made-up").await.error(), "invalid_grant");
    assert_eq!(sandbox.counters().device_logins, 0);
}

#[tokio::test]
async fn malformed_requests_for_a_code_get_the_error_the_rfc_names() {
    let sandbox = strict().await;
    let cases = [
        (String::new(), 401, "invalid_client"),
        ("client_id=sandbox".to_owned(), 401, "invalid_client"),
        (format!("{CLIENT}&scope=api:admin"), 400, "invalid_scope"),
        (format!("{CLIENT}&resource=https://elsewhere.example"), 400, "invalid_target"),
        (format!("{CLIENT}&scope=api:read&scope=api:read"), 400, "invalid_request"),
    ];
    for (form, status, error) in cases {
        let refused = ask(&sandbox, &form).await;
        assert_eq!((refused.status, refused.error().as_str()), (status, error), "{form}");
    }
    assert_eq!(send(sandbox.issuer(), "GET /device_authorization", b"").await.unwrap().status, 405);
    assert_eq!(poll(&sandbox, "").await.error(), "invalid_request");
    let public = Sandbox::start(Settings { client_secret: None, ..Settings::default() }).await.unwrap();
    assert_eq!(ask(&public, "client_id=sandbox").await.status, 200);
}

#[tokio::test]
async fn a_person_answers_on_the_page_that_the_device_shows() {
    let sandbox = strict().await;
    let (device_code, user_code) = codes(&sandbox).await;
    let shown = send(sandbox.issuer(), "GET /device?user_code=%22%3E%3Cscript%3Ebcdf", b"").await.unwrap();
    assert!(!String::from_utf8_lossy(&shown.body).contains("<script>"));
    let say = async |form: String| {
        send(sandbox.issuer(), &format!("POST /device\n{FORM}"), form.as_bytes()).await.unwrap().status
    };
    assert_eq!(say(format!("user_code={user_code}&answer=perhaps")).await, 400);
    assert_eq!(say("user_code=ZZZZ-ZZZZ&answer=allow".to_owned()).await, 400);
    assert_eq!(say(format!("user_code={user_code}&answer=allow")).await, 200);
    assert_eq!(poll(&sandbox, &device_code).await.status, 200);
}

#[tokio::test]
async fn an_answer_that_is_lost_has_used_the_code() {
    let (sandbox, pass) = with_clock(Settings::default()).await;
    let (device_code, user_code) = codes(&sandbox).await;
    sandbox.approve(&user_code);
    sandbox.fault(Fault::LostAnswer, Lasting::Times(1));
    let form = format!("grant_type=urn:ietf:params:oauth:grant-type:device_code&device_code={device_code}&{CLIENT}");
    assert!(token(&sandbox, &form).await.is_err());
    pass(INTERVAL);
    assert_eq!(poll(&sandbox, &device_code).await.error(), "invalid_grant");
}

#[tokio::test]
async fn a_grant_that_was_revoked_raises_no_alarm_and_a_login_revives_it() {
    let sandbox = strict().await;
    let issued = sandbox.issue();
    assert_eq!(sandbox.revoke_family(None), 1);
    assert_eq!(api(&sandbox, &issued.access, "GET /api/echo", b"").await.status, 401);
    assert_eq!(refresh(&sandbox, &issued.refresh).await.unwrap().error(), "invalid_grant");
    assert!(!sandbox.counters().grant_alive);
    let (device_code, user_code) = codes(&sandbox).await;
    sandbox.approve(&user_code);
    let tokens = poll(&sandbox, &device_code).await.json();
    assert_eq!(api(&sandbox, &text(&tokens["access_token"]), "GET /api/echo", b"").await.status, 200);
    let counters = sandbox.counters();
    assert_eq!((counters.reuse_alarms, counters.families_revoked, counters.grant_alive), (0, 1, true));
}
