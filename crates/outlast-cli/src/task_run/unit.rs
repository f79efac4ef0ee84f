//! One step: begun, worked on, ended; and again, as far as the plan allows.

use super::shared::Shared;
use outlast::task::Effect;
use outlast::task::{Begun, Ended, Failure, Recorded, Step, StepKey, StepRun, StepView, TaskError};
use outlast::task_plan::{Prepared, Unit};
use outlast::{Advice, Code, GrantId, Timestamp};
use std::time::Duration;

/// How often in a row a step is put off because its server wants a pause, before that counts as a failure.
const SLOWED_MAX: u32 = 100;

/// The pause where nobody says how long it should be, and the longest one that it grows to.
const PAUSE_FIRST: Duration = Duration::from_secs(2);
const PAUSE_LONGEST: Duration = Duration::from_secs(60);

/// How a step ended in this run.
pub(super) enum End {
    /// It is done.
    Done {
        output: Vec<u8>,
        /// It was, in an earlier run.
        reused: bool,
    },
    /// It is not, and will not be in this run.
    Failed(TaskError),
    /// The run stops before it began.
    Stopped,
}

/// What its work came to.
pub(super) struct Worked {
    pub(super) outcome: Result<Recorded, Failure>,
    /// Its server wants a pause, or is away: how long, if it says so.
    pub(super) slowed: Option<Option<Duration>>,
    /// A grant ended meanwhile, and needs its owner.
    pub(super) needs: Option<(GrantId, Code)>,
}

impl Worked {
    pub(super) fn done(exit: Option<u8>, bytes: Vec<u8>) -> Self {
        Self { outcome: Ok(Recorded { exit, bytes }), slowed: None, needs: None }
    }

    pub(super) fn failed(failure: Failure) -> Self {
        Self { outcome: Err(failure), slowed: None, needs: None }
    }
}

/// Runs a step, unless it is done.
pub(super) async fn run(shared: &Shared, unit: &Unit, prepared: Prepared) -> End {
    match tried(shared, unit, &prepared).await {
        Ok(end) => end,
        Err(error) => End::Failed(error),
    }
}

async fn tried(shared: &Shared, unit: &Unit, prepared: &Prepared) -> Result<End, TaskError> {
    let plan_step = shared.step(unit);
    let step = match plan_step.effect {
        Effect::Idempotent => Step::idempotent(unit.key.as_str())?,
        Effect::Once => Step::once(unit.key.as_str())?,
    };
    let step = step.grants(plan_step.work.grants()).input(prepared.input());
    let origin = shared.requests.origin(prepared);
    let (mut failures, mut slowed, mut needs) = (0, 0, None);
    loop {
        let begun = tokio::select! {
            biased;
            () = shared.stop.asked() => return Ok(End::Stopped),
            begun = begin(shared, &step, &origin) => begun.map_err(|error| parked(shared, error, needs.take()))?,
        };
        let run = match begun {
            Begun::Reuse(recorded) => return Ok(End::Done { output: recorded.bytes, reused: true }),
            Begun::Run(run) => run,
        };
        let worked = work(shared, unit, prepared, &run).await;
        let failure = match worked.outcome {
            Ok(recorded) => {
                let output = if shared.plan.is_used(unit.step) { recorded.bytes.clone() } else { Vec::new() };
                run.complete(recorded).await?;
                return Ok(End::Done { output, reused: false });
            }
            Err(failure) => failure,
        };
        needs = worked.needs;
        let pause = worked.slowed.filter(|_| slowed < SLOWED_MAX);
        let failure = if pause.is_some() { failure.uncounted() } else { failure };
        let reason = failure.reason().to_owned();
        match run.fail(failure).await? {
            Ended::GivenUp(error) => return Ok(End::Failed(error)),
            Ended::Again { .. } => {}
        }
        match pause {
            Some(pause) => {
                let pause = pause.unwrap_or_else(|| grown(slowed));
                slowed += 1;
                let until = shared.pace.slow_down(&origin, pause, shared.clock.now());
                if is_too_long(shared, until) {
                    return Ok(End::Failed(TaskError::NotYet { key: unit.key.clone(), until: Some(until) }));
                }
                shared.report.slowed(unit.key.as_str(), &reason, shared.clock.now(), until);
            }
            // It waits for the login, and is then begun again, however often that happens (F85).
            None if needs.is_some() => {}
            None => {
                failures += 1;
                if failures > plan_step.retries {
                    return Ok(End::Failed(used_up(shared, &unit.key, reason).await?));
                }
            }
        }
    }
}

/// A step that was tried as often as this run may. Another run tries it again, unless it has failed so often by
/// now, in whichever runs, that a person decides first.
async fn used_up(shared: &Shared, key: &StepKey, reason: String) -> Result<TaskError, TaskError> {
    let poisoned = |step: &&StepView| step.is_poisoned();
    let failures = shared.task.look(|view| view.step(key).filter(poisoned).map(|step| step.failures)).await?;
    let (task, key) = (shared.task.id().clone(), key.clone());
    Ok(match failures {
        Some(failures) => TaskError::Poisoned { task, key, failures, reason },
        None => TaskError::Failed { key, reason, advice: Advice::Retry },
    })
}

/// A step that may not wait for the pause after a failure: where a person is needed, that is what it waits for.
fn parked(shared: &Shared, error: TaskError, needs: Option<(GrantId, Code)>) -> TaskError {
    match (error, needs) {
        (TaskError::NotYet { .. }, Some((grant, code))) => {
            TaskError::Parked { task: shared.task.id().clone(), grant, code }
        }
        (error, _) => error,
    }
}

/// The pause after so many others in a row.
fn grown(before: u32) -> Duration {
    PAUSE_FIRST.saturating_mul(1 << before.min(6)).min(PAUSE_LONGEST)
}

/// Whether a pause is longer than a step may wait.
fn is_too_long(shared: &Shared, until: Timestamp) -> bool {
    shared.hold.is_some_and(|hold| shared.clock.now().plus(hold) < until)
}

async fn begin(shared: &Shared, step: &Step, origin: &str) -> Result<Begun, TaskError> {
    // Before it is written that the step begins: a kill during a long pause leaves nothing in doubt.
    shared.pace.wait(origin, shared.clock.as_ref()).await;
    shared.task.begin(step).await
}

async fn work(shared: &Shared, unit: &Unit, prepared: &Prepared, run: &StepRun) -> Worked {
    match prepared {
        Prepared::Command(command) => shared.commands.run(shared, unit, command, run).await,
        Prepared::Request(request) => shared.requests.send(shared.step(unit), request, run).await,
    }
}
