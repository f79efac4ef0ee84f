//! A request that belongs to a step of a task: it names the step in `Outlast-Step`, and reaches the upstream
//! with the step's key in `Idempotency-Key`, the same in every attempt.

use super::admit::Admission;
use super::answer::Failure;
use crate::control::Desk;
use http::header::HeaderName;
use http::{HeaderMap, HeaderValue, StatusCode};
use outlast::Code;
use outlast::task::{StepKey, TaskId};

/// The step that a request belongs to, percent-encoded as in an address.
pub(crate) const OUTLAST_STEP: HeaderName = HeaderName::from_static("outlast-step");
/// Its task, where the sidecar or the capability is not for one task alone.
pub(crate) const OUTLAST_TASK: HeaderName = HeaderName::from_static("outlast-task");
const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// Sets the field that names the request's step to the upstream, where the request asks for it; what it asks with
/// is taken out.
pub(crate) fn mark(headers: &mut HeaderMap, admission: &Admission, desk: &Desk) -> Result<(), Failure> {
    let (step, task) = (taken(headers, &OUTLAST_STEP)?, taken(headers, &OUTLAST_TASK)?);
    let Some(step) = step else { return Ok(()) };
    let key = StepKey::parse(&step).map_err(wrong)?;
    let task =
        match task {
            Some(name) => TaskId::parse(&name).map_err(wrong)?,
            None => admission.task().or(desk.only()).cloned().ok_or_else(|| {
                wrong("the request names a step and no task: name the task in the field Outlast-Task")
            })?,
        };
    admission.reaches(&task)?;
    if desk.only().is_some_and(|only| *only != task) {
        return Err(wrong("the task is not the one that this sidecar was started for"));
    }
    if headers.contains_key(IDEMPOTENCY_KEY) {
        return Err(wrong("the request has an Idempotency-Key of its own and names a step: send one of them"));
    }
    let named = desk.idempotency_key(&task, &key).and_then(|name| HeaderValue::from_str(&name).ok());
    let named = named.ok_or_else(|| Failure {
        status: StatusCode::CONFLICT,
        code: Code::StepLetGo,
        detail: format!("step {key} of task {task} does not run here: begin it first. Nothing was sent"),
        retry_after: None,
    })?;
    headers.insert(IDEMPOTENCY_KEY, named);
    Ok(())
}

fn taken(headers: &mut HeaderMap, name: &HeaderName) -> Result<Option<String>, Failure> {
    if headers.get_all(name).iter().nth(1).is_some() {
        return Err(wrong("the request names two steps or two tasks"));
    }
    let Some(value) = headers.remove(name) else { return Ok(None) };
    let text = value.to_str().ok().and_then(crate::control::percent_decoded);
    text.map(Some).ok_or_else(|| wrong("Outlast-Step and Outlast-Task are percent-encoded as in an address"))
}

fn wrong(detail: &'static str) -> Failure {
    Failure::request(StatusCode::BAD_REQUEST, detail)
}
