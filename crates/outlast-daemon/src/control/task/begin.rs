//! `POST /v1/tasks/{task}/steps/{key}/begin`: the step's output, or the right to run it. With `wait`, the
//! answer comes as soon as what keeps the step from beginning is gone: a person who has to sign in, another
//! client that runs it, the pause after a failure.

use super::super::body::{BODY_BYTES_MAX, read, wait, wrong};
use super::super::desk::{InUse, OpenStep};
use super::super::problem::Problem;
use super::super::{Answer, Control, json};
use super::{PATIENCE, admit, patience, running, seconds, step_key, told};
use crate::server::Connection;
use crate::task_api::{Begin, Begun, write_output};
use http::Request;
use hyper::body::Incoming;
use outlast::GrantId;
use outlast::task::{Begun as Started, Step, StepRun, TaskError};
use std::time::Duration;

/// Grants of one step.
const GRANTS_MAX: usize = 32;
/// Longest life that a step's tokens may be asked to have.
const MIN_TTL_MAX: Duration = Duration::from_secs(365 * 24 * 3600);

pub(in super::super) async fn answer(
    control: &Control,
    (task, key): (&str, &str),
    query: &str,
    request: Request<Incoming>,
) -> Answer {
    let id = admit(control, request.headers(), task)?;
    let (key, wait) = (step_key(key)?, wait(query)?);
    let connection = request.extensions().get::<Connection>().cloned();
    let wish: Begin = read(request, BODY_BYTES_MAX).await?;
    let grants = grants(control, &wish)?;
    let step = step(key.as_str(), &wish, &grants)?;
    let patience = patience(wish.patience)?;
    let deadline = control.now().plus(wait);
    let used = control.desk.open(&id, deadline).await?;
    used.make_room()?;
    let left = control.now().until(deadline);
    let begun = control.desk.while_running(used.task().begin_within(&step, Some(left))).await?;
    let answer = match begun {
        Ok(Started::Reuse(recorded)) => {
            let (output, output_base64) = write_output(recorded.bytes);
            Begun::Done { exit: recorded.exit, output, output_base64 }
        }
        Ok(Started::Run(run)) => {
            keep(control, &used, run, Wanted { patience, grants, owner: connection.filter(|_| wish.tied) })
        }
        Err(error) => return Err(refusal(control, &used, &step, &error)),
    };
    json(&answer)
}

fn grants(control: &Control, wish: &Begin) -> Result<Vec<GrantId>, Problem> {
    if wish.grants.len() > GRANTS_MAX {
        return Err(wrong("a step names at most 32 grants"));
    }
    wish.grants.iter().map(|name| Ok(control.grant(name)?.id().clone())).collect()
}

fn step(key: &str, wish: &Begin, grants: &[GrantId]) -> Result<Step, Problem> {
    let step = if wish.idempotent { Step::idempotent(key) } else { Step::once(key) };
    let step = step.map_err(|_| wrong("the step's key is not allowed"))?.grants(grants);
    let step = match &wish.input {
        Some(input) => step.input(input),
        None => step,
    };
    Ok(match seconds(wish.min_ttl, MIN_TTL_MAX, "min_ttl is at most 31536000 seconds")? {
        Some(life) => step.min_ttl(life),
        None => step,
    })
}

/// What was said of a step that is no part of it.
struct Wanted {
    patience: Option<Duration>,
    grants: Vec<GrantId>,
    owner: Option<Connection>,
}

fn keep(control: &Control, used: &InUse<'_>, run: StepRun, wanted: Wanted) -> Begun {
    let Wanted { patience, grants, owner } = wanted;
    let patience = patience.or(if owner.is_some() { None } else { Some(PATIENCE) });
    let begun = Begun::Begun {
        run: run.name(),
        attempt: run.attempt(),
        idempotency_key: run.idempotency_key(),
        patience: patience.map(|patience| patience.as_secs()),
    };
    let key = run.key().clone();
    used.keep(&key, OpenStep { run, patience, heard_at: control.now(), owner, grants });
    begun
}

fn refusal(control: &Control, used: &InUse<'_>, step: &Step, error: &TaskError) -> Problem {
    let problem = told(control, error);
    match error {
        TaskError::NotYet { .. } if used.is_open(step.key()) => running(step.key()),
        TaskError::Ambiguous { .. } => match used.let_go_why(step.key()) {
            Some(why) => problem.because(why),
            None => problem,
        },
        _ => problem,
    }
}
