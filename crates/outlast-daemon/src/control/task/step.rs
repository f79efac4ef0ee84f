//! `GET /v1/tasks/{task}/steps/{key}`: how a step stands, and what it brought.

use super::super::problem::Problem;
use super::super::{Answer, Control, json};
use super::{admit, step_key, told};
use crate::task_api::{StepShown, StepWord, write_output};
use http::Request;
use hyper::body::Incoming;
use outlast::task::{Effect, Recorded, StepState, StepView, TaskError, TaskId};

pub(in super::super) async fn answer(
    control: &Control,
    (task, key): (&str, &str),
    request: &Request<Incoming>,
) -> Answer {
    let id = admit(control, request.headers(), task)?;
    let key = step_key(key)?;
    let tasks = control.keeper.tasks();
    let (summary, view) = tasks.show(&id).await.map_err(|error| told(control, &error))?;
    let unknown = || told(control, &TaskError::StepUnknown { task: id.clone(), key: key.clone() });
    let step = view.step(&key).ok_or_else(unknown)?;
    let elsewhere = summary.stand == outlast::task::Stand::Running && control.desk.held(&id).is_none();
    let running = elsewhere || control.desk.held(&id).is_some_and(|used| used.is_open(&key));
    let recorded = output(control, &id, step).await?;
    json(&shown(step, running, recorded))
}

async fn output(control: &Control, id: &TaskId, step: &StepView) -> Result<Option<Recorded>, Problem> {
    match step.state {
        StepState::Done { .. } => {
            control.keeper.tasks().output(id, &step.key).await.map_err(|error| told(control, &error))
        }
        StepState::Failed { .. } | StepState::Rerun | StepState::Started { .. } => Ok(None),
    }
}

fn shown(step: &StepView, running: bool, recorded: Option<Recorded>) -> StepShown {
    let (state, since, reason) = match &step.state {
        StepState::Done { at, .. } => (StepWord::Done, Some(at), None),
        StepState::Failed { at, reason } if step.is_poisoned() => (StepWord::Poisoned, Some(at), Some(reason)),
        StepState::Failed { at, reason } => (StepWord::Failed, Some(at), Some(reason)),
        StepState::Rerun => (StepWord::Rerun, None, None),
        StepState::Started { at, .. } if running => (StepWord::Running, Some(at), None),
        StepState::Started { at, effect: Effect::Once, .. } => (StepWord::Ambiguous, Some(at), None),
        StepState::Started { at, effect: Effect::Idempotent, .. } => (StepWord::Rerun, Some(at), None),
    };
    let exit = recorded.as_ref().and_then(|recorded| recorded.exit);
    let (output, output_base64) = recorded.map_or((None, None), |recorded| write_output(recorded.bytes));
    StepShown {
        key: step.key.as_str().to_owned(),
        state,
        starts: step.starts,
        failures: step.failures,
        since: since.map(|at| at.as_secs()),
        reason: reason.cloned(),
        exit,
        output,
        output_base64,
    }
}
