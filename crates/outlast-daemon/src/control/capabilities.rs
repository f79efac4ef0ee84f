//! `POST /v1/capabilities`: a new word that opens the proxy for some grants.

use super::body::is_object;
use super::problem::Problem;
use super::{Answer, Control, json};
use crate::proxy::{Admission, draw};
use http::{Request, StatusCode};
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use outlast::GrantId;
use outlast::task::TaskId;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// Largest request body.
const BODY_BYTES_MAX: usize = 64 * 1024;

/// Asks for a capability.
#[derive(Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub(super) struct CapabilityWish {
    /// The grants it opens; all of them if left out.
    grants: Option<Vec<String>>,
    /// The one task it reaches.
    #[cfg_attr(test, schemars(regex(pattern = "^[A-Za-z0-9_][A-Za-z0-9._-]{0,63}$")))]
    task: Option<String>,
}

/// A capability.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(super) struct CapabilityShown {
    /// The word, to be sent to the proxy as bearer token or API key.
    capability: String,
    /// The proxy's address.
    url: String,
}

pub(super) async fn mint(control: &Control, request: Request<Incoming>) -> Answer {
    let wrong = |detail| Problem::request(StatusCode::BAD_REQUEST, detail);
    let body = Limited::new(request.into_body(), BODY_BYTES_MAX).collect().await;
    let body = body.map_err(|_| wrong("the body is too large or did not arrive whole"))?.to_bytes();
    let wish = if is_object(&body) { serde_json::from_slice(&body).ok() } else { None };
    let wish: CapabilityWish =
        wish.ok_or_else(|| wrong("the body is not JSON of the form {\"grants\": [\"NAME\", …], \"task\": \"NAME\"}"))?;
    let grants = wish.grants.map(|names| known(control, &names)).transpose()?;
    let task = wish.task.map(|name| TaskId::parse(&name)).transpose().map_err(Problem::name)?;
    let capability = draw().map_err(|_| Problem::internal("the operating system has no random numbers"))?;
    if !control.capabilities.add_for(capability.clone(), Admission { grants, task, ..Admission::default() }) {
        return Err(Problem::internal("there are too many capabilities; restart the sidecar"));
    }
    json(&CapabilityShown { capability: capability.expose().to_owned(), url: control.url.clone() })
}

fn known(control: &Control, names: &[String]) -> Result<BTreeSet<GrantId>, Problem> {
    names.iter().map(|name| control.grant(name).map(|handle| handle.id().clone())).collect()
}
