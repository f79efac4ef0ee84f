//! `GET /healthz`: the sidecar answers.

use super::typed;
use crate::proxy::AnswerBody;
use http::{Response, StatusCode};

pub(super) fn answer() -> Response<AnswerBody> {
    typed(StatusCode::OK, "text/plain; charset=utf-8", "ok\n")
}
