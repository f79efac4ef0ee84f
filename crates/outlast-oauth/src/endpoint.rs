//! Sends token requests over HTTP: the real [`TokenEndpoint`].

use crate::assertion::{self, KeyError};
use crate::dpop::{CHALLENGES_MAX, Nonces, PROOF, PROOF_NONCE, Proof, ProofKey};
use crate::exchange::{Exchanges, Limits};
use crate::guarded_body::GuardedBody;
use crate::request::form_body;
use crate::server_clock::ServerClocks;
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderValue, Method, Uri};
use outlast_core::wire::{Answer, AssertionPlace, Content, Fault, Reply};
use outlast_core::{BoxFuture, Clock, Lease, LeaseWatch, Secret, TokenEndpoint, TokenRequest};
use reqwest::{Body, Request};
use std::fmt;
use std::sync::Arc;
use url::Url;

/// Grant types whose requests spend nothing: sending one twice is harmless.
const NOTHING_SPENT: &[&str] = &[
    "client_credentials",
    "urn:ietf:params:oauth:grant-type:jwt-bearer",
    "urn:ietf:params:oauth:grant-type:token-exchange",
];

/// A token endpoint reached over HTTP. Follows no redirect, asks no proxy, decodes nothing, retries
/// nothing, and keeps to limits of time and size; see [`Limits`] and
/// [`BODY_BYTES_MAX`](crate::BODY_BYTES_MAX). One exception to the retries: a JWT that a server
/// refused while its `Date` shows another clock is signed again by that clock and sent once more,
/// where the request spends nothing.
///
/// Making one costs nothing: the client behind it is built by the first request.
pub struct HttpTokenEndpoint {
    exchanges: Exchanges,
    clock: Arc<dyn Clock>,
    servers: ServerClocks,
    nonces: Nonces,
}

impl fmt::Debug for HttpTokenEndpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpTokenEndpoint").field("exchanges", &self.exchanges).finish_non_exhaustive()
    }
}

impl HttpTokenEndpoint {
    /// With the usual limits; `clock` is what JWTs are dated by where the server's is not known.
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self::with_limits(clock, Limits::default())
    }

    /// With other limits of time.
    pub fn with_limits(clock: Arc<dyn Clock>, limits: Limits) -> Self {
        Self { exchanges: Exchanges::new(limits), clock, servers: ServerClocks::default(), nonces: Nonces::default() }
    }

    async fn carry_out(&self, lease: &LeaseWatch, request: &TokenRequest) -> Answer {
        let answer = self.send_once(lease, request).await;
        match &answer {
            Answer::Complete(reply) if self.was_misdated(request, reply) => self.send_once(lease, request).await,
            Answer::Complete(_) | Answer::Lost(_) | Answer::Unsent(_) => answer,
        }
    }

    /// Signs and sends `request`; once more with each nonce that the server asks for (RFC 9449 8). It
    /// does so before any work, so that nothing is spent by asking (N33).
    async fn send_once(&self, lease: &LeaseWatch, request: &TokenRequest) -> Answer {
        let mut answer = self.exchange_once(lease, request).await;
        for _ in 0..CHALLENGES_MAX {
            if !self.wants_nonce(request, &answer) {
                break;
            }
            answer = self.exchange_once(lease, request).await;
        }
        answer
    }

    /// Keeps the nonce of an answer, and tells whether the answer was nothing but the wish for it.
    fn wants_nonce(&self, request: &TokenRequest, answer: &Answer) -> bool {
        let (Some(_), Answer::Complete(reply), Ok(target)) =
            (&request.proof_key, answer, request.endpoint.parse::<Uri>())
        else {
            return false;
        };
        // Known already or not: another grant that was challenged at the same time may have learned it first.
        self.nonces.learn(&target, &reply.headers);
        reply.headers.contains_key(PROOF_NONCE)
            && matches!(reply.status, 400 | 401)
            && error_of(reply).as_deref() == Some("use_dpop_nonce")
    }

    async fn exchange_once(&self, lease: &LeaseWatch, request: &TokenRequest) -> Answer {
        let Ok(signed) = self.sign(request) else { return Answer::Unsent(Fault::Unsigned) };
        let certificate = request.certificate.as_ref();
        let exchange = self.exchanges.within(request.reach);
        let answer = exchange.send(&request.endpoint, certificate, |url| post(url, request, &signed, lease)).await;
        if let Answer::Complete(reply) = &answer
            && (300..400).contains(&reply.status)
        {
            // Without the target: it may hold what was sent.
            tracing::warn!(
                status = reply.status,
                "an authorization server answered with a redirect, which is not followed"
            );
        }
        answer
    }

    fn sign(&self, request: &TokenRequest) -> Result<Signed, KeyError> {
        let now = self.servers.at(&origin(request), self.clock.now());
        let assertions = request.assertions.iter().map(|each| Ok((each.place, assertion::sign(each, now)?)));
        let assertions = assertions.collect::<Result<_, KeyError>>()?;
        let proof = match (&request.proof_key, request.endpoint.parse::<Uri>()) {
            (Some(key), Ok(target)) => {
                let nonce = self.nonces.latest(&target);
                let method = method(request);
                let proof =
                    Proof { method: &method, target: &target, nonce: nonce.as_deref(), access_token: None, now };
                Some(ProofKey::read(key)?.proof(&proof)?)
            }
            // An address that cannot be read is not sent to either.
            (Some(_), Err(_)) | (None, _) => None,
        };
        Ok(Signed { assertions, proof })
    }

    /// Whether `reply` refuses a JWT of `request` that may be right by another clock; the next one is
    /// dated by that.
    fn was_misdated(&self, request: &TokenRequest, reply: &Reply) -> bool {
        !request.assertions.is_empty()
            && refuses_credentials(reply)
            && self.servers.refused(&origin(request), reply, self.clock.now())
            && spends_nothing(request)
    }
}

impl TokenEndpoint for HttpTokenEndpoint {
    fn send<'a>(&'a self, lease: &'a Lease, request: &'a TokenRequest) -> BoxFuture<'a, Answer> {
        Box::pin(self.carry_out(lease.watch(), request))
    }

    fn ask<'a>(&'a self, request: &'a TokenRequest) -> BoxFuture<'a, Answer> {
        Box::pin(async move { self.carry_out(&LeaseWatch::default(), request).await })
    }
}

/// What was signed for one sending.
struct Signed {
    assertions: Vec<(AssertionPlace, Secret)>,
    proof: Option<Secret>,
}

fn method(request: &TokenRequest) -> Method {
    match (&request.method, &request.content) {
        (Some(method), _) => method.clone(),
        (None, Content::Form(_) | Content::Json(_)) => Method::POST,
        (None, Content::None) => Method::GET,
    }
}

/// Clocks are kept by origin. An address that cannot be read is not sent to either.
fn origin(request: &TokenRequest) -> String {
    Url::parse(&request.endpoint).map_or_else(|_| String::new(), |url| url.origin().ascii_serialization())
}

fn error_of(reply: &Reply) -> Option<String> {
    let body = serde_json::from_slice::<serde_json::Value>(&reply.body).ok()?;
    body.get("error").and_then(serde_json::Value::as_str).map(str::to_owned)
}

fn refuses_credentials(reply: &Reply) -> bool {
    match reply.status {
        400 => matches!(error_of(reply).as_deref(), Some("invalid_client" | "invalid_grant")),
        401 => true,
        _ => false,
    }
}

fn spends_nothing(request: &TokenRequest) -> bool {
    let grant_type = request.form_members().iter().find(|(name, _)| *name == "grant_type");
    // Without a grant type nothing is redeemed: an app asks for a token in its own name.
    grant_type.is_none_or(|(_, value)| NOTHING_SPENT.iter().any(|known| value.matches(known)))
}

fn post(url: Url, request: &TokenRequest, signed: &Signed, lease: &LeaseWatch) -> Option<Request> {
    let content = match &request.content {
        Content::Form(form) => {
            let form: Vec<_> = form.iter().cloned().chain(signed.assertions.iter().filter_map(as_member)).collect();
            Some(("application/x-www-form-urlencoded", form_body(&form, &request.further)))
        }
        Content::Json(text) => Some(("application/json", text.expose().to_owned())),
        Content::None => None,
    };
    let mut post = Request::new(method(request), url);
    if let Some((kind, body)) = content {
        post.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
        *post.body_mut() = Some(Body::wrap(GuardedBody::new(body.into(), lease.clone())));
    }
    for (name, value) in &request.fields {
        post.headers_mut().insert(*name, HeaderValue::from_str(value).ok()?);
    }
    if let Some((name, value)) = &request.carried {
        post.headers_mut().insert(name.clone(), value.clone());
    }
    if let Some(proof) = &signed.proof {
        post.headers_mut().insert(PROOF, sensitive(proof)?);
    }
    if let Some(authorization) = request.authorization.clone().or_else(|| signed.assertions.iter().find_map(as_field)) {
        post.headers_mut().insert(AUTHORIZATION, sensitive(&authorization)?);
    }
    Some(post)
}

fn sensitive(value: &Secret) -> Option<HeaderValue> {
    let mut value = HeaderValue::from_str(value.expose()).ok()?;
    value.set_sensitive(true);
    Some(value)
}

fn as_member((place, jwt): &(AssertionPlace, Secret)) -> Option<(&'static str, Secret)> {
    match place {
        AssertionPlace::Bearer => None,
        AssertionPlace::Form(name) => Some((name, jwt.clone())),
    }
}

fn as_field((place, jwt): &(AssertionPlace, Secret)) -> Option<Secret> {
    match place {
        AssertionPlace::Bearer => Some(Secret::new(format!("Bearer {}", jwt.expose()))),
        AssertionPlace::Form(_) => None,
    }
}
