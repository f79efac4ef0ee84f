//! The control interface on the unix socket: one file per verb.

mod body;
mod capabilities;
mod desk;
mod grants;
mod health;
mod login;
mod logins;
mod metrics;
#[cfg(test)]
mod openapi;
mod problem;
mod route;
mod socket;
mod task;
mod token;

pub(crate) use body::percent_decoded;
pub(crate) use desk::Desk;
pub use desk::TaskReach;
pub(crate) use logins::Logins;
pub(crate) use socket::ControlSocket;

use crate::metrics::Metrics;
use crate::proxy::{AnswerBody, Capabilities};
use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderValue, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use outlast::{Clock, GrantHandle, GrantId, Keeper, Timestamp, TokenError};
use problem::Problem;
use route::{Found, Verb};
use std::sync::Arc;
use tokio::sync::Semaphore;

/// Bodies with outputs that are read at once: each may be large.
pub(crate) const OUTPUTS_AT_ONCE_MAX: usize = 4;

/// The control interface, as all its connections share it.
pub(crate) struct Control {
    pub(crate) keeper: Keeper,
    pub(crate) capabilities: Arc<Capabilities>,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) clock: Arc<dyn Clock>,
    /// Those that go on or have ended; none where nobody may begin one here.
    pub(crate) logins: Option<Logins>,
    /// The tasks that clients run here.
    pub(crate) desk: Arc<Desk>,
    /// Places for bodies with outputs.
    pub(crate) outputs: Semaphore,
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
        let query = request.uri().query().unwrap_or_default().to_owned();
        let (verb, first, second) = match route::find(request.method(), &path) {
            Found::Verb(verb, first, second) => (verb, first, second),
            Found::OtherMethods(methods) => return Err(Problem::method(methods)),
            Found::Nothing => {
                return Err(Problem::request(StatusCode::NOT_FOUND, "no such path in the control interface"));
            }
        };
        match verb {
            Verb::CapabilityMint => capabilities::mint(self, request).await,
            Verb::Grant => grants::one(self, first).await,
            Verb::Grants => grants::list(self).await,
            Verb::Health => Ok(health::answer()),
            Verb::LoginBegin | Verb::LoginCancel | Verb::LoginShow => login::answer(self, first, &query, request).await,
            Verb::Metrics => metrics::answer(self).await,
            Verb::StepBegin => task::begin::answer(self, (first, second), &query, request).await,
            Verb::StepComplete => task::complete::answer(self, (first, second), request).await,
            Verb::StepFail => task::fail::answer(self, (first, second), request).await,
            Verb::StepHeartbeat => task::heartbeat::answer(self, (first, second), request).await,
            Verb::StepResolve => task::resolve::answer(self, (first, second), request).await,
            Verb::StepShow => task::step::answer(self, (first, second), &request).await,
            Verb::TaskClose => task::close::answer(self, first, request).await,
            Verb::TaskDelete => task::delete::answer(self, first, request).await,
            Verb::TaskShow => task::show::answer(self, first, &query, &request).await,
            Verb::Tasks => task::list::answer(self, &request).await,
            Verb::Token => token::answer(self, first, &query).await,
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
