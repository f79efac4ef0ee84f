//! An authorization server and the resources behind it, strict, with a memory of everything: the
//! judge of what the product sends. Shares no code with the product.

use crate::log::Log;
use crate::personality::{Bound, Named, Personality, Rotation, Written};
use crate::process::START;
use base64::Engine;
use http::{HeaderMap, HeaderName, HeaderValue};
use serde_json::{Value, json};
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// How many of its last nonces a resource takes: requests overlap.
const NONCES_TAKEN: usize = 8;

/// A server with its resources.
#[derive(Debug)]
pub(crate) struct Server {
    pub(crate) number: usize,
    pub(crate) personality: &'static Personality,
    log: Arc<Log>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    issued: u64,
    refresh: BTreeMap<String, Refresh>,
    access: BTreeMap<String, Access>,
    families: Vec<Family>,
    nonces: VecDeque<u64>,
    nonces_given: u64,
    /// Until when resources answer 401 to everything.
    storm_until: u64,
    counts: Counts,
}

/// What a server counted.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Counts {
    pub(crate) requests: u64,
    pub(crate) renewals: u64,
    pub(crate) reuses: u64,
    pub(crate) families_killed: u64,
}

#[derive(Debug)]
struct Refresh {
    family: usize,
    spent: Option<Spent>,
    dropped: bool,
}

#[derive(Clone, Debug)]
struct Spent {
    at: u64,
    successor: String,
}

#[derive(Debug)]
struct Access {
    grant: usize,
    /// Nothing of one that is minted without a person.
    family: Option<usize>,
    visible_at: u64,
    ends_at: u64,
    revoked: bool,
}

#[derive(Debug)]
struct Family {
    grant: usize,
    alive: bool,
    /// Live refresh tokens, oldest first.
    live: Vec<String>,
}

/// A reply, before it meets the network.
#[derive(Clone, Debug)]
pub(crate) struct Said {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: String,
    /// The access and refresh token that it brings.
    pub(crate) brings: Option<(String, Option<String>)>,
    /// Whether a spent refresh token was used after its grace, and everything was revoked for it.
    pub(crate) kills_family: bool,
}

impl Server {
    pub(crate) fn new(number: usize, personality: &'static Personality, log: &Arc<Log>) -> Self {
        Self { number, personality, log: Arc::clone(log), state: Mutex::default() }
    }

    pub(crate) fn token_endpoint(&self) -> String {
        format!("https://as{}.example/token", self.number)
    }

    /// Where tokens are revoked; not every server revokes any.
    pub(crate) fn revocation_endpoint(&self) -> Option<String> {
        (self.number % 3 != 2).then(|| format!("https://as{}.example/revoke", self.number))
    }

    pub(crate) fn issuer(&self) -> String {
        format!("https://as{}.example", self.number)
    }

    pub(crate) fn counts(&self) -> Counts {
        self.lock().counts
    }

    /// The server's own idea of the time, in seconds since 1970.
    pub(crate) fn clock(&self) -> u64 {
        START.as_secs() + self.log.millis() / 1000 - self.personality.behind.as_secs()
    }

    /// A person consented: the first token set of a new family, as a reply's body.
    pub(crate) fn consent(&self, grant: usize) -> Said {
        let mut state = self.lock();
        state.families.push(Family { grant, alive: true, live: Vec::new() });
        let family = state.families.len() - 1;
        let refresh = (self.personality.named != Named::Nowhere).then(|| state.new_refresh(self.number, family));
        self.granted(&mut state, (grant, Some(family)), refresh.as_deref(), refresh.as_deref())
    }

    /// Revokes a token (RFC 7009): a refresh token with all of its family.
    pub(crate) fn revoke_token(&self, token: &str) -> Said {
        let mut state = self.lock();
        let family = state.refresh.get(token).map(|known| known.family);
        if let Some(known) = state.access.get_mut(token) {
            known.revoked = true;
        } else if let Some(family) = family {
            state.families[family].alive = false;
            for access in state.access.values_mut().filter(|access| access.family == Some(family)) {
                access.revoked = true;
            }
        } else {
            self.log.violate("S6", format_args!("server {} is to revoke a token it never issued", self.number));
        }
        Said { status: 200, headers: HeaderMap::new(), body: String::new(), brings: None, kills_family: false }
    }

    /// Answers a token request.
    pub(crate) fn answer(&self, grant: usize, form: &BTreeMap<String, String>, proof: bool) -> Said {
        let mut state = self.lock();
        state.counts.requests += 1;
        if let Some(error) = self.objection(form, proof) {
            return self.error(error);
        }
        match form.get("grant_type").map(String::as_str) {
            Some("client_credentials") => {
                state.counts.renewals += 1;
                self.granted(&mut state, (grant, None), None, None)
            }
            Some("refresh_token") => {
                let token = form.get("refresh_token").cloned().unwrap_or_default();
                self.refresh(&mut state, grant, &token)
            }
            Some(_) | None => self.error("unsupported_grant_type"),
        }
    }

    fn objection(&self, form: &BTreeMap<String, String>, proof: bool) -> Option<&'static str> {
        let scope = form.get("scope").map_or("", String::as_str);
        if self.personality.needs_resource && !form.contains_key("resource") {
            Some("invalid_target")
        } else if self.personality.bound != Bound::No && !proof {
            Some("invalid_dpop_proof")
        } else if self.personality.narrow && scope.split(' ').any(|word| word == "write") {
            Some("invalid_scope")
        } else {
            None
        }
    }

    fn refresh(&self, state: &mut State, grant: usize, token: &str) -> Said {
        let now = self.log.millis();
        let Some(known) = state.refresh.get(token) else {
            self.log.violate("S6", format_args!("server {} was sent a refresh token it never issued", self.number));
            return self.refused();
        };
        let (family, spent, dropped) = (known.family, known.spent.clone(), known.dropped);
        if state.families[family].grant != grant {
            self.log.violate("S6", format_args!("a refresh token was sent for another grant, {grant}"));
        }
        if !state.families[family].alive || dropped {
            return self.refused();
        }
        let next = match (self.personality.rotation, spent) {
            (Rotation::Never, _) => token.to_owned(),
            (Rotation::LastTwo, _) => state.replace_last_two(self.number, family),
            (Rotation::Strict { .. }, None) => state.rotate(self.number, family, token, now),
            (Rotation::Strict { grace, siblings, .. }, Some(spent))
                if u128::from(now - spent.at) < grace.as_millis() =>
            {
                if siblings {
                    state.new_refresh(self.number, family)
                } else {
                    spent.successor
                }
            }
            (Rotation::Strict { kills_family, .. }, Some(_)) => return self.reuse(state, family, kills_family),
        };
        state.counts.renewals += 1;
        let named = (self.personality.named == Named::Next).then_some(next.as_str());
        self.granted(state, (grant, Some(family)), named, Some(&next))
    }

    fn reuse(&self, state: &mut State, family: usize, kills_family: bool) -> Said {
        state.counts.reuses += 1;
        if kills_family {
            state.counts.families_killed += 1;
            state.kill(family);
        }
        Said { kills_family, ..self.refused() }
    }

    /// A success: a new access token, and the refresh token that is named in it.
    fn granted(
        &self,
        state: &mut State,
        (grant, family): (usize, Option<usize>),
        named: Option<&str>,
        brings: Option<&str>,
    ) -> Said {
        let now = self.log.millis();
        let personality = self.personality;
        state.issued += 1;
        let access = format!("at-{}-{}", self.number, state.issued);
        let life = u64::try_from(personality.life.as_millis()).unwrap_or(u64::MAX);
        let lag = u64::try_from(personality.lag.as_millis()).unwrap_or(0);
        let known = Access { grant, family, visible_at: now + lag, ends_at: now.saturating_add(life), revoked: false };
        state.access.insert(access.clone(), known);
        let mut members = vec![
            ("access_token", json!(access)),
            ("token_type", json!(if personality.bound == Bound::No { "bearer" } else { "DPoP" })),
        ];
        let secs = personality.life.as_secs();
        match (personality.written, state.issued % 3) {
            (Written::Absent, _) => {}
            (Written::Plainly, _) => members.push(("expires_in", json!(secs))),
            (Written::Oddly, 0) => members.push(("expires_in", json!(secs.to_string()))),
            (Written::Oddly, 1) => members.push(("expires_in", json!(secs as f64 - 0.1))),
            (Written::Oddly, _) => members.push(("expires_in", json!(0))),
        }
        if let Some(named) = named {
            members.push(("refresh_token", json!(named)));
        }
        if personality.narrow {
            members.push(("scope", json!("read")));
        }
        let brings = Some((access, brings.map(str::to_owned)));
        Said { brings, ..self.say(200, &members) }
    }

    fn refused(&self) -> Said {
        self.error("invalid_grant")
    }

    fn error(&self, error: &str) -> Said {
        let status = if self.personality.errors_as_success { 200 } else { 400 };
        self.say(status, &[("error", json!(error)), ("error_description", json!("no invalid_token here"))])
    }

    fn say(&self, status: u16, members: &[(&'static str, Value)]) -> Said {
        let form = self.personality.forms;
        let body = if form {
            let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            let pairs = members.iter().map(|(name, value)| format!("{name}={}", text(value).replace(' ', "+")));
            pairs.collect::<Vec<_>>().join("&")
        } else {
            let object = members.iter().map(|(name, value)| ((*name).to_owned(), value.clone()));
            Value::Object(object.collect()).to_string()
        };
        let mut headers = HeaderMap::new();
        let kind = if form { "application/x-www-form-urlencoded" } else { "application/json" };
        headers.insert(http::header::CONTENT_TYPE, HeaderValue::from_static(kind));
        Said { status, headers, body, brings: None, kills_family: false }
    }

    /// Whether this refresh token would be taken now, by what the server knows.
    pub(crate) fn takes(&self, token: &str) -> bool {
        let state = self.lock();
        let Some(known) = state.refresh.get(token) else { return false };
        let fresh_enough = match (self.personality.rotation, &known.spent) {
            (Rotation::Strict { grace, .. }, Some(spent)) => {
                u128::from(self.log.millis() - spent.at) < grace.as_millis()
            }
            (Rotation::Strict { .. } | Rotation::LastTwo | Rotation::Never, _) => true,
        };
        state.families[known.family].alive && !known.dropped && fresh_enough
    }

    /// The provider, or its owner, revokes what the grant holds.
    pub(crate) fn revoke(&self, grant: usize) {
        let mut state = self.lock();
        let families = 0..state.families.len();
        for family in families.filter(|family| state.families[*family].grant == grant).collect::<Vec<_>>() {
            state.kill(family);
        }
    }

    /// The access tokens of a grant end before their time.
    pub(crate) fn revoke_access(&self, grant: usize) {
        let mut state = self.lock();
        for access in state.access.values_mut().filter(|access| access.grant == grant) {
            access.revoked = true;
        }
    }

    /// Resources answer 401 to everything until then.
    pub(crate) fn storm(&self, until: u64) {
        self.lock().storm_until = until;
    }

    /// A request to the resource of a grant: the status, and the fields of the answer.
    pub(crate) fn resource(&self, grant: usize, headers: &HeaderMap) -> (u16, HeaderMap) {
        let mut state = self.lock();
        let mut fields = HeaderMap::new();
        let nonce_error = self.personality.bound == Bound::ProofWithNonce && !state.nonce_holds(headers);
        if self.personality.bound == Bound::ProofWithNonce {
            fields.insert(HeaderName::from_static("dpop-nonce"), state.next_nonce());
        }
        if let Some(token) = self.presented(headers) {
            state.check_audience(&self.log, grant, token);
        }
        let good = self.presented(headers).is_some_and(|token| state.is_good(token, self.log.millis()));
        if nonce_error {
            fields.insert(http::header::WWW_AUTHENTICATE, HeaderValue::from_static("DPoP error=\"use_dpop_nonce\""));
            return (401, fields);
        }
        if good {
            return (200, fields);
        }
        let challenge = if self.personality.bound == Bound::No { "Bearer" } else { "DPoP" };
        let challenge = format!("{challenge} error=\"invalid_token\"");
        fields.insert(http::header::WWW_AUTHENTICATE, HeaderValue::from_str(&challenge).expect("plain text"));
        (401, fields)
    }

    /// Whether this access token would be taken by the grant's resource now.
    pub(crate) fn takes_access(&self, token: &str) -> bool {
        self.lock().is_good(token, self.log.millis())
    }

    fn presented<'h>(&self, headers: &'h HeaderMap) -> Option<&'h str> {
        let value = headers.get(http::header::AUTHORIZATION)?.to_str().ok()?;
        let (scheme, token) = value.split_once(' ')?;
        let wanted = if self.personality.bound == Bound::No { "Bearer" } else { "DPoP" };
        let proven = self.personality.bound == Bound::No || headers.contains_key("dpop");
        (scheme == wanted && proven).then_some(token)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn new_refresh(&mut self, server: usize, family: usize) -> String {
        self.issued += 1;
        let token = format!("rt-{server}-{}", self.issued);
        self.refresh.insert(token.clone(), Refresh { family, spent: None, dropped: false });
        self.families[family].live.push(token.clone());
        token
    }

    fn rotate(&mut self, server: usize, family: usize, spent: &str, now: u64) -> String {
        let successor = self.new_refresh(server, family);
        if let Some(known) = self.refresh.get_mut(spent) {
            known.spent = Some(Spent { at: now, successor: successor.clone() });
        }
        successor
    }

    fn replace_last_two(&mut self, server: usize, family: usize) -> String {
        let next = self.new_refresh(server, family);
        while self.families[family].live.len() > 2 {
            let oldest = self.families[family].live.remove(0);
            if let Some(known) = self.refresh.get_mut(&oldest) {
                known.dropped = true;
            }
        }
        next
    }

    fn kill(&mut self, family: usize) {
        let grant = self.families[family].grant;
        self.families[family].alive = false;
        for access in self.access.values_mut().filter(|access| access.grant == grant) {
            access.revoked = true;
        }
    }

    fn is_good(&self, token: &str, now: u64) -> bool {
        let known = self.access.get(token);
        now >= self.storm_until
            && known.is_some_and(|known| !known.revoked && known.visible_at <= now && now < known.ends_at)
    }

    fn check_audience(&self, log: &Log, grant: usize, token: &str) {
        match self.access.get(token) {
            Some(known) if known.grant == grant => {}
            Some(known) => {
                log.violate("S6", format_args!("the resource of grant {grant} got a token of {}", known.grant));
            }
            None => log.violate("S6", format_args!("the resource of grant {grant} got a token of another server")),
        }
    }

    fn next_nonce(&mut self) -> HeaderValue {
        self.nonces_given += 1;
        self.nonces.push_back(self.nonces_given);
        if self.nonces.len() > NONCES_TAKEN {
            self.nonces.pop_front();
        }
        HeaderValue::from_str(&format!("nonce-{}", self.nonces_given)).expect("plain text")
    }

    fn nonce_holds(&self, headers: &HeaderMap) -> bool {
        let nonce = || {
            let proof = headers.get("dpop")?.to_str().ok()?;
            let claims = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(proof.split('.').nth(1)?).ok()?;
            let claims: Value = serde_json::from_slice(&claims).ok()?;
            claims.get("nonce")?.as_str()?.strip_prefix("nonce-")?.parse::<u64>().ok()
        };
        nonce().is_some_and(|nonce| self.nonces.contains(&nonce))
    }
}
