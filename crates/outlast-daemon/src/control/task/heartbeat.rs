//! `POST /v1/tasks/{task}/steps/{key}/heartbeat`: the step still runs.

use super::super::body::{BODY_BYTES_MAX, read};
use super::super::{Answer, Control, json};
use super::{admit, existing, over, patience, run, step_key};
use crate::status::GrantStatus;
use crate::task_api::{Heard, Heartbeat};
use http::Request;
use hyper::body::Incoming;
use outlast::{Advice, Code, GrantId};

pub(in super::super) async fn answer(
    control: &Control,
    (task, key): (&str, &str),
    request: Request<Incoming>,
) -> Answer {
    let id = admit(control, request.headers(), task)?;
    let key = step_key(key)?;
    let said: Heartbeat = read(request, BODY_BYTES_MAX).await?;
    let wished = patience(said.patience)?;
    let used = existing(control, &id).await?;
    let Some(mut step) = run(control, &used, &key, &said.run).await? else {
        return Err(over(control, &used, &key).await);
    };
    step.heard_at = control.now();
    step.patience = wished.or(step.patience);
    let (patience, grants) = (step.patience, step.grants.clone());
    // Put back before anything is waited for: whoever goes away now leaves it as it was.
    used.keep(&key, step);
    let mut needs_user = Vec::new();
    for grant in grants {
        if needs_a_person(control, &grant).await {
            needs_user.push(grant.as_str().to_owned());
        }
    }
    json(&Heard { patience: patience.map(|patience| patience.as_secs()), needs_user })
}

/// Whether a grant gives no tokens out before its owner has done something, as the store says now.
pub(super) async fn needs_a_person(control: &Control, grant: &GrantId) -> bool {
    let Ok(handle) = control.keeper.grant(grant) else { return false };
    let Ok(record) = handle.record().await else { return false };
    let stands = GrantStatus::of(&handle, &record, control.now()).code;
    let advice = stands.and_then(|code| Code::parse(&code)).map(Code::advice);
    matches!(advice, Some(Advice::AskUser | Advice::Decide))
}
