//! The injecting proxy: gate, admit, route, strip, authorize, forward. In this order.

mod admit;
mod answer;
mod forward;
mod gate;
mod recorded;
mod route;
mod signed_in;
mod step;
mod strip;

pub(crate) use admit::{Admission, Capabilities, draw, shows_capability};
pub(crate) use answer::{AnswerBody, Failure, retry_after, status, whole_seconds};
pub(crate) use strip::OUTLAST_REPLAYED;

use crate::control::Desk;
use crate::metrics::Metrics;
use forward::{Asked, SendError, Upstream};
use http::{HeaderMap, Request, Response, StatusCode, Uri};
use http_body_util::{BodyExt, Either};
use hyper::body::Incoming;
use outlast::middleware::{AuthorizeError, OUTLAST_CODE, OUTLAST_REPLAY, PeekedBody, Policy, authorize};
use outlast::{Clock, Code, GrantHandle, GrantId, Keeper, Timestamp};
use signed_in::WhileSignedIn;
use std::collections::BTreeMap;
use std::sync::Arc;

/// The address of a path, with its query, at an upstream.
pub(crate) fn address(upstream: &Uri, path: &str) -> Result<Uri, String> {
    let (path, query) = path.split_once('?').map_or((path, None), |(path, query)| (path, Some(query)));
    route::target(upstream, path, query).map_err(|failure| failure.detail)
}

/// The proxy, as all its connections share it.
pub(crate) struct Proxy {
    routes: BTreeMap<GrantId, Arc<Route>>,
    capabilities: Arc<Capabilities>,
    metrics: Arc<Metrics>,
    clock: Arc<dyn Clock>,
    policy: Policy,
    port: u16,
    desk: Arc<Desk>,
}

/// One grant and the one place its token goes.
struct Route {
    handle: GrantHandle,
    upstream: Option<(Uri, Upstream)>,
}

type Answered = Response<PeekedBody<Incoming>>;

impl Route {
    /// Sends a request that is addressed to the upstream, with the grant's token.
    async fn send(&self, policy: &Policy, request: Request<Asked>) -> Result<Answered, AuthorizeError<SendError>> {
        let once = request.headers().contains_key(OUTLAST_REPLAY);
        // A route without an upstream is given no request.
        let Some((_, upstream)) = &self.upstream else { return Err(AuthorizeError::Send(SendError::Timeout)) };
        authorize(&self.handle, policy, request, |request| upstream.send(request, once)).await
    }
}

/// What a proxy is made with.
pub(crate) struct Parts {
    pub(crate) keeper: Keeper,
    pub(crate) capabilities: Arc<Capabilities>,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) policy: Policy,
    pub(crate) port: u16,
    pub(crate) desk: Arc<Desk>,
}

impl Proxy {
    /// Prepares a route for each grant of the keeper.
    ///
    /// # Errors
    /// If there is an https upstream and the platform's trust cannot be had.
    pub(crate) fn new(parts: Parts) -> Result<Self, rustls::Error> {
        let handles = parts.keeper.grants().filter_map(|id| parts.keeper.grant(id).ok());
        let handles: Vec<GrantHandle> = handles.collect();
        let secure =
            |handle: &GrantHandle| handle.settings().upstream.as_ref().and_then(Uri::scheme_str) == Some("https");
        let tls = forward::tls(handles.iter().any(secure))?;
        let route = |handle: GrantHandle| {
            let upstream = handle.settings().upstream.clone();
            let upstream = upstream.map(|origin| (origin, Upstream::new(tls.clone())));
            (handle.id().clone(), Arc::new(Route { handle, upstream }))
        };
        Ok(Self {
            routes: handles.into_iter().map(route).collect(),
            capabilities: parts.capabilities,
            metrics: parts.metrics,
            clock: parts.clock,
            policy: parts.policy,
            port: parts.port,
            desk: parts.desk,
        })
    }

    /// Answers one request, whatever comes.
    pub(crate) async fn answer(&self, request: Request<Incoming>) -> Response<AnswerBody> {
        self.metrics.request();
        let response = self.pass(request).await.unwrap_or_else(|failure| {
            self.metrics.failure(failure.code);
            tracing::debug!(code = %failure.code, status = failure.status.as_u16(), "request not passed on");
            failure.answer()
        });
        self.metrics.answered(response.status());
        response
    }

    async fn pass(&self, mut request: Request<Incoming>) -> Result<Response<AnswerBody>, Failure> {
        let (route, recorder, target) = {
            let (mut head, body) = request.into_parts();
            gate::check(&head, self.port)?;
            // Who shows no capability does not even learn which grants there are.
            let admission = self.capabilities.admit(&head.headers)?;
            let (grant, rest) = route::split(head.uri.path())?;
            let route = self.routes.get(&grant).ok_or_else(route::unknown_grant)?;
            admission.covers(&grant)?;
            let (origin, _) = route.upstream.as_ref().ok_or_else(|| no_upstream(&grant))?;
            let target = route::target(origin, rest, head.uri.query())?;
            step::mark(&mut head.headers, &admission, &self.desk)?;
            request = Request::from_parts(head, body);
            (route, admission.recorder, target)
        };
        strip::request(request.headers_mut(), route.handle.settings().presentation.field());
        *request.uri_mut() = target;
        if let Some(recorder) = recorder {
            let response = self.pass_recorded(&recorder, route, request).await?;
            return Ok(response.map(|body| WhileSignedIn::new(body, &route.handle).boxed_unsync()));
        }
        let sent = route.send(&self.policy, request.map(Either::Left)).await;
        let response = sent.map_err(|error| failure(&error, self.clock.now()))?;
        self.note_refusal(response.headers());
        Ok(response.map(|body| WhileSignedIn::new(body.map_err(Into::into), &route.handle).boxed_unsync()))
    }

    /// Counts a refusal that the upstream gave and that could not be mended.
    fn note_refusal(&self, headers: &HeaderMap) {
        let code = headers.get(OUTLAST_CODE).and_then(|value| value.to_str().ok()).and_then(Code::parse);
        if let Some(code) = code {
            self.metrics.failure(code);
        }
    }
}

/// Why a request got no answer of its upstream.
fn failure(error: &AuthorizeError<SendError>, now: Timestamp) -> Failure {
    match error {
        AuthorizeError::Send(error) => error.failure(),
        AuthorizeError::Token(error) => Failure::token(error, now),
        _ => Failure {
            status: StatusCode::INTERNAL_SERVER_ERROR,
            code: Code::Internal,
            detail: "the request could not be passed on. Stop and report it".to_owned(),
            retry_after: None,
        },
    }
}

fn no_upstream(grant: &GrantId) -> Failure {
    Failure {
        status: StatusCode::FORBIDDEN,
        code: Code::UpstreamRefused,
        detail: format!(
            "grant {grant} has no upstream, so its token is sent nowhere. The person who runs Outlast can set \
             `upstream` in [grant.{grant}] of the configuration; stop until then"
        ),
        retry_after: None,
    }
}
