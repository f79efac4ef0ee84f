//! A strict authorization server as a [`TokenEndpoint`]: rotates with zero grace, revokes the
//! family on reuse, counts everything, and fails on request. No network, no clock of its own.

use outlast_core::wire::{Answer, Fault, Reply, TokenEndpoint, TokenRequest, TokenResponse};
use outlast_core::{BoxFuture, Lease, Secret};
use std::collections::{BTreeSet, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// How one request goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trick {
    /// The request is carried out and its answer lost.
    LoseAnswer,
    /// No connection can be made.
    Unreachable,
    /// This status with an empty body.
    Status(u16),
    /// An OAuth error of this name with status 400.
    Refuse(&'static str),
    /// A page of HTML with status 200.
    Html,
}

/// What the server saw.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// Token requests that arrived.
    pub requests: usize,
    /// Refreshes that were granted.
    pub rotations: usize,
    /// Refresh tokens that were sent a second time.
    pub reuse_alarms: usize,
    /// Most requests under way at once.
    pub at_once_max: usize,
    /// Whether the family was revoked.
    pub revoked: bool,
}

#[derive(Debug, Default)]
struct State {
    seen: Seen,
    at_once: usize,
    issued: usize,
    active: Option<String>,
    spent: BTreeSet<String>,
    tricks: VecDeque<Trick>,
}

/// One family of tokens at a strict server. Clones share it.
#[derive(Clone, Debug)]
pub struct StrictServer {
    state: Arc<Mutex<State>>,
    life: Duration,
    latency: Duration,
}

impl StrictServer {
    /// Access tokens live for `life`; a token request takes `latency`.
    pub fn new(life: Duration, latency: Duration) -> Self {
        Self { state: Arc::default(), life, latency }
    }

    /// A first token set, as after a login.
    pub fn issue(&self) -> TokenResponse {
        let mut state = self.lock();
        issue(&mut state, self.life)
    }

    /// The next requests go wrong like this, one each.
    pub fn play(&self, tricks: impl IntoIterator<Item = Trick>) {
        self.lock().tricks.extend(tricks);
    }

    /// What was seen so far.
    pub fn seen(&self) -> Seen {
        self.lock().seen
    }

    /// The access token that was issued last.
    pub fn current_access(&self) -> String {
        format!("access-{}", self.lock().issued)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn decide(&self, refresh: &str) -> Answer {
        let mut state = self.lock();
        match state.tricks.pop_front() {
            None => grant(&mut state, refresh, self.life),
            Some(Trick::LoseAnswer) => {
                grant(&mut state, refresh, self.life);
                Answer::Lost(Fault::Broken)
            }
            Some(Trick::Unreachable) => Answer::Unsent(Fault::Connect),
            Some(Trick::Status(status)) => answer(status, ""),
            Some(Trick::Refuse(error)) => answer(400, &format!(r#"{{"error":"{error}"}}"#)),
            Some(Trick::Html) => answer(200, "<html>Welcome to the hotel network</html>"),
        }
    }
}

impl TokenEndpoint for StrictServer {
    fn ask<'a>(&'a self, _request: &'a TokenRequest) -> BoxFuture<'a, Answer> {
        Box::pin(async { Answer::Unsent(Fault::Connect) })
    }

    fn send<'a>(&'a self, _lease: &'a Lease, request: &'a TokenRequest) -> BoxFuture<'a, Answer> {
        let refresh = request.form_members().iter().find(|(name, _)| *name == "refresh_token");
        let refresh = refresh.map(|(_, value)| value.expose().to_owned()).unwrap_or_default();
        Box::pin(async move {
            {
                let mut state = self.lock();
                state.seen.requests += 1;
                state.at_once += 1;
                state.seen.at_once_max = state.seen.at_once_max.max(state.at_once);
            }
            tokio::time::sleep(self.latency).await;
            self.lock().at_once -= 1;
            self.decide(&refresh)
        })
    }
}

fn grant(state: &mut State, refresh: &str, life: Duration) -> Answer {
    if state.spent.contains(refresh) {
        state.seen.reuse_alarms += 1;
        state.seen.revoked = true;
        state.active = None;
    }
    if state.active.as_deref() != Some(refresh) {
        return answer(400, r#"{"error":"invalid_grant","error_description":"unknown refresh token"}"#);
    }
    state.spent.insert(refresh.to_owned());
    state.seen.rotations += 1;
    let response = issue(state, life);
    let refresh = response.refresh.as_ref().map(Secret::expose).unwrap_or_default();
    let (access, secs) = (response.access.expose(), life.as_secs());
    answer(
        200,
        &format!(
            r#"{{"access_token":"{access}","token_type":"Bearer","expires_in":{secs},"refresh_token":"{refresh}"}}"#
        ),
    )
}

fn issue(state: &mut State, life: Duration) -> TokenResponse {
    state.issued += 1;
    let refresh = format!("refresh-{}", state.issued);
    state.active = Some(refresh.clone());
    TokenResponse {
        expires_in: Some(life),
        refresh: Some(Secret::new(refresh)),
        ..TokenResponse::bearer(format!("access-{}", state.issued))
    }
}

fn answer(status: u16, body: &str) -> Answer {
    Answer::Complete(Reply { status, headers: Default::default(), body: body.as_bytes().to_vec() })
}
