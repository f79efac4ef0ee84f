//! `POST /v1/capabilities`: a new word that opens the proxy for some grants.

use super::problem::Problem;
use super::{Answer, Control, json};
use crate::proxy::{Admission, draw};
use http::{Request, StatusCode};
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use outlast::GrantId;
use outlast::task::TaskId;
use serde::Deserialize;
use std::collections::BTreeSet;

/// Largest request body.
const BODY_BYTES_MAX: usize = 64 * 1024;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Wish {
    /// The grants it opens; all of them if left out.
    grants: Option<Vec<String>>,
    /// The one task it reaches.
    task: Option<String>,
}

pub(super) async fn mint(control: &Control, request: Request<Incoming>) -> Answer {
    let wrong = |detail| Problem::request(StatusCode::BAD_REQUEST, detail);
    let body = Limited::new(request.into_body(), BODY_BYTES_MAX).collect().await;
    let body = body.map_err(|_| wrong("the body is too large or did not arrive whole"))?.to_bytes();
    let wish: Wish = serde_json::from_slice(&body)
        .map_err(|_| wrong("the body is not JSON of the form {\"grants\": [\"NAME\", …], \"task\": \"NAME\"}"))?;
    let grants = wish.grants.map(|names| known(control, &names)).transpose()?;
    let task = wish.task.map(|name| TaskId::parse(&name)).transpose().map_err(Problem::name)?;
    let capability = draw().map_err(|_| Problem::internal("the operating system has no random numbers"))?;
    if !control.capabilities.add_for(capability.clone(), Admission { grants, task, ..Admission::default() }) {
        return Err(Problem::internal("there are too many capabilities; restart the sidecar"));
    }
    json(&serde_json::json!({ "capability": capability.expose(), "url": control.url }))
}

fn known(control: &Control, names: &[String]) -> Result<BTreeSet<GrantId>, Problem> {
    names.iter().map(|name| control.grant(name).map(|handle| handle.id().clone())).collect()
}
