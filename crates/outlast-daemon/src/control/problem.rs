//! Errors of the control interface: problem documents (RFC 9457) with the code of what went wrong.

use super::typed;
use crate::proxy::{AnswerBody, retry_after, status, whole_seconds};
use http::header::RETRY_AFTER;
use http::{HeaderValue, Response, StatusCode};
use outlast::middleware::OUTLAST_CODE;
use outlast::{Code, LoginError, Timestamp, TokenError};
use serde_json::json;
use std::time::Duration;

/// What went wrong.
#[derive(Debug)]
pub(super) struct Problem {
    pub(super) code: Code,
    status: StatusCode,
    detail: String,
    retry_after: Option<Duration>,
}

impl Problem {
    /// A request that cannot be understood.
    pub(super) fn request(status: StatusCode, detail: &'static str) -> Self {
        Self { code: Code::RequestInvalid, status, detail: detail.to_owned(), retry_after: None }
    }

    /// A broken promise of ours.
    pub(super) fn internal(detail: &'static str) -> Self {
        let status = StatusCode::INTERNAL_SERVER_ERROR;
        Self { code: Code::Internal, status, detail: detail.to_owned(), retry_after: None }
    }

    /// There is no token.
    pub(super) fn token(error: &TokenError, now: Timestamp) -> Self {
        let code = error.code();
        let known = error.retry_at().map(|at| now.until(at));
        Self { code, status: status(code), detail: error.to_string(), retry_after: retry_after(code, known) }
    }

    /// Whoever asks may not begin a login.
    pub(super) fn no_logins() -> Self {
        let detail = "an agent begins no login here. Stop, and ask the owner of the grant to run: outlast login NAME; \
                      do not use another credential";
        let (code, status) = (Code::CapabilityRefused, StatusCode::FORBIDDEN);
        Self { code, status, detail: detail.to_owned(), retry_after: None }
    }

    /// A pasted address of no use, while the login goes on.
    pub(super) fn refused_paste(detail: String) -> Self {
        Self { code: Code::RequestInvalid, status: StatusCode::BAD_REQUEST, detail, retry_after: None }
    }

    /// A login brought nothing.
    pub(super) fn login(error: &LoginError) -> Self {
        let code = error.code();
        Self { code, status: status(code), detail: error.to_string(), retry_after: retry_after(code, None) }
    }

    /// The document.
    pub(super) fn answer(&self) -> Response<AnswerBody> {
        let seconds = self.retry_after.map(whole_seconds);
        let document = json!({
            "type": "about:blank",
            "title": self.code.as_str(),
            "status": self.status.as_u16(),
            "code": self.code.as_str(),
            "advice": self.code.advice().as_str(),
            "detail": self.detail,
            "retry_after": seconds,
        });
        let mut response = typed(self.status, "application/problem+json", document.to_string());
        response.headers_mut().insert(OUTLAST_CODE, HeaderValue::from_static(self.code.as_str()));
        if let Some(seconds) = seconds {
            response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}
