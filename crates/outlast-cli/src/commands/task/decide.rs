//! `outlast task resolve` and `outlast task resume`: a person decides.

use super::super::Done;
use super::{tasks, words as task_words};
use crate::ask::now;
use crate::context::Context;
use crate::exit::{Fault, exit_code};
use crate::output;
use crate::step::{step_key, task_id};
use outlast::task::{Block, Recorded, Resolution, StepKey, TaskError, TaskId, Tasks};
use outlast::{Ask, Code};
use serde_json::json;
use std::time::Duration;

/// For how long a task that somebody has is waited for. A sidecar gives a task back ten seconds after nobody
/// has run a step of it any more, and it may just have told the person who decides now.
const GIVEN_BACK_WITHIN: Duration = Duration::from_secs(15);
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// What `task resolve` is told.
#[derive(Debug, clap::Args)]
#[command(group = clap::ArgGroup::new("decision").required(true), after_help = "Examples:
  outlast task resolve invoices charge-17 --done              it was done, and printed nothing
  outlast task resolve invoices charge-17 --done '{\"id\": 9}'  it was done; this is what it brought
  outlast task resolve invoices charge-17 --rerun             it was not done: run it again
Look first where the step has its effect: nobody else can know.")]
pub(super) struct Resolve {
    /// The task
    #[arg(value_name = "ID")]
    task: String,
    /// The step
    #[arg(value_name = "KEY")]
    key: String,
    /// It was done; OUTPUT is what it brought
    #[arg(long, value_name = "OUTPUT", num_args = 0..=1, default_missing_value = "", group = "decision")]
    done: Option<String>,
    /// It is to be run again
    #[arg(long, group = "decision")]
    rerun: bool,
    /// Print JSON
    #[arg(long)]
    pub(super) json: bool,
}

/// What `task resume` is told.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:
  outlast task resume harvest
Steps that failed too often may be tried again, and grants that needed their owner are looked at
again. Steps in doubt stay: only somebody who looked can decide on them. Nothing is run here: start
the task's own command again, or let the one that waits go on.")]
pub(super) struct Resume {
    /// The task
    #[arg(value_name = "ID")]
    task: String,
    /// Print JSON
    #[arg(long)]
    pub(super) json: bool,
}

pub(super) async fn resolve(context: &Context, arguments: Resolve) -> Done {
    let (tasks, task, key) = (tasks(context)?, task_id(&arguments.task)?, step_key(&arguments.key)?);
    let (resolution, state) = match arguments.done {
        Some(output) => (Resolution::Done(Recorded { exit: Some(0), bytes: output.into_bytes() }), "done"),
        None => (Resolution::Rerun, "rerun"),
    };
    decide(&tasks, &task, &key, resolution, "outlast task resolve").await?;
    if arguments.json {
        output::json(&json!({ "task": task.as_str(), "key": key.as_str(), "state": state }))?;
    } else if state == "done" {
        output::talk(&format!("step {key} of task {task} is done; whoever asks for it gets what you said"));
    } else {
        output::talk(&format!("step {key} of task {task} is run again when it is next asked for"));
    }
    Ok(0)
}

/// Writes the decision down, as soon as whoever has the task gives it back.
async fn decide(
    tasks: &Tasks,
    task: &TaskId,
    key: &StepKey,
    resolution: Resolution,
    by: &str,
) -> Result<(), TaskError> {
    let until = now().plus(GIVEN_BACK_WITHIN);
    let mut told = false;
    loop {
        match tasks.resolve(task, key, resolution.clone(), by).await {
            Err(busy) if busy.code() == Code::TaskBusy && now() < until => {
                if !told {
                    output::talk(&format!("task {task} is in use; waiting up to 15 s for it to be given back"));
                    told = true;
                }
                tokio::time::sleep(LOOK_EVERY).await;
            }
            decided => return decided,
        }
    }
}

pub(super) async fn resume(context: &Context, arguments: &Resume) -> Done {
    let (tasks, task) = (tasks(context)?, task_id(&arguments.task)?);
    let (summary, _) = tasks.show(&task).await?;
    let mut left: Vec<(Block, Code)> = Vec::new();
    let mut freed = Vec::new();
    for block in summary.blocks {
        match try_again(context, &tasks, &task, &block).await? {
            None => freed.push(task_words::block_in_short(&block)),
            Some(code) => left.push((block, code)),
        }
    }
    if arguments.json {
        let left: Vec<String> = left.iter().map(|(block, _)| task_words::block_in_short(block)).collect();
        output::json(&json!({ "task": task.as_str(), "freed": freed, "left": left }))?;
    } else {
        for what in &freed {
            output::talk(&format!("no longer in the way: {what}"));
        }
        for (block, _) in &left {
            let (what, mend) = task_words::block(&task, block, now());
            output::talk(&format!("still in the way: {what}\nwhat to do: {mend}"));
        }
        if left.is_empty() {
            output::talk(&format!("task {task} can go on: what waits does so by itself, else start its command again"));
        }
    }
    Ok(left.first().map_or(0, |(_, code)| exit_code(*code)))
}

/// Why it still keeps the task; nothing if it does not.
async fn try_again(context: &Context, tasks: &Tasks, task: &TaskId, block: &Block) -> Result<Option<Code>, Fault> {
    match block {
        Block::Ambiguous { .. } => Ok(Some(Code::StepAmbiguous)),
        Block::Grant(parked) => {
            let handle = context.grant(parked.grant.as_str())?;
            let asked = handle.access_token(Ask::default()).await;
            crate::local_sidecar::let_renewals_end(handle.keeper()).await;
            Ok(asked.err().map(|error| error.code()))
        }
        Block::Poisoned { key, .. } => {
            decide(tasks, task, key, Resolution::Rerun, "outlast task resume").await?;
            Ok(None)
        }
    }
}
