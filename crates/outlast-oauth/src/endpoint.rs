//! Sends token requests over HTTP: the real [`TokenEndpoint`].

use crate::assertion::{self, KeyError};
use crate::exchange::{Exchange, Limits};
use crate::request::form_body;
use crate::server_clock::ServerClocks;
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderValue, Method};
use outlast_core::wire::{Answer, AssertionPlace, Content, Fault, Reply};
use outlast_core::{BoxFuture, Clock, Lease, Secret, TokenEndpoint, TokenRequest};
use reqwest::Request;
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
    exchange: Exchange,
    clock: Arc<dyn Clock>,
    servers: ServerClocks,
}

impl fmt::Debug for HttpTokenEndpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpTokenEndpoint").field("exchange", &self.exchange).finish_non_exhaustive()
    }
}

impl HttpTokenEndpoint {
    /// With the usual limits; `clock` is what JWTs are dated by where the server's is not known.
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self::with_limits(clock, Limits::default())
    }

    /// With other limits of time.
    pub fn with_limits(clock: Arc<dyn Clock>, limits: Limits) -> Self {
        Self { exchange: Exchange::new(limits), clock, servers: ServerClocks::default() }
    }

    /// Signs and sends `request`, once.
    async fn send_once(&self, request: &TokenRequest) -> Answer {
        let Ok(signed) = self.sign(request) else { return Answer::Unsent(Fault::Unsigned) };
        let certificate = request.certificate.as_ref();
        let answer = self.exchange.send(&request.endpoint, certificate, |url| post(url, request, &signed)).await;
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

    fn sign(&self, request: &TokenRequest) -> Result<Vec<(AssertionPlace, Secret)>, KeyError> {
        let now = self.servers.at(&origin(request), self.clock.now());
        let signed = request.assertions.iter().map(|each| Ok((each.place, assertion::sign(each, now)?)));
        signed.collect()
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
    fn send<'a>(&'a self, _lease: &'a Lease, request: &'a TokenRequest) -> BoxFuture<'a, Answer> {
        self.ask(request)
    }

    fn ask<'a>(&'a self, request: &'a TokenRequest) -> BoxFuture<'a, Answer> {
        Box::pin(async move {
            let answer = self.send_once(request).await;
            match &answer {
                Answer::Complete(reply) if self.was_misdated(request, reply) => self.send_once(request).await,
                Answer::Complete(_) | Answer::Lost(_) | Answer::Unsent(_) => answer,
            }
        })
    }
}

/// Clocks are kept by origin. An address that cannot be read is not sent to either.
fn origin(request: &TokenRequest) -> String {
    Url::parse(&request.endpoint).map_or_else(|_| String::new(), |url| url.origin().ascii_serialization())
}

fn refuses_credentials(reply: &Reply) -> bool {
    let error = serde_json::from_slice::<serde_json::Value>(&reply.body).ok();
    let error = error.as_ref().and_then(|body| body.get("error")).and_then(serde_json::Value::as_str);
    match reply.status {
        400 => matches!(error, Some("invalid_client" | "invalid_grant")),
        401 => true,
        _ => false,
    }
}

fn spends_nothing(request: &TokenRequest) -> bool {
    let grant_type = request.form_members().iter().find(|(name, _)| *name == "grant_type");
    // Without a grant type nothing is redeemed: an app asks for a token in its own name.
    grant_type.is_none_or(|(_, value)| NOTHING_SPENT.iter().any(|known| value.matches(known)))
}

fn post(url: Url, request: &TokenRequest, signed: &[(AssertionPlace, Secret)]) -> Option<Request> {
    let (method, content) = match &request.content {
        Content::Form(form) => {
            let form: Vec<_> = form.iter().cloned().chain(signed.iter().filter_map(as_member)).collect();
            (Method::POST, Some(("application/x-www-form-urlencoded", form_body(&form, &request.further))))
        }
        Content::Json(text) => (Method::POST, Some(("application/json", text.expose().to_owned()))),
        Content::None => (Method::GET, None),
    };
    let mut post = Request::new(method, url);
    if let Some((kind, body)) = content {
        post.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
        *post.body_mut() = Some(body.into());
    }
    for (name, value) in &request.fields {
        post.headers_mut().insert(*name, HeaderValue::from_str(value).ok()?);
    }
    if let Some(authorization) = request.authorization.clone().or_else(|| signed.iter().find_map(as_field)) {
        let mut value = HeaderValue::from_str(authorization.expose()).ok()?;
        value.set_sensitive(true);
        post.headers_mut().insert(AUTHORIZATION, value);
    }
    Some(post)
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
