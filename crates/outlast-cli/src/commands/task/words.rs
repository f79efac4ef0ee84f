//! Tasks and steps in words, for people and as JSON.

use crate::exit::quoted;
use crate::words;
use outlast::Timestamp;
use outlast::task::{Block, Effect, StepState, StepView, Summary, TaskId, TaskView};
use serde_json::{Value, json};
use std::time::Duration;

/// A step's state as a stable word.
pub(super) fn state(step: &StepView, view: &TaskView, claimed: bool) -> &'static str {
    match &step.state {
        StepState::Done { .. } => "done",
        StepState::Failed { .. } if step.is_poisoned() => "poisoned",
        StepState::Failed { .. } => "failed",
        StepState::Rerun => "rerun",
        StepState::Started { fence, .. } if claimed && *fence == view.fence() => "running",
        StepState::Started { effect: Effect::Once, .. } => "ambiguous",
        StepState::Started { effect: Effect::Idempotent, .. } => "rerun",
    }
}

/// What keeps a task, and what ends that.
pub(super) fn block(task: &TaskId, block: &Block, now: Timestamp) -> (String, String) {
    match block {
        Block::Ambiguous { key, since } => (
            format!("step {key} began {} and has no end: it may be done or not", words::seen_from(now, *since)),
            format!(
                "look whether it was done; outlast task resolve {task} {} --done, or --rerun",
                quoted(key.as_str())
            ),
        ),
        Block::Grant(parked) => (
            format!(
                "grant {} needs its owner since {} ({})",
                parked.grant,
                words::duration(now.since(parked.since)),
                parked.code
            ),
            format!("outlast login {}", parked.grant),
        ),
        Block::Poisoned { key, failures, reason } => (
            format!("step {key} failed {failures} times: {reason}"),
            format!("mend the cause; outlast task resolve {task} {} --rerun", quoted(key.as_str())),
        ),
    }
}

/// What keeps a task, in a few words.
pub(super) fn block_in_short(block: &Block) -> String {
    match block {
        Block::Ambiguous { key, .. } => format!("step {key} in doubt"),
        Block::Grant(parked) => format!("grant {} needs its owner", parked.grant),
        Block::Poisoned { key, failures, .. } => format!("step {key} failed {failures} times"),
    }
}

fn block_as_json(block: &Block) -> Value {
    match block {
        Block::Ambiguous { key, since } => json!({
            "block": "ambiguous", "key": key.as_str(), "since": since.as_secs(),
        }),
        Block::Grant(parked) => json!({
            "block": "grant", "grant": parked.grant.as_str(), "code": parked.code.as_str(),
            "since": parked.since.as_secs(),
        }),
        Block::Poisoned { key, failures, reason } => json!({
            "block": "poisoned", "key": key.as_str(), "failures": failures, "reason": reason,
        }),
    }
}

/// A task as JSON, with the names that the control interface has for the same.
pub(super) fn summary_as_json(summary: &Summary) -> Value {
    json!({
        "task": summary.id.as_str(),
        "state": summary.stand.as_str(),
        "steps": summary.progress.steps,
        "done": summary.progress.done,
        "failed": summary.progress.failed,
        "worked": summary.progress.worked.as_secs_f64(),
        "restart_would_cost": summary.progress.worked.as_secs_f64(),
        "blocks": summary.blocks.iter().map(block_as_json).collect::<Vec<_>>(),
        "runner": summary.runner,
        "runners": summary.runners,
        "opened_at": summary.opened_at.map(Timestamp::as_secs),
        "changed_at": summary.changed_at.map(Timestamp::as_secs),
    })
}

/// A step as JSON.
pub(super) fn step_as_json(step: &StepView, view: &TaskView, claimed: bool) -> Value {
    let (at, took, reason, bytes, exit) = match &step.state {
        StepState::Done { output, at, took } => (Some(*at), Some(*took), None, Some(output.length), output.exit),
        StepState::Failed { at, reason } => (Some(*at), None, Some(reason), None, None),
        StepState::Rerun => (None, None, None, None, None),
        StepState::Started { at, .. } => (Some(*at), None, None, None, None),
    };
    json!({
        "key": step.key.as_str(),
        "state": state(step, view, claimed),
        "starts": step.starts,
        "failures": step.failures,
        "since": at.map(Timestamp::as_secs),
        "took": took.as_ref().map(Duration::as_secs_f64),
        "reason": reason,
        "exit": exit,
        "output_bytes": bytes,
    })
}
