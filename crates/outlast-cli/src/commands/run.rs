//! `outlast run -- CMD…`: runs a program beside a sidecar.

use super::Done;
use crate::again::{Restart, Starts};
use crate::child::Outcome;
use crate::child_grants::{self, ChildGrants};
use crate::context::Context;
use crate::exit::Fault;
use crate::local_sidecar::socket_in;
use crate::private_folder::PrivateFolder;
use crate::recorded::{self, Recorded};
use crate::step::{keeper, runner_named, task_id};
use crate::{child, output, process, words};
use outlast::task::{Task, TaskId, TaskSettings};
use outlast::{GrantId, Keeper};
use outlast_daemon::TaskReach;
use std::ffi::OsString;
use std::time::Duration;

/// How long another runner is waited for: an `outlast step` may be at it.
const TURN: Duration = Duration::from_secs(5);

/// What `run` is told.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  outlast run --grant crm -- python3 agent.py
  outlast run --grant crm=CRM_TOKEN_FILE --hold 30m -- ./agent --verbose
  outlast run --task harvest --grant crm -- ./harvest.sh     survives a credential that dies
  outlast run --task harvest --restart on-crash -- ./harvest.sh
  outlast run --task harvest --record --repeatable llm -- python3 agent.py
The program finds in its environment:
  OUTLAST_CAPABILITY           the key for the sidecar, as bearer token or x-api-key
  OUTLAST_URL                  the sidecar's address; OUTLAST_CRM_URL is that of grant crm
  OUTLAST_CRM_TOKEN_FILE       a file with the access token of crm, replaced in place (or VAR)
  OUTLAST_SOCKET               the control socket
  OUTLAST_TASK                 the task, with --task
It exits with the program's own code, 128 and the signal's number if a signal ended it.")]
pub(crate) struct Arguments {
    /// A grant the program may use, and the variable that names its token file; all grants if left out
    #[arg(long = "grant", value_name = "NAME[=VAR]")]
    grants: Vec<String>,
    /// For how long a request is held while its grant waits for a person or a server
    #[arg(long, value_name = "DURATION", value_parser = words::parse_duration)]
    hold: Option<Duration>,
    /// The task that the program works on: `outlast step` inside of it needs no --task
    #[arg(long, value_name = "ID")]
    task: Option<String>,
    /// When the program is started again: it goes on after the last step that is recorded
    #[arg(long, value_enum, value_name = "WHEN", requires = "task", default_value_t = Restart::OnAuth)]
    restart: Restart,
    #[command(flatten)]
    recorded: recorded::Arguments,
    /// The program and its arguments
    #[arg(last = true, required = true, value_name = "CMD")]
    command: Vec<OsString>,
}

/// Starts what is missing, runs the program, and ends as it ends.
pub(crate) fn run(arguments: Arguments) -> Done {
    let context = Context::load()?;
    let task = arguments.task.as_deref().map(task_id).transpose()?;
    let wanted = child_grants::wanted(&context, &arguments.grants, true)?;
    let ids: Vec<GrantId> = wanted.iter().map(|grant| grant.id.clone()).collect();
    let repeatable = arguments.recorded.repeatable(&ids)?;
    let keeper = keeper(&context, &ids)?;
    let hold = arguments.hold.unwrap_or(context.config.proxy().hold);
    process::block_on_all(async {
        // Before anything is renewed: a signal that ended the process now could end it half-way.
        let mut signals = process::Stop::listen()?;
        let folder = PrivateFolder::create("run")?;
        let held = match &task {
            Some(task) => Some(open(&keeper, task, &folder).await?),
            None => None,
        };
        let reach = held.clone().map_or(TaskReach::Nothing, TaskReach::Only);
        let mut grants = ChildGrants::start(&keeper, folder, wanted, hold, reach).await?;
        let ended = match held.clone().zip(task.as_ref()) {
            None => once(&context, &grants, &arguments, &mut signals, None).await.map(|outcome| outcome.ended.code()),
            Some((held, task)) => {
                let mut starts = Starts::new(&context, &keeper, task, &ids, arguments.restart);
                let recorded = repeatable.as_deref().map(|repeatable| (&held, repeatable));
                until_done(&mut grants, &arguments, (task, hold), recorded, &mut starts, &mut signals).await
            }
        };
        grants.stop().await;
        if let (Ok(0), Some(task)) = (&ended, held) {
            close(task).await;
        }
        ended
    })
}

/// Claims the task for the whole run, so that steps of the program may run side by side.
async fn open(keeper: &Keeper, task: &TaskId, folder: &PrivateFolder) -> Result<Task, Fault> {
    let runner = runner_named(&socket_in(folder.path()));
    let settings = TaskSettings { runner, patience: TURN, ..TaskSettings::default() };
    Ok(Task::open_with(keeper, task, settings).await?)
}

/// Starts the program, and starts it again as long as there is reason to.
async fn until_done(
    grants: &mut ChildGrants,
    arguments: &Arguments,
    task: (&TaskId, Duration),
    recorded: Option<(&Task, &[GrantId])>,
    starts: &mut Starts<'_>,
    signals: &mut process::Stop,
) -> Done {
    loop {
        // Each start is at its first request again.
        let recording = match recorded {
            Some((task, repeatable)) => Some(Recorded::begin(grants, task, repeatable).await?),
            None => None,
        };
        let outcome = once(starts.context, grants, arguments, signals, Some(task)).await;
        if let Some(recording) = recording {
            recording.end(outcome.as_ref().is_ok_and(|outcome| outcome.ended.code() == 0)).await;
        }
        let outcome = outcome?;
        if !starts.again(&outcome, signals).await? {
            return Ok(outcome.ended.code());
        }
    }
}

async fn once(
    context: &Context,
    grants: &ChildGrants,
    arguments: &Arguments,
    signals: &mut process::Stop,
    task: Option<(&TaskId, Duration)>,
) -> Result<Outcome, Fault> {
    let mut command = child::prepared(&arguments.command, context);
    grants.describe(&mut command);
    if let Some((task, hold)) = task {
        command.env("OUTLAST_TASK", task.as_str()).env("OUTLAST_HOLD", format!("{}ms", hold.as_millis()));
        // Of a step that this whole run may be part of.
        command.env_remove("OUTLAST_STEP");
    }
    child::run(command, &arguments.command, signals, None).await
}

/// The program has done what it was to do. Its task is over, unless a step of it is in doubt.
async fn close(task: Task) {
    let name = task.id().clone();
    let closed = match task.summary().await {
        Ok(summary) if summary.blocks.is_empty() => task.close().await,
        Ok(_) => return,
        Err(error) => Err(error),
    };
    if let Err(error) = closed {
        output::talk(&format!("note: task {name} is done, and was not closed: {error}"));
    }
}
