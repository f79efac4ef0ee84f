//! `GET /v1/tasks/{task}`: how a task stands. With `wait`, the answer comes as soon as no grant that it is
//! parked on needs a person any more.

use super::super::body::wait;
use super::super::{Answer, Control, json};
use super::heartbeat::needs_a_person;
use super::{admit, told};
use crate::task_api::{BlockShown, TaskShown};
use http::Request;
use hyper::body::Incoming;
use outlast::task::{Block, Summary, TaskId};
use outlast::{Code, GrantId, Timestamp};
use std::time::Duration;

/// So many of what keeps a task are told.
const BLOCKS_MAX: usize = 100;
/// How often the store is looked at for a login in another process.
const LOOK_EVERY: Duration = Duration::from_secs(1);

pub(in super::super) async fn answer(
    control: &Control,
    task: &str,
    query: &str,
    request: &Request<Incoming>,
) -> Answer {
    let id = admit(control, request.headers(), task)?;
    let deadline = control.now().plus(wait(query)?);
    loop {
        let shown = shown(control, &summary(control, &id).await?).await;
        let blocking = shown.blocks.iter().find_map(|block| match block {
            BlockShown::Grant { grant, ready: false, .. } => GrantId::parse(grant).ok(),
            BlockShown::Ambiguous { .. } | BlockShown::Grant { .. } | BlockShown::Poisoned { .. } => None,
        });
        let left = control.now().until(deadline);
        match blocking.and_then(|grant| control.keeper.grant(&grant).ok()) {
            Some(handle) if !left.is_zero() => {
                control.desk.while_running(handle.changed(left.min(LOOK_EVERY))).await?;
            }
            Some(_) | None => return json(&shown),
        }
    }
}

async fn summary(control: &Control, id: &TaskId) -> Result<Summary, super::super::problem::Problem> {
    let found = control.keeper.tasks().show(id).await;
    Ok(found.map_err(|error| told(control, &error))?.0)
}

pub(super) async fn shown(control: &Control, summary: &Summary) -> TaskShown {
    let mut blocks = Vec::new();
    for block in summary.blocks.iter().take(BLOCKS_MAX) {
        blocks.push(match block {
            Block::Ambiguous { key, since } => {
                BlockShown::Ambiguous { key: key.as_str().to_owned(), since: since.as_secs() }
            }
            Block::Grant(parked) => BlockShown::Grant {
                grant: parked.grant.as_str().to_owned(),
                code: parked.code.as_str().to_owned(),
                since: parked.since.as_secs(),
                ready: !needs_a_person(control, &parked.grant).await,
            },
            Block::Poisoned { key, failures, reason } => {
                BlockShown::Poisoned { key: key.as_str().to_owned(), failures: *failures, reason: reason.clone() }
            }
        });
    }
    TaskShown {
        task: summary.id.as_str().to_owned(),
        state: summary.stand.as_str().to_owned(),
        code: None,
        detail: None,
        steps: summary.progress.steps,
        done: summary.progress.done,
        failed: summary.progress.failed,
        worked: summary.progress.worked.as_secs(),
        blocks,
        runner: summary.runner.clone(),
        runners: summary.runners,
        opened_at: summary.opened_at.map(Timestamp::as_secs),
        changed_at: summary.changed_at.map(Timestamp::as_secs),
    }
}

impl TaskShown {
    pub(super) fn unreadable(task: &str, code: Code, detail: String) -> Self {
        Self {
            task: task.to_owned(),
            state: "unreadable".to_owned(),
            code: Some(code.as_str().to_owned()),
            detail: Some(detail),
            steps: 0,
            done: 0,
            failed: 0,
            worked: 0,
            blocks: Vec::new(),
            runner: String::new(),
            runners: 0,
            opened_at: None,
            changed_at: None,
        }
    }
}
