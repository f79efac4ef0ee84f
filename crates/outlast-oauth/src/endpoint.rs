//! Sends token requests over HTTP: the real [`TokenEndpoint`].

use crate::exchange::{Exchange, Limits};
use crate::request::form_body;
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderValue, Method};
use outlast_core::wire::{Answer, Content};
use outlast_core::{BoxFuture, Lease, TokenEndpoint, TokenRequest};
use reqwest::Request;
use url::Url;

/// A token endpoint reached over HTTP. Follows no redirect, asks no proxy, decodes nothing, retries
/// nothing, and keeps to limits of time and size; see [`Limits`] and
/// [`BODY_BYTES_MAX`](crate::BODY_BYTES_MAX).
///
/// Making one costs nothing: the client behind it is built by the first request.
#[derive(Debug, Default)]
pub struct HttpTokenEndpoint {
    exchange: Exchange,
}

impl HttpTokenEndpoint {
    /// With the usual limits.
    pub fn new() -> Self {
        Self::default()
    }

    /// With other limits of time.
    pub fn with_limits(limits: Limits) -> Self {
        Self { exchange: Exchange::new(limits) }
    }
}

impl TokenEndpoint for HttpTokenEndpoint {
    fn send<'a>(&'a self, _lease: &'a Lease, request: &'a TokenRequest) -> BoxFuture<'a, Answer> {
        self.ask(request)
    }

    fn ask<'a>(&'a self, request: &'a TokenRequest) -> BoxFuture<'a, Answer> {
        Box::pin(async move {
            let answer = self.exchange.send(&request.endpoint, |url| post(url, request)).await;
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
        })
    }
}

fn post(url: Url, request: &TokenRequest) -> Option<Request> {
    let mut post = Request::new(Method::POST, url);
    let (kind, body) = match &request.content {
        Content::Form(form) => ("application/x-www-form-urlencoded", form_body(form)),
        Content::Json(text) => ("application/json", text.expose().to_owned()),
    };
    post.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    for (name, value) in &request.fields {
        post.headers_mut().insert(*name, HeaderValue::from_str(value).ok()?);
    }
    if let Some(authorization) = &request.authorization {
        let mut value = HeaderValue::from_str(authorization.expose()).ok()?;
        value.set_sensitive(true);
        post.headers_mut().insert(AUTHORIZATION, value);
    }
    *post.body_mut() = Some(body.into());
    Some(post)
}
