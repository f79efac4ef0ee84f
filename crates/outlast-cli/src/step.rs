//! One step of a task on behalf of a command: through whoever runs the task, or claimed by this process.

mod local;
mod runner;

use crate::child_grants::Wanted;
use crate::context::Context;
use crate::exit::Fault;
use crate::{ask, env, notice, output, words};
pub(crate) use local::runner_named;
use local::{LocalRun, Opened};
use outlast::task::{JournalError, Recorded, StepKey, Task, TaskError, TaskId};
use outlast::{GrantId, Keeper, Process, Timestamp};
pub(crate) use runner::Answered;
use runner::{Refused, Runner, RunnerRun};
use std::cell::OnceCell;
use std::convert::Infallible;
use std::path::Path;
use std::time::Duration;

/// How long a step waits before it is told what it waits for, and how often that is looked at.
const QUIET: Duration = Duration::from_millis(700);
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// A step that somebody wants run.
pub(crate) struct Wish {
    pub(crate) task: TaskId,
    pub(crate) key: StepKey,
    pub(crate) idempotent: bool,
    pub(crate) grants: Vec<GrantId>,
    pub(crate) input: Option<String>,
    pub(crate) min_ttl: Option<Duration>,
    pub(crate) hold: Option<Duration>,
}

impl Wish {
    /// Until when it may wait; for as long as it takes if nothing is said.
    fn deadline(&self) -> Option<Timestamp> {
        self.hold.map(|hold| ask::now().plus(hold))
    }
}

/// What is to be done with it.
pub(crate) enum Begun {
    /// Nothing: this is what it brought.
    Reuse(Recorded),
    /// Run it, and say how it ended.
    Run(Run),
}

/// Whose journal it is.
enum Seat {
    /// This process has claimed the task.
    Local(Task),
    /// A runner has it, and is asked.
    Runner(Runner),
}

/// A step that has begun.
pub(crate) enum Run {
    Local(LocalRun),
    Runner(Box<RunnerRun>),
}

/// The task and the step, as they were typed.
pub(crate) fn named(task: Option<&str>, key: &str) -> Result<(TaskId, StepKey), Fault> {
    let inherited = env::task();
    let task = task.or(inherited.as_deref()).ok_or_else(|| {
        let text = "no task is named, and OUTLAST_TASK is not set";
        Fault::new(outlast::Code::RequestInvalid, text)
            .mend("name it with --task, or run the script with: outlast run --task ID -- CMD")
    })?;
    Ok((task_id(task)?, step_key(key)?))
}

/// Reads a task's name as typed.
pub(crate) fn task_id(name: &str) -> Result<TaskId, Fault> {
    TaskId::parse(name).map_err(|reason| {
        Fault::from(TaskError::Name { reason })
            .mend("use letters, digits, '-', '_' and '.', such as nightly-2026-11-25")
    })
}

/// Reads a step's key as typed.
pub(crate) fn step_key(key: &str) -> Result<StepKey, Fault> {
    StepKey::parse(key)
        .map_err(|reason| Fault::from(TaskError::Name { reason }).mend("use a short name without '/', such as page-17"))
}

/// A keeper for the grants of a step, with their secrets.
pub(crate) fn keeper(context: &Context, grants: &[GrantId]) -> Result<Keeper, Fault> {
    let settings = if grants.is_empty() { Vec::new() } else { context.resolve(&names(grants))? };
    context.keeper_of(Process::Sidecar, settings)
}

/// One that only looks at records: a program that was started by Outlast has no secrets.
fn onlooker(context: &Context, grants: &[GrantId]) -> Result<Keeper, Fault> {
    context.keeper(context.without_secrets(&names(grants))?)
}

fn names(grants: &[GrantId]) -> Vec<String> {
    grants.iter().map(ToString::to_string).collect()
}

/// Begins the step as soon as nothing keeps it from that, and tells what it waits for if that takes a while.
/// Puts the keeper that renewals may be under way in into `kept`.
pub(crate) async fn begin(context: &Context, wish: &Wish, kept: &OnceCell<Keeper>) -> Result<Begun, Fault> {
    let onlooker = onlooker(context, &wish.grants)?;
    tokio::select! {
        biased;
        begun = begin_silently(context, wish, kept) => begun,
        never = tell_what_it_waits_for(context, &onlooker, wish) => match never {},
    }
}

/// Begins the step through the sidecar behind this socket and no other way; nothing where that is not to be had.
pub(crate) async fn begin_through(socket: &Path, wish: &Wish) -> Option<Answered> {
    Runner::connect(socket, false).await?.begin(wish, wish.deadline()).await.ok()
}

async fn begin_silently(context: &Context, wish: &Wish, kept: &OnceCell<Keeper>) -> Result<Begun, Fault> {
    let deadline = wish.deadline();
    // The runner that this process is part of, if it is still there.
    let mut runner = match env::socket().filter(|_| env::task().as_deref() == Some(wish.task.as_str())) {
        Some(socket) => Runner::connect(&socket, true).await,
        None => None,
    };
    loop {
        let seat = match runner.take() {
            Some(runner) => Seat::Runner(runner),
            None => match local::open(context, wish, deadline, kept).await? {
                Opened::Here(task) => Seat::Local(task),
                Opened::There(runner) => Seat::Runner(runner),
            },
        };
        match seat {
            Seat::Local(task) => return local::begin(task, wish).await,
            Seat::Runner(runner) => match runner.begin(wish, deadline).await {
                Ok(Answered::Done(recorded)) => return Ok(Begun::Reuse(recorded)),
                Ok(Answered::Run(run)) => return Ok(Begun::Run(Run::Runner(run))),
                // It has ended, or serves another task.
                Err(Refused::Elsewhere) => {}
                Err(Refused::Told(fault)) => return Err(*fault),
            },
        }
    }
}

impl Run {
    /// What names the step to servers that keep requests from being carried out twice.
    pub(crate) fn idempotency_key(&self) -> String {
        match self {
            Self::Local(run) => run.idempotency_key(),
            Self::Runner(run) => run.idempotency_key().to_owned(),
        }
    }

    /// The folder of the runner, where the command finds in its environment what it needs to use grants.
    pub(crate) fn inherited(&self) -> Option<&Path> {
        match self {
            Self::Local(_) => None,
            Self::Runner(run) => run.inherited(),
        }
    }

    /// A keeper for the command's own grants.
    pub(crate) fn keeper(&self, context: &Context, wanted: &[Wanted]) -> Result<Keeper, Fault> {
        match self {
            Self::Local(run) => Ok(run.keeper().clone()),
            Self::Runner(_) => keeper(context, &wanted.iter().map(|wanted| wanted.id.clone()).collect::<Vec<_>>()),
        }
    }

    /// It came to its end. Returns once that survives a power cut.
    pub(crate) async fn complete(self, context: &Context, recorded: &Recorded) -> Result<(), Fault> {
        match self {
            Self::Local(run) => run.complete(recorded.clone()).await,
            Self::Runner(run) => run.complete(context, recorded).await,
        }
    }

    /// It failed; `undone` if nothing was done that must not be done again. Says on standard error if a
    /// person has to decide now.
    pub(crate) async fn fail(self, context: &Context, reason: &str, undone: bool) -> Result<(), Fault> {
        let given_up = match self {
            Self::Local(run) => run.fail(reason, undone).await?,
            Self::Runner(run) => run.fail(context, reason, undone).await?,
        };
        if let Some(fault) = given_up {
            output::fault(&fault, false);
        }
        Ok(())
    }

    /// Its work is done, and what it brought is more than is kept.
    pub(crate) async fn too_large(self, context: &Context, length: u64, most: u64) -> Fault {
        let refused = TaskError::Journal(JournalError::OutputTooLarge { length, most });
        match self.fail(context, &refused.to_string(), false).await {
            Ok(()) => refused.into(),
            Err(fault) => fault,
        }
    }
}

async fn tell_what_it_waits_for(context: &Context, keeper: &Keeper, wish: &Wish) -> Infallible {
    tokio::time::sleep(QUIET).await;
    let mut pause_told = false;
    loop {
        for grant in &wish.grants {
            let Ok(handle) = keeper.grant(grant) else { continue };
            notice::tell_if_parked(context, &keeper.tasks(), &handle, &wish.task).await;
        }
        let until = match keeper.tasks().show(&wish.task).await {
            Ok((_, view)) => view.step(&wish.key).and_then(local::paused_until),
            Err(_) => None,
        };
        let now = ask::now();
        if let Some(until) = until.filter(|until| *until > now && !pause_told) {
            let (key, task) = (&wish.key, &wish.task);
            output::talk(&format!(
                "step {key} of task {task} failed before; tried again {}",
                words::seen_from(now, until)
            ));
            pause_told = true;
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}
