//! The tasks that cannot go on by themselves, for commands that are about something else.

use super::words as task_words;
use crate::exit::Fault;
use outlast::task::{Block, Summary, TaskError, TaskId, Tasks};
use outlast::{Code, GrantId, Timestamp};

/// So many tasks are looked at.
const TASKS_MAX: usize = 500;

/// A task that something keeps, or whose journal cannot be read.
pub(crate) type Kept = (TaskId, Result<Summary, TaskError>);

/// All of them. One whose journal cannot be read hides no other.
pub(crate) async fn kept(tasks: &Tasks) -> Result<Vec<Kept>, Fault> {
    let mut kept = Vec::new();
    for task in tasks.names().await?.into_iter().take(TASKS_MAX) {
        match tasks.show(&task).await {
            Ok((summary, _)) if summary.blocks.is_empty() => {}
            found => kept.push((task, found.map(|(summary, _)| summary))),
        }
    }
    Ok(kept)
}

/// The names of those that wait for a grant.
pub(crate) fn for_grant(kept: &[Kept], grant: &str) -> Vec<String> {
    let waits =
        |summary: &Summary| summary.blocks.iter().any(|block| grant_of(block).is_some_and(|of| of.as_str() == grant));
    let waiting = kept.iter().filter(|(_, found)| found.as_ref().is_ok_and(waits));
    waiting.map(|(task, _)| task.to_string()).collect()
}

/// Why a task cannot go on by itself, as a failure that says what to do.
pub(crate) fn fault((task, found): Kept, now: Timestamp) -> Option<Fault> {
    let summary = match found {
        Ok(summary) => summary,
        Err(error) => return Some(error.into()),
    };
    let block = summary.blocks.first()?;
    let (what, mend) = task_words::block(&task, block, now);
    let code = match block {
        Block::Ambiguous { .. } => Code::StepAmbiguous,
        Block::Grant(parked) => parked.code,
        Block::Poisoned { .. } => Code::StepPoisoned,
    };
    let more = summary.blocks.len() - 1;
    let more = if more > 0 { format!(", and {more} more") } else { String::new() };
    Some(Fault::new(code, format!("{what}{more}")).mend(mend))
}

fn grant_of(block: &Block) -> Option<&GrantId> {
    match block {
        Block::Grant(parked) => Some(&parked.grant),
        Block::Ambiguous { .. } | Block::Poisoned { .. } => None,
    }
}
