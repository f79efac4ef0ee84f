//! `POST /v1/tasks/{task}/steps/{key}/fail`: the step failed. What comes next follows from the code alone.

use super::super::body::{BODY_BYTES_MAX, read, wrong};
use super::super::problem::Problem;
use super::super::{Answer, Control, json};
use super::{admit, existing, over, run, seconds, step_key, told};
use crate::task_api::{Fail, Failed};
use http::Request;
use hyper::body::Incoming;
use outlast::Code;
use outlast::task::{Ended, Failure};
use std::time::Duration;

/// Longest reason that is recorded.
const REASON_CHARS_MAX: usize = 500;
/// Longest pause that a server may ask for.
const PAUSE_MAX: Duration = Duration::from_secs(24 * 3600);

pub(in super::super) async fn answer(
    control: &Control,
    (task, key): (&str, &str),
    request: Request<Incoming>,
) -> Answer {
    let id = admit(control, request.headers(), task)?;
    let key = step_key(key)?;
    let said: Fail = read(request, BODY_BYTES_MAX).await?;
    let failure = failure(&said)?;
    let used = existing(control, &id).await?;
    let Some(step) = run(control, &used, &key, &said.run).await? else {
        return Err(over(control, &used, &key).await);
    };
    let ended = step.run.fail(failure).await.map_err(|error| told(control, &error))?;
    json(&match ended {
        Ended::Again { pause } => Failed::Again { retry_after: pause.map(|pause| pause.as_secs()) },
        Ended::GivenUp(error) => Failed::GivenUp {
            code: error.code().as_str().to_owned(),
            advice: error.code().advice().as_str().to_owned(),
            detail: error.to_string(),
        },
    })
}

fn failure(said: &Fail) -> Result<Failure, Problem> {
    // It is shown on terminals.
    let reason: String =
        said.reason.chars().map(|c| if c.is_control() { ' ' } else { c }).take(REASON_CHARS_MAX).collect();
    let failure = if said.undone { Failure::undone(reason) } else { Failure::unclear(reason) };
    let failure = match &said.code {
        Some(code) => failure.code(Code::parse(code).ok_or_else(|| wrong("code is none of Outlast's codes"))?),
        None => failure,
    };
    Ok(match seconds(said.retry_after, PAUSE_MAX, "retry_after is at most 86400 seconds")? {
        Some(pause) => failure.retry_after(pause),
        None => failure,
    })
}
