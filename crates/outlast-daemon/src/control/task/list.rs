//! `GET /v1/tasks`: how all tasks stand that whoever asks reaches.

use super::super::{Answer, Control, json};
use super::show::shown;
use super::{reach, told};
use crate::task_api::TaskShown;
use http::Request;
use hyper::body::Incoming;

pub(in super::super) async fn answer(control: &Control, request: &Request<Incoming>) -> Answer {
    let tasks = control.keeper.tasks();
    let mut found = Vec::new();
    for id in tasks.names().await.map_err(|error| told(control, &error))? {
        if reach(control, request.headers(), &id).is_err() {
            continue;
        }
        found.push(match tasks.show(&id).await {
            Ok((summary, _)) => shown(control, &summary).await,
            // One whose journal cannot be read says so, and hides no other.
            Err(error) => TaskShown::unreadable(id.as_str(), error.code(), error.to_string()),
        });
    }
    json(&found)
}
