//! Errors of the control interface: problem documents (RFC 9457) with the code of what went wrong.

use super::typed;
use crate::proxy::{AnswerBody, Failure, retry_after, status, whole_seconds};
use http::header::{ALLOW, RETRY_AFTER};
use http::{HeaderValue, Response, StatusCode};
use outlast::middleware::OUTLAST_CODE;
use outlast::task::TaskError;
use outlast::{Code, LoginError, Timestamp, TokenError};
use serde::Serialize;
use std::time::Duration;

/// A problem document (RFC 9457).
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(super) struct ProblemDocument<'a> {
    /// Always `about:blank`.
    #[serde(rename = "type")]
    kind: &'a str,
    /// The same as `code`.
    title: &'a str,
    /// The HTTP status.
    status: u16,
    /// What went wrong: a stable word with a page in `docs/errors/`.
    code: &'a str,
    /// What to do about it: `ask-user`, `decide`, `fix-config`, `report-bug`, `retry` or `wait`.
    advice: &'a str,
    /// The same in words that are safe for agents to read.
    detail: &'a str,
    /// The seconds after which it is worth trying again, where waiting helps.
    retry_after: Option<u64>,
}

/// What went wrong.
#[derive(Debug)]
pub(super) struct Problem {
    pub(super) code: Code,
    status: StatusCode,
    detail: String,
    retry_after: Option<Duration>,
    /// The methods that the path takes, where it does not take this one.
    methods: Option<String>,
}

impl Problem {
    /// A request that cannot be understood.
    pub(super) fn request(status: StatusCode, detail: &'static str) -> Self {
        Self { code: Code::RequestInvalid, status, detail: detail.to_owned(), retry_after: None, methods: None }
    }

    /// A broken promise of ours.
    pub(super) fn internal(detail: &'static str) -> Self {
        let status = StatusCode::INTERNAL_SERVER_ERROR;
        Self { code: Code::Internal, status, detail: detail.to_owned(), retry_after: None, methods: None }
    }

    /// Any other.
    pub(super) fn of(status: StatusCode, code: Code, detail: impl Into<String>) -> Self {
        Self { code, status, detail: detail.into(), retry_after: retry_after(code, None), methods: None }
    }

    /// A task cannot go on.
    pub(super) fn task(error: &TaskError, now: Timestamp) -> Self {
        let code = error.code();
        let known = error.retry_at().map(|at| now.until(at));
        let status = match error {
            // Nothing is wrong with the request: what is recorded stands against it.
            TaskError::NothingToResolve { .. } => StatusCode::CONFLICT,
            _ => status(code),
        };
        let (detail, retry_after) = (error.to_string(), retry_after(code, known));
        Self { code, status, detail, retry_after, methods: None }
    }

    /// The caller's capability does not reach so far.
    pub(super) fn refused(failure: Failure) -> Self {
        let Failure { status, code, detail, retry_after } = failure;
        Self { code, status, detail, retry_after, methods: None }
    }

    /// A method that the path does not take.
    pub(super) fn method(methods: String) -> Self {
        let refused = Self::request(StatusCode::METHOD_NOT_ALLOWED, "this path does not take that method");
        Self { methods: Some(methods), ..refused }
    }

    /// A name, key or output that is not allowed.
    pub(super) fn name(detail: &'static str) -> Self {
        Self::request(StatusCode::BAD_REQUEST, detail)
    }

    /// With more to say.
    pub(super) fn because(self, why: &str) -> Self {
        Self { detail: format!("{} ({why})", self.detail), ..self }
    }

    /// There is no token.
    pub(super) fn token(error: &TokenError, now: Timestamp) -> Self {
        let code = error.code();
        let known = error.retry_at().map(|at| now.until(at));
        Self {
            code,
            status: status(code),
            detail: error.to_string(),
            retry_after: retry_after(code, known),
            methods: None,
        }
    }

    /// Whoever asks may not begin a login.
    pub(super) fn no_logins() -> Self {
        let detail = "an agent begins no login here. Stop, and ask the owner of the grant to run: outlast login NAME; \
                      do not use another credential";
        let (code, status) = (Code::CapabilityRefused, StatusCode::FORBIDDEN);
        Self { code, status, detail: detail.to_owned(), retry_after: None, methods: None }
    }

    /// A pasted address of no use, while the login goes on.
    pub(super) fn refused_paste(detail: String) -> Self {
        Self { code: Code::RequestInvalid, status: StatusCode::BAD_REQUEST, detail, retry_after: None, methods: None }
    }

    /// A login brought nothing.
    pub(super) fn login(error: &LoginError) -> Self {
        let code = error.code();
        Self {
            code,
            status: status(code),
            detail: error.to_string(),
            retry_after: retry_after(code, None),
            methods: None,
        }
    }

    /// The document.
    pub(super) fn answer(&self) -> Response<AnswerBody> {
        let seconds = self.retry_after.map(whole_seconds);
        let document = ProblemDocument {
            kind: "about:blank",
            title: self.code.as_str(),
            status: self.status.as_u16(),
            code: self.code.as_str(),
            advice: self.code.advice().as_str(),
            detail: &self.detail,
            retry_after: seconds,
        };
        // Words and numbers can always be written.
        let document = serde_json::to_string(&document).unwrap_or_default();
        let mut response = typed(self.status, "application/problem+json", document);
        response.headers_mut().insert(OUTLAST_CODE, HeaderValue::from_static(self.code.as_str()));
        if let Some(seconds) = seconds {
            response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
        if let Some(methods) = self.methods.as_deref().and_then(|methods| HeaderValue::from_str(methods).ok()) {
            response.headers_mut().insert(ALLOW, methods);
        }
        response
    }
}
