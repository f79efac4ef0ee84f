//! What an answer says of the work that was asked for.

use http::{HeaderMap, StatusCode};
use outlast::middleware::OUTLAST_CODE;
use outlast::task::Effect;

/// What an answer says of the work that was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// It is the answer, good or bad: given again when the request comes again.
    Answered,
    /// The work was not begun, or beginning it again does no harm: the request is sent again.
    Refused,
    /// Nobody knows whether the work was done.
    Unclear,
}

/// Reads the head of an answer.
///
/// A refusal of the credential, which Outlast marks, and "too early", "too slowly" or "too often" tell that
/// the work was not begun. An error of the server's tells nothing.
pub(crate) fn outcome(effect: Effect, status: StatusCode, headers: &HeaderMap) -> Outcome {
    let turned_away =
        matches!(status, StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_EARLY | StatusCode::TOO_MANY_REQUESTS);
    if turned_away || headers.contains_key(OUTLAST_CODE) {
        return Outcome::Refused;
    }
    match effect {
        Effect::Idempotent if status.is_server_error() => Outcome::Refused,
        Effect::Once if status.is_server_error() => Outcome::Unclear,
        Effect::Idempotent | Effect::Once => Outcome::Answered,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_answer_that_tells_of_the_work_is_its_outcome() {
        let plain = HeaderMap::new();
        let marked = HeaderMap::from_iter([(OUTLAST_CODE, "rejected-after-renewal".parse().unwrap())]);
        let table = [
            (200, &plain, Outcome::Answered, Outcome::Answered),
            (204, &plain, Outcome::Answered, Outcome::Answered),
            (302, &plain, Outcome::Answered, Outcome::Answered),
            (401, &plain, Outcome::Answered, Outcome::Answered),
            (404, &plain, Outcome::Answered, Outcome::Answered),
            (409, &plain, Outcome::Answered, Outcome::Answered),
            (401, &marked, Outcome::Refused, Outcome::Refused),
            (403, &marked, Outcome::Refused, Outcome::Refused),
            (408, &plain, Outcome::Refused, Outcome::Refused),
            (425, &plain, Outcome::Refused, Outcome::Refused),
            (429, &plain, Outcome::Refused, Outcome::Refused),
            (500, &plain, Outcome::Refused, Outcome::Unclear),
            (503, &plain, Outcome::Refused, Outcome::Unclear),
            (529, &plain, Outcome::Refused, Outcome::Unclear),
        ];
        for (status, headers, safe, unsafe_) in table {
            let status = StatusCode::from_u16(status).unwrap();
            assert_eq!(outcome(Effect::Idempotent, status, headers), safe, "{status} of what may be repeated");
            assert_eq!(outcome(Effect::Once, status, headers), unsafe_, "{status} of what may not");
        }
    }
}
