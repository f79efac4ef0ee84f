//! A step in a task that this process has claimed.

use super::runner::Runner;
use super::{Begun, Run, Wish};
use crate::context::Context;
use crate::exit::Fault;
use crate::{ask, env, output};
use outlast::task::{
    Begun as Started, Ended, Failure, JournalError, Recorded, Step, StepKey, StepRun, StepState, StepView, Task,
    TaskError, TaskId, TaskSettings, back_off,
};
use outlast::{Code, Keeper, Timestamp};
use std::cell::OnceCell;
use std::path::Path;
use std::time::Duration;

/// How long another runner is waited for without a word.
const TURN: Duration = Duration::from_secs(5);
/// How soon to look whether a runner can be asked that has the task just now.
const FIRST_LOOK: Duration = Duration::from_millis(100);
/// How long to wait for the claim of a runner that is gone.
const CLAIM_PATIENCE: Duration = Duration::from_secs(30);
/// What stands before the control socket where a runner says who it is.
const SOCKET_MARK: &str = ", at ";

/// A step that this process runs.
pub(crate) struct LocalRun {
    run: StepRun,
    keeper: Keeper,
}

/// Where the task is.
pub(super) enum Opened {
    /// This process has it.
    Here(Task),
    /// A runner that can be asked.
    There(Runner),
}

/// What an `outlast run` calls itself, so that steps from elsewhere find it.
pub(crate) fn runner_named(socket: &Path) -> String {
    format!("outlast run, process {}{SOCKET_MARK}{}", std::process::id(), socket.display())
}

fn settings(patience: Duration, hold: Option<Duration>) -> TaskSettings {
    TaskSettings { runner: format!("outlast step, process {}", std::process::id()), patience, hold, reporter: None }
}

/// Claims the task. Another `outlast step` that has it is waited for: that is no error. An `outlast run` is
/// asked to run the step.
pub(super) async fn open(
    context: &Context,
    wish: &Wish,
    deadline: Option<Timestamp>,
    kept: &OnceCell<Keeper>,
) -> Result<Opened, Fault> {
    let keeper = match kept.get() {
        Some(keeper) => keeper.clone(),
        None => {
            let keeper = super::keeper(context, &wish.grants)?;
            kept.get_or_init(|| keeper).clone()
        }
    };
    let (mut patience, mut told) = (FIRST_LOOK, false);
    loop {
        let left = deadline.map_or(patience, |deadline| ask::now().until(deadline).min(patience));
        let busy = match Task::open_with(&keeper, &wish.task, settings(left, wish.hold)).await {
            Err(busy @ TaskError::Journal(JournalError::Busy { .. })) => busy,
            opened => return Ok(Opened::Here(opened?)),
        };
        if let Some(runner) = runner(&busy).await {
            return Ok(Opened::There(runner));
        }
        // Whoever has it may be the very step that this one is part of, and would wait for ever.
        if let Some(outer) = env::step().filter(|_| env::task().as_deref() == Some(wish.task.as_str())) {
            let text = format!("step {} is part of step {outer} of the same task, which waits for it", wish.key);
            return Err(Fault::new(Code::RequestInvalid, text)
                .mend("end the outer step first, or give the inner one a task of its own"));
        }
        if deadline.is_some_and(|deadline| deadline <= ask::now()) {
            return Err(busy.into());
        }
        if patience == TURN && !std::mem::replace(&mut told, true) {
            output::talk(&format!("step {} waits for its turn: {busy}", wish.key));
        }
        patience = TURN;
    }
}

/// The runner that has the task, if it can be asked.
async fn runner(busy: &TaskError) -> Option<Runner> {
    let TaskError::Journal(JournalError::Busy { runner, .. }) = busy else { return None };
    let (_, socket) = runner.split_once(SOCKET_MARK)?;
    Runner::connect(Path::new(socket.trim()), false).await
}

pub(super) async fn begin(task: Task, wish: &Wish) -> Result<Begun, Fault> {
    let step = if wish.idempotent { Step::idempotent(wish.key.as_str()) } else { Step::once(wish.key.as_str()) };
    let mut step = step?.grants(&wish.grants);
    if let Some(input) = &wish.input {
        step = step.input(input);
    }
    if let Some(life) = wish.min_ttl {
        step = step.min_ttl(life);
    }
    Ok(match task.begin(&step).await? {
        Started::Reuse(recorded) => Begun::Reuse(recorded),
        Started::Run(run) => Begun::Run(Run::Local(LocalRun { run, keeper: task.keeper().clone() })),
    })
}

/// A run whose runner is gone, to be ended here.
pub(super) async fn take_up(context: &Context, task: &TaskId, key: &StepKey, run: &str) -> Result<LocalRun, Fault> {
    let keeper = super::keeper(context, &[])?;
    let task = Task::open_with(&keeper, task, settings(CLAIM_PATIENCE, None)).await?;
    let run = task.take_up(key, run).await?.ok_or_else(|| {
        let text = format!("the runner of step {key} is gone, and the step was begun again or decided on since");
        Fault::new(Code::StepLetGo, text)
    })?;
    Ok(LocalRun { run, keeper })
}

/// Until when a step that failed waits, unless it waits for a person.
pub(super) fn paused_until(step: &StepView) -> Option<Timestamp> {
    match &step.state {
        StepState::Failed { at, .. } if !step.is_poisoned() => Some(at.plus(back_off(step.failures))),
        StepState::Done { .. } | StepState::Failed { .. } | StepState::Rerun | StepState::Started { .. } => None,
    }
}

impl LocalRun {
    pub(super) fn idempotency_key(&self) -> String {
        self.run.idempotency_key()
    }

    pub(super) fn keeper(&self) -> &Keeper {
        &self.keeper
    }

    pub(super) async fn complete(self, recorded: Recorded) -> Result<(), Fault> {
        Ok(self.run.complete(recorded).await?)
    }

    /// Why a person has to decide now, if one has to.
    pub(super) async fn fail(self, reason: &str, undone: bool) -> Result<Option<Fault>, Fault> {
        let failure = if undone { Failure::undone(reason) } else { Failure::unclear(reason) };
        Ok(match self.run.fail(failure).await? {
            Ended::Again { .. } => None,
            Ended::GivenUp(error) => Some(error.into()),
        })
    }
}
