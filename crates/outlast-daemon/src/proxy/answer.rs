//! Failures as answers. The text is read by agents as an instruction: it says wait, stop or mend,
//! and never points to another credential. Our own failures are never a 401, for that would send
//! some clients into a login of their own (R24).

use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderValue, Response, StatusCode};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full};
use outlast::middleware::OUTLAST_CODE;
use outlast::{Advice, Code, Timestamp, TokenError};
use std::time::Duration;

/// Whatever went wrong while a body was streamed.
pub(crate) type BodyError = Box<dyn std::error::Error + Send + Sync>;
/// The body of every answer.
pub(crate) type AnswerBody = UnsyncBoxBody<Bytes, BodyError>;

/// When to look again whether a person has signed in.
const RETRY_AFTER_PERSON: Duration = Duration::from_secs(60);
/// When to try again what may work at once.
const RETRY_SOON: Duration = Duration::from_secs(1);
/// When to try again where no better time is known.
const RETRY_LATER: Duration = Duration::from_secs(5);

/// Why a request is not answered by its upstream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Failure {
    pub(crate) status: StatusCode,
    pub(crate) code: Code,
    pub(crate) detail: String,
    pub(crate) retry_after: Option<Duration>,
}

impl Failure {
    /// A request that is malformed or not for this proxy.
    pub(crate) fn request(status: StatusCode, detail: &'static str) -> Self {
        Self { status, code: Code::RequestInvalid, detail: detail.to_owned(), retry_after: None }
    }

    /// There is no token to send a request with.
    pub(crate) fn token(error: &TokenError, now: Timestamp) -> Self {
        let code = error.code();
        let known = error.retry_at().map(|at| now.until(at));
        Self { status: status(code), code, detail: error.to_string(), retry_after: retry_after(code, known) }
    }

    /// The answer.
    pub(crate) fn answer(&self) -> Response<AnswerBody> {
        let body = Full::new(Bytes::from(format!("{}\n", self.detail)));
        let mut response = Response::new(body.map_err(|never| match never {}).boxed_unsync());
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        headers.insert(OUTLAST_CODE, HeaderValue::from_static(self.code.as_str()));
        if let Some(after) = self.retry_after {
            headers.insert(RETRY_AFTER, HeaderValue::from(whole_seconds(after)));
        }
        response
    }
}

/// The status of a failure, by what the caller should do about it.
pub(crate) fn status(code: Code) -> StatusCode {
    match code.advice() {
        Advice::AskUser | Advice::Retry | Advice::Wait => StatusCode::SERVICE_UNAVAILABLE,
        Advice::Decide => StatusCode::CONFLICT,
        Advice::FixConfig if code == Code::GrantUnknown || code == Code::TaskUnknown => StatusCode::NOT_FOUND,
        Advice::FixConfig if code == Code::OutputTooLarge => StatusCode::PAYLOAD_TOO_LARGE,
        Advice::FixConfig if code == Code::RequestInvalid => StatusCode::BAD_REQUEST,
        // The request and what is recorded contradict each other.
        Advice::FixConfig if code == Code::StepInputChanged => StatusCode::CONFLICT,
        // Nothing is broken here: the grant, as it is configured, is none to sign in to.
        Advice::FixConfig if code == Code::LoginUnavailable => StatusCode::CONFLICT,
        Advice::FixConfig | Advice::ReportBug => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

/// When it is worth trying again: as known, else as the advice suggests.
pub(crate) fn retry_after(code: Code, known: Option<Duration>) -> Option<Duration> {
    match code.advice() {
        Advice::AskUser => Some(known.unwrap_or(RETRY_AFTER_PERSON)),
        Advice::Retry => Some(known.unwrap_or(RETRY_SOON)),
        Advice::Wait => Some(known.unwrap_or(RETRY_LATER)),
        Advice::Decide | Advice::FixConfig | Advice::ReportBug => None,
    }
}

/// Whole seconds, rounded up: a client that waits that long does not come too early.
pub(crate) fn whole_seconds(duration: Duration) -> u64 {
    duration.as_secs() + u64::from(duration.subsec_nanos() > 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use outlast::{Cause, GrantId};

    fn crm() -> GrantId {
        GrantId::parse("crm").unwrap()
    }

    #[test]
    fn r24_no_failure_of_ours_is_a_401() {
        for code in Code::ALL {
            assert_ne!(status(*code), StatusCode::UNAUTHORIZED, "{code}");
            assert!(status(*code).is_client_error() || status(*code).is_server_error(), "{code}");
        }
    }

    #[test]
    fn r24_a_parked_grant_is_503_with_a_time_and_text_that_says_wait_or_stop() {
        let error = TokenError::NeedsUser { grant: crm(), cause: Cause::Dead };
        let answer = Failure::token(&error, Timestamp::from_secs(1)).answer();
        assert_eq!(answer.status(), 503);
        assert_eq!(answer.headers()["retry-after"], "60");
        assert_eq!(answer.headers()["outlast-code"], "needs-user");
        assert_eq!(answer.headers()["content-type"], "text/plain; charset=utf-8");
        assert!(!answer.headers().contains_key("www-authenticate"));
        let text = Failure::token(&error, Timestamp::from_secs(1)).detail;
        assert!(text.contains("Stop or wait") && text.contains("do not use another credential"), "{text}");
    }

    #[test]
    fn a_pause_says_when_it_ends_rounded_up() {
        let error = TokenError::CoolingDown { grant: crm(), until: Timestamp::from_millis(4_100), trouble: None };
        let failure = Failure::token(&error, Timestamp::from_millis(1_000));
        assert_eq!(failure.status, 503);
        assert_eq!(failure.answer().headers()["retry-after"], "4");
    }

    #[test]
    fn a_mistake_in_the_configuration_names_no_time_to_try_again() {
        let error = TokenError::GrantUnknown { grant: "x".to_owned() };
        assert_eq!(Failure::token(&error, Timestamp::from_secs(1)).retry_after, None);
        assert_eq!(Failure::token(&error, Timestamp::from_secs(1)).status, 404);
    }
}
