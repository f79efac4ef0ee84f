//! `POST /v1/tasks/{task}/steps/{key}/complete`: the step came to its end, and this is what it brought.
//! Answered once that is on disk. Said twice, it is answered twice.

use super::super::body::read;
use super::super::problem::Problem;
use super::super::{Answer, Control, json};
use super::{OUTPUT_BODY_BYTES_MAX, admit, existing, over, run, step_key, told};
use crate::task_api::{Complete, Recorded as Told, StepWord, read_output};
use http::Request;
use hyper::body::Incoming;
use outlast::task::{Recorded, StepKey, TaskId};

pub(in super::super) async fn answer(
    control: &Control,
    (task, key): (&str, &str),
    request: Request<Incoming>,
) -> Answer {
    let id = admit(control, request.headers(), task)?;
    let key = step_key(key)?;
    let _place = control.outputs.acquire().await;
    let said: Complete = read(request, OUTPUT_BODY_BYTES_MAX).await?;
    let bytes = read_output(said.output, said.output_base64.as_deref()).map_err(Problem::name)?;
    let recorded = Recorded { exit: said.exit, bytes };
    let used = existing(control, &id).await?;
    match run(control, &used, &key, &said.run).await? {
        Some(step) => step.run.complete(recorded).await.map_err(|error| told(control, &error))?,
        None if !is_recorded(control, &id, &key, &recorded).await => return Err(over(control, &used, &key).await),
        None => {}
    }
    json(&Told { state: StepWord::Done })
}

/// Whether this very output is on disk: then the answer to an earlier request was lost.
async fn is_recorded(control: &Control, id: &TaskId, key: &StepKey, recorded: &Recorded) -> bool {
    matches!(control.keeper.tasks().output(id, key).await, Ok(Some(held)) if held == *recorded)
}
