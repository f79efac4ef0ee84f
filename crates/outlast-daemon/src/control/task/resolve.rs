//! `POST /v1/tasks/{task}/steps/{key}/resolve`: its owner decides on a step.

use super::super::body::read;
use super::super::problem::Problem;
use super::super::{Answer, Control, json};
use super::{OUTPUT_BODY_BYTES_MAX, admit, admit_owner, running, step_key, told};
use crate::task_api::{Recorded as Told, Resolve, StepWord, read_output};
use http::Request;
use hyper::body::Incoming;
use outlast::task::{Recorded, Resolution};

pub(in super::super) async fn answer(
    control: &Control,
    (task, key): (&str, &str),
    request: Request<Incoming>,
) -> Answer {
    admit_owner(control, request.headers())?;
    let id = admit(control, request.headers(), task)?;
    let key = step_key(key)?;
    let _place = control.outputs.acquire().await;
    let (resolution, state) = match read(request, OUTPUT_BODY_BYTES_MAX).await? {
        Resolve::Done { exit, output, output_base64 } => {
            let bytes = read_output(output, output_base64.as_deref()).map_err(Problem::name)?;
            (Resolution::Done(Recorded { exit, bytes }), StepWord::Done)
        }
        Resolve::Rerun {} => (Resolution::Rerun, StepWord::Rerun),
    };
    let decided = match control.desk.held(&id) {
        Some(used) => {
            used.make_room()?;
            if used.is_open(&key) {
                return Err(running(&key));
            }
            used.task().resolve(&key, resolution).await
        }
        None => control.keeper.tasks().resolve(&id, &key, resolution, "the control socket").await,
    };
    decided.map_err(|error| told(control, &error))?;
    json(&Told { state })
}
