//! `POST /v1/tasks/{task}/close`: the task is over, until a step of it is begun again. What it recorded is kept
//! until it is deleted, or pruned for its age.

use super::super::{Answer, Control, json};
use super::{admit, existing, told};
use crate::control::problem::Problem;
use crate::task_api::Closed;
use http::{Request, StatusCode};
use hyper::body::Incoming;
use outlast::Code;

pub(in super::super) async fn answer(control: &Control, task: &str, request: Request<Incoming>) -> Answer {
    let id = admit(control, request.headers(), task)?;
    let used = existing(control, &id).await?;
    used.make_room()?;
    if used.has_open_steps() {
        let detail = format!("steps of task {id} run at this moment; wait until they have ended");
        return Err(Problem::of(StatusCode::SERVICE_UNAVAILABLE, Code::StepRunning, detail));
    }
    used.task().clone().close().await.map_err(|error| told(control, &error))?;
    drop(used);
    control.desk.give_back(&id);
    json(&Closed { closed: id.as_str().to_owned() })
}
