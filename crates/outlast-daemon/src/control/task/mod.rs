//! `/v1/tasks`: steps of tasks for programs in any language. One file per verb.
//!
//! Who asks here runs steps. Who decides on them, or deletes a task, is its owner and nobody else: an agent
//! that was handed the socket of `outlast run`, or that shows a capability, must not decide that what is in
//! doubt be done again.

pub(super) mod begin;
pub(super) mod close;
pub(super) mod complete;
pub(super) mod delete;
pub(super) mod fail;
pub(super) mod heartbeat;
pub(super) mod list;
pub(super) mod resolve;
pub(super) mod show;
pub(super) mod step;

use super::Control;
use super::body::{decode, wrong};
use super::desk::{InUse, OpenStep, TaskReach};
use super::problem::Problem;
use crate::proxy::shows_capability;
use http::{HeaderMap, StatusCode};
use outlast::Code;
use outlast::task::{StepKey, StepState, TaskError, TaskId};
use std::time::Duration;

/// Shortest and longest patience with a client.
const PATIENCE_MIN: Duration = Duration::from_secs(1);
const PATIENCE_MAX: Duration = Duration::from_secs(24 * 3600);
/// Patience where nothing is said of it.
const PATIENCE: Duration = Duration::from_secs(60);
/// Largest body that brings an output: 64 MiB in base64, and a little.
const OUTPUT_BODY_BYTES_MAX: usize = 90 * 1024 * 1024;

/// The task that a path names, if whoever asks reaches it.
fn admit(control: &Control, headers: &HeaderMap, name: &str) -> Result<TaskId, Problem> {
    let id = TaskId::parse(&decode(name)?).map_err(Problem::name)?;
    reach(control, headers, &id)?;
    Ok(id)
}

fn reach(control: &Control, headers: &HeaderMap, id: &TaskId) -> Result<(), Problem> {
    let reached = match control.desk.reach() {
        TaskReach::All => true,
        TaskReach::Nothing => false,
        TaskReach::Only(task) => task.id() == id,
    };
    if !reached {
        return Err(Problem::of(
            StatusCode::FORBIDDEN,
            Code::CapabilityRefused,
            format!(
                "this sidecar does not open task {id} to the program that it was started for. Stop, or have the program \
                 started with: outlast run --task {id}"
            ),
        ));
    }
    if shows_capability(headers) {
        control.capabilities.admit(headers).and_then(|admission| admission.reaches(id)).map_err(Problem::refused)?;
    }
    Ok(())
}

/// Only an owner decides.
fn admit_owner(control: &Control, headers: &HeaderMap) -> Result<(), Problem> {
    let owner = matches!(control.desk.reach(), TaskReach::All) && !shows_capability(headers);
    if owner {
        return Ok(());
    }
    let detail = "an agent does not decide on steps and deletes no task. Stop, and have a person look; then: outlast \
                  task resolve TASK KEY --done, or --rerun";
    Err(Problem::of(StatusCode::FORBIDDEN, Code::CapabilityRefused, detail))
}

fn step_key(segment: &str) -> Result<StepKey, Problem> {
    StepKey::parse(&decode(segment)?).map_err(Problem::name)
}

fn patience(seconds: Option<u64>) -> Result<Option<Duration>, Problem> {
    let Some(seconds) = seconds else { return Ok(None) };
    let patience = Duration::from_secs(seconds);
    let allowed = (PATIENCE_MIN..=PATIENCE_MAX).contains(&patience);
    allowed.then_some(Some(patience)).ok_or_else(|| wrong("patience is a number of seconds from 1 to 86400"))
}

/// A number of seconds that has a limit.
fn seconds(given: Option<u64>, most: Duration, detail: &'static str) -> Result<Option<Duration>, Problem> {
    match given.map(Duration::from_secs) {
        Some(longer) if longer > most => Err(wrong(detail)),
        fits => Ok(fits),
    }
}

/// A task that is there, opened; nothing is made for a client that only claims to run a step of it.
async fn existing<'a>(control: &'a Control, id: &TaskId) -> Result<InUse<'a>, Problem> {
    if let Some(used) = control.desk.held(id) {
        return Ok(used);
    }
    control.keeper.tasks().show(id).await.map_err(|error| told(control, &error))?;
    control.desk.open(id, control.now()).await
}

/// The run of that name, whether its client held it until now or was let go meanwhile.
async fn run(control: &Control, used: &InUse<'_>, key: &StepKey, name: &str) -> Result<Option<OpenStep>, Problem> {
    if let Some(step) = used.take(key, name) {
        return Ok(Some(step));
    }
    let run = used.task().take_up(key, name).await.map_err(|error| told(control, &error))?;
    let heard_at = control.now();
    Ok(run.map(|run| OpenStep { run, patience: Some(PATIENCE), heard_at, owner: None, grants: Vec::new() }))
}

/// The run that was named is none of a step that is still open.
async fn over(control: &Control, used: &InUse<'_>, key: &StepKey) -> Problem {
    let stands = match control.keeper.tasks().show(used.task().id()).await {
        Ok((_, view)) => view.step(key).map(|step| match step.state {
            StepState::Done { .. } => "the step is done",
            StepState::Failed { .. } => "the step has failed",
            StepState::Rerun => "it was decided that the step is to be run again",
            StepState::Started { .. } => "another run of the step has begun since",
        }),
        Err(error) => return told(control, &error),
    };
    let stands = stands.unwrap_or("the step was never begun");
    let detail =
        format!("this run of step {key} is over: {stands}. Nothing was changed; begin the step to see its record");
    Problem::of(StatusCode::CONFLICT, Code::StepLetGo, detail)
}

fn running(key: &StepKey) -> Problem {
    let detail = format!(
        "step {key} is being run by another client at this moment. Wait for it: begin it again with ?wait=30s, and its \
         output is the answer"
    );
    Problem::of(StatusCode::SERVICE_UNAVAILABLE, Code::StepRunning, detail)
}

fn told(control: &Control, error: &TaskError) -> Problem {
    Problem::task(error, control.now())
}
