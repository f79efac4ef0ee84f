//! `outlast task close`, `delete` and `prune`.

use super::super::Done;
use super::tasks;
use crate::context::Context;
use crate::exit::Fault;
use crate::step::task_id;
use crate::{output, words};
use outlast::Code;
use outlast::task::Task;
use serde_json::json;
use std::time::Duration;

/// What `task close` and `task delete` are told.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  outlast task close harvest
  outlast task delete harvest
Both are refused while a runner has the task. A task that was deleted begins from the start when it
is run again, with other idempotency keys.")]
pub(super) struct One {
    /// The task
    #[arg(value_name = "ID")]
    task: String,
    /// Print JSON
    #[arg(long)]
    pub(super) json: bool,
}

/// What `task prune` is told.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  outlast task prune                  remove what was closed more than 30 days ago
  outlast task prune --older 0s       remove every closed task
A task is closed when the command of `outlast run --task` succeeds, or with: outlast task close")]
pub(super) struct Prune {
    /// How long ago a task must have been closed
    #[arg(long, value_name = "DURATION", value_parser = words::parse_duration, default_value = "30d")]
    older: Duration,
    /// Print JSON
    #[arg(long)]
    pub(super) json: bool,
}

pub(super) async fn close(context: &Context, arguments: &One) -> Done {
    let (tasks, task) = (tasks(context)?, task_id(&arguments.task)?);
    // Opening it would make one that is not there.
    let (summary, _) = tasks.show(&task).await?;
    if let Some(block) = summary.blocks.first() {
        let what = super::words::block_in_short(block);
        return Err(Fault::new(Code::RequestInvalid, format!("task {task} is not over: {what}"))
            .mend(format!("see to that first, as `outlast task show {task}` says; or: outlast task delete {task}")));
    }
    Task::open(&context.keeper(Vec::new())?, &task).await?.close().await?;
    tell(arguments, task.as_str(), "closed")
}

pub(super) async fn delete(context: &Context, arguments: &One) -> Done {
    let task = task_id(&arguments.task)?;
    tasks(context)?.delete(&task).await?;
    tell(arguments, task.as_str(), "deleted")
}

fn tell(arguments: &One, task: &str, what: &str) -> Done {
    if arguments.json {
        output::json(&json!({ "task": task, "state": what }))?;
    } else {
        output::talk(&format!("task {task} is {what}"));
    }
    Ok(0)
}

pub(super) async fn prune(context: &Context, arguments: &Prune) -> Done {
    let removed = tasks(context)?.prune(arguments.older).await?;
    if arguments.json {
        output::json(&removed.iter().map(|task| task.as_str()).collect())?;
    } else if removed.is_empty() {
        output::talk("no task was closed so long ago");
    } else {
        removed.iter().try_for_each(|task| output::data(task.as_str()))?;
    }
    Ok(0)
}
