//! The control interface on the unix socket: one file per verb.

mod capabilities;
mod grants;
mod health;
mod login;
mod logins;
mod metrics;
mod problem;
mod socket;
mod token;

pub(crate) use logins::Logins;
pub(crate) use socket::ControlSocket;

use crate::metrics::Metrics;
use crate::proxy::{AnswerBody, Capabilities};
use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use outlast::{Clock, GrantHandle, GrantId, Keeper, Timestamp, TokenError};
use problem::Problem;
use std::sync::Arc;

/// The control interface, as all its connections share it.
pub(crate) struct Control {
    pub(crate) keeper: Keeper,
    pub(crate) capabilities: Arc<Capabilities>,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) clock: Arc<dyn Clock>,
    /// Those that go on or have ended; none where nobody may begin one here.
    pub(crate) logins: Option<Logins>,
    /// The proxy's address, as clients write it.
    pub(crate) url: String,
}

type Answer = Result<Response<AnswerBody>, Problem>;

impl Control {
    /// Answers one request.
    pub(crate) async fn answer(&self, request: Request<Incoming>) -> Response<AnswerBody> {
        self.metrics.control_request();
        let mut response = self.dispatch(request).await.unwrap_or_else(|problem| {
            self.metrics.failure(problem.code);
            problem.answer()
        });
        response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        response
    }

    async fn dispatch(&self, request: Request<Incoming>) -> Answer {
        let path = request.uri().path().to_owned();
        let segments: Vec<&str> = path.split('/').skip(1).collect();
        let query = request.uri().query().unwrap_or_default().to_owned();
        let get = request.method() == Method::GET;
        match segments.as_slice() {
            ["healthz"] if get => Ok(health::answer()),
            ["metrics"] if get => metrics::answer(self).await,
            ["v1", "grants"] if get => grants::list(self).await,
            ["v1", "grants", name] if get => grants::one(self, name).await,
            ["v1", "grants", name, "token"] if get => token::answer(self, name, &query).await,
            ["v1", "grants", name, "login"] => login::answer(self, name, &query, request).await,
            ["v1", "capabilities"] if request.method() == Method::POST => capabilities::mint(self, request).await,
            ["healthz" | "metrics"]
            | ["v1", "grants" | "capabilities"]
            | ["v1", "grants", _]
            | ["v1", "grants", _, "token"] => {
                Err(Problem::request(StatusCode::METHOD_NOT_ALLOWED, "this path does not take that method"))
            }
            _ => Err(Problem::request(StatusCode::NOT_FOUND, "no such path in the control interface")),
        }
    }

    fn grant(&self, name: &str) -> Result<GrantHandle, Problem> {
        let unknown = || self.problem(&TokenError::GrantUnknown { grant: name.chars().take(64).collect() });
        let id = GrantId::parse(name).map_err(|_| unknown())?;
        self.keeper.grant(&id).map_err(|error| self.problem(&error))
    }

    fn now(&self) -> Timestamp {
        self.clock.now()
    }

    fn problem(&self, error: &TokenError) -> Problem {
        Problem::token(error, self.now())
    }
}

/// An answer of JSON.
fn json(value: &impl serde::Serialize) -> Answer {
    let text = serde_json::to_vec(value).map_err(|_| Problem::internal("an answer could not be written"))?;
    Ok(typed(StatusCode::OK, "application/json", text))
}

/// An answer of some type.
fn typed(status: StatusCode, content_type: &'static str, body: impl Into<Bytes>) -> Response<AnswerBody> {
    let body = Full::new(body.into()).map_err(|never| match never {}).boxed_unsync();
    let mut response = Response::new(body);
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}
