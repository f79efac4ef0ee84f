//! `GET /v1/grants` and `GET /v1/grants/{name}`: how the grants stand.

use super::problem::Problem;
use super::{Answer, Control, json};
use crate::status::GrantStatus;
use outlast::GrantHandle;

pub(super) async fn list(control: &Control) -> Answer {
    let mut found = Vec::new();
    for id in control.keeper.grants() {
        let handle = control.keeper.grant(id).map_err(|error| control.problem(&error))?;
        found.push(match handle.record().await {
            Ok(record) => GrantStatus::with_server(&handle, &record, control.now()).await,
            // One whose record cannot be had says so, and hides no other.
            Err(error) => GrantStatus::unreadable(handle.settings(), error.code(), error.to_string()),
        });
    }
    json(&found)
}

pub(super) async fn one(control: &Control, name: &str) -> Answer {
    let handle = control.grant(name)?;
    json(&status(control, &handle).await?)
}

async fn status(control: &Control, handle: &GrantHandle) -> Result<GrantStatus, Problem> {
    let record = handle.record().await.map_err(|error| control.problem(&error))?;
    Ok(GrantStatus::with_server(handle, &record, control.now()).await)
}
