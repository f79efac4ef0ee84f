//! `DELETE /v1/tasks/{task}`: removes a task with all it recorded.

use super::super::{Answer, Control, json};
use super::{admit, admit_owner, told};
use crate::task_api::Deleted;
use http::Request;
use hyper::body::Incoming;

pub(in super::super) async fn answer(control: &Control, task: &str, request: Request<Incoming>) -> Answer {
    admit_owner(control, request.headers())?;
    let id = admit(control, request.headers(), task)?;
    // If somebody is at it, it is not given back, and refused as any other that is being run.
    control.desk.give_back(&id);
    control.keeper.tasks().delete(&id).await.map_err(|error| told(control, &error))?;
    json(&Deleted { deleted: id.as_str().to_owned() })
}
