//! What only the story with Outlast has to cope with, and the person who signs in again.

use super::progress::Events;
use super::story::OUTLAST;
use outlast::{BoxFuture, GrantHandle, LoginOptions, LoginPrompt, LoginStep, LoginWay, Standing};
use outlast_sandbox::{Fault as Trouble, Lasting, Sandbox};
use std::sync::Arc;
use std::time::Duration;

/// When the token endpoint goes down, and for how long: longer than a token lives.
const OUTAGE_AFTER: Duration = Duration::from_secs(5);
const OUTAGE: Duration = Duration::from_secs(4);
/// When the access tokens are revoked early, counted from the outage's start.
const REVOCATION_AFTER: Duration = Duration::from_secs(8);
/// When the whole grant is revoked, counted from the agent's second start.
const END_AFTER: Duration = Duration::from_secs(1);
/// How often the person looks whether a login is needed.
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// How long the person takes to enter the code.
const ENTERING: Duration = Duration::from_millis(1500);

/// An outage, then access tokens that are revoked before their time.
pub(super) async fn outage_and_revoked_tokens(sandbox: Arc<Sandbox>, events: Events) {
    tokio::time::sleep(OUTAGE_AFTER).await;
    events.tell(OUTLAST, "the token endpoint is down for 4 seconds");
    sandbox.fault(Trouble::Unavailable, Lasting::For(OUTAGE));
    tokio::time::sleep(REVOCATION_AFTER).await;
    events.tell(OUTLAST, "the server has revoked all access tokens");
    sandbox.kill_access_tokens();
}

/// The grant is revoked whole, and a person revives it once Outlast says that one is needed.
pub(super) async fn revoked_grant_and_login(sandbox: Arc<Sandbox>, handle: GrantHandle, events: Events) {
    tokio::time::sleep(END_AFTER).await;
    sandbox.revoke_family(None);
    events.tell(OUTLAST, "the server has revoked the whole grant");
    while !handle.record().await.is_ok_and(|grant| matches!(grant.standing, Standing::Parked { .. })) {
        tokio::time::sleep(LOOK_EVERY).await;
    }
    events.tell(OUTLAST, "the grant needs its owner: the task waits, and nothing is lost");
    let options = LoginOptions { way: Some(LoginWay::Device), ..LoginOptions::default() };
    let person = Person { sandbox, events: events.clone() };
    match handle.login(&options, &person).await {
        Ok(_) => events.tell(OUTLAST, "signed in; the task goes on by itself"),
        Err(error) => events.tell(OUTLAST, &format!("the login failed: {error}")),
    }
}

struct Person {
    sandbox: Arc<Sandbox>,
    events: Events,
}

impl LoginPrompt for Person {
    fn show(&self, step: LoginStep) {
        if let LoginStep::EnterCode { user_code, verification_uri, .. } = step {
            self.events.tell(OUTLAST, &format!("a person enters the code {user_code} at {verification_uri}"));
            let sandbox = Arc::clone(&self.sandbox);
            tokio::spawn(async move {
                tokio::time::sleep(ENTERING).await;
                sandbox.approve(&user_code);
            });
        }
    }

    fn pasted(&self) -> BoxFuture<'_, String> {
        Box::pin(std::future::pending())
    }

    fn refuse(&self, _why: &str) {}
}
