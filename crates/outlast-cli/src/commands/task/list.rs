//! `outlast task list`.

use super::super::Done;
use super::{tasks, words as task_words};
use crate::ask::now;
use crate::context::Context;
use crate::exit::Fault;
use crate::{output, words};
use outlast::Timestamp;
use outlast::task::{Summary, TaskError, TaskId};
use serde_json::{Value, json};

/// What `task list` is told.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  outlast task list
  outlast task list --json | jq -r '.[] | select(.state == \"parked\") | .task'")]
pub(super) struct Arguments {
    /// Print a JSON array
    #[arg(long)]
    pub(super) json: bool,
}

type Found = (TaskId, Result<Summary, TaskError>);

pub(super) async fn run(context: &Context, arguments: &Arguments) -> Done {
    let found = tasks(context)?.list().await?;
    if arguments.json {
        output::json(&found.iter().map(as_json).collect())?;
    } else if found.is_empty() {
        output::data("there is no task; begin one with: outlast step --task ID KEY -- CMD")?;
    } else {
        let head = ["task", "state", "steps done", "failed", "worked", "changed", "what keeps it"];
        output::data(&output::table(&head, found.iter().map(|found| row(found, now())).collect()))?;
    }
    Ok(0)
}

fn as_json((task, found): &Found) -> Value {
    match found {
        Ok(summary) => task_words::summary_as_json(summary),
        Err(error) => json!({
            "task": task.as_str(), "state": "unreadable", "code": error.code().as_str(), "detail": error.to_string(),
        }),
    }
}

fn row((task, found): &Found, now: Timestamp) -> Vec<String> {
    let nothing = || output::NOTHING.to_owned();
    let summary = match found {
        Ok(summary) => summary,
        Err(error) => {
            let why = format!("[{}] {}", error.code(), Fault::plain(&error.to_string()));
            let rest = [nothing(), nothing(), nothing(), nothing(), why];
            return [task.to_string(), "unreadable".to_owned()].into_iter().chain(rest).collect();
        }
    };
    let progress = &summary.progress;
    let blocks: Vec<String> = summary.blocks.iter().take(3).map(task_words::block_in_short).collect();
    let more = summary.blocks.len().saturating_sub(blocks.len());
    let mut keeps = if blocks.is_empty() { nothing() } else { blocks.join(", ") };
    if more > 0 {
        keeps.push_str(&format!(" and {more} more"));
    }
    vec![
        task.to_string(),
        summary.stand.as_str().to_owned(),
        format!("{} of {}", progress.done, progress.steps),
        if progress.failed > 0 { progress.failed.to_string() } else { nothing() },
        words::duration(progress.worked),
        summary.changed_at.map_or_else(nothing, |at| words::seen_from(now, at)),
        keeps,
    ]
}
