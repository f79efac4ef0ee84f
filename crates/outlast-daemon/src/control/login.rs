//! `/v1/grants/{name}/login`: a login in the running sidecar. `POST` begins one or hands in what was
//! pasted, `GET` tells how it stands, `DELETE` calls it off.
//!
//! One login goes on at a time for each grant: a second `POST` gets the one that goes on. Who begins a
//! login here is the person at the socket and nobody else: a sidecar that an agent was handed the
//! socket of begins none, and neither does a request that shows a capability.

use super::body::is_object;
use super::logins::{Login, Logins};
use super::problem::Problem;
use super::{Answer, Control, json};
use crate::proxy::shows_capability;
use http::{HeaderMap, Method, Request, StatusCode};
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use outlast::{GrantHandle, LoginWay};
use serde::Deserialize;
use std::sync::Arc;
use std::time::Duration;

/// Largest request body.
const BODY_BYTES_MAX: usize = 64 * 1024;
/// Longest time that one request waits for a login to go on.
const WAIT_MAX: Duration = Duration::from_secs(60);
/// How long a `POST` waits for what there is to show, or for what came of a pasted address: finding
/// the server and asking it may take as long.
const STEP_WAIT: Duration = Duration::from_secs(45);

/// Begins a login, or hands in what was pasted.
#[derive(Default, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub(super) struct LoginWish {
    /// How the person is asked; what the grant type says if left out.
    way: Option<Way>,
    /// The address that the browser ended at, of the login that goes on.
    pasted: Option<String>,
}

#[derive(Clone, Copy, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
enum Way {
    Browser,
    Device,
    Paste,
}

impl From<Way> for LoginWay {
    fn from(way: Way) -> Self {
        match way {
            Way::Browser => Self::Browser,
            Way::Device => Self::Device,
            Way::Paste => Self::Paste,
        }
    }
}

pub(super) async fn answer(control: &Control, name: &str, query: &str, request: Request<Incoming>) -> Answer {
    let handle = control.grant(name)?;
    let method = request.method().clone();
    admit(control.logins.as_ref(), request.headers())?;
    let Some(logins) = &control.logins else { return Err(Problem::no_logins()) };
    match method {
        Method::GET => standing(control, logins, &handle, query).await,
        Method::DELETE => {
            let login = known(logins, &handle)?;
            login.cancel();
            shown(control, &login)
        }
        Method::POST => {
            let wish = read(request).await?;
            match wish.pasted {
                Some(_) if wish.way.is_some() => {
                    Err(wrong("way begins a login, and pasted belongs to one that goes on: send one of them"))
                }
                Some(pasted) => paste(control, logins, &handle, pasted).await,
                None => begin(control, logins, &handle, wish.way.map(LoginWay::from)).await,
            }
        }
        _ => Err(Problem::request(StatusCode::METHOD_NOT_ALLOWED, "this path takes GET, POST and DELETE")),
    }
}

fn admit(logins: Option<&Logins>, headers: &HeaderMap) -> Result<(), Problem> {
    if logins.is_none() || shows_capability(headers) { Err(Problem::no_logins()) } else { Ok(()) }
}

async fn begin(control: &Control, logins: &Logins, handle: &GrantHandle, way: Option<LoginWay>) -> Answer {
    let login = logins.begin(handle, way)?;
    login.wait(STEP_WAIT, |state| state.is_shown()).await;
    after_post(control, &login)
}

async fn paste(control: &Control, logins: &Logins, handle: &GrantHandle, pasted: String) -> Answer {
    let login = known(logins, handle)?;
    let before = login.refusals();
    if !login.paste(pasted) {
        return Err(Problem::request(
            StatusCode::CONFLICT,
            "no login that takes a pasted address waits for one; begin one by the way paste or browser",
        ));
    }
    login.wait(STEP_WAIT, |state| state.refusals() > before).await;
    if login.refusals() > before
        && let Some(why) = login.refused()
    {
        let detail = format!("not used: {why}; the login goes on: paste the whole address the browser ended at");
        return Err(Problem::refused_paste(detail));
    }
    after_post(control, &login)
}

async fn standing(control: &Control, logins: &Logins, handle: &GrantHandle, query: &str) -> Answer {
    let (mut wait, mut after) = (Duration::ZERO, None);
    for (key, text) in url::form_urlencoded::parse(query.as_bytes()) {
        let number = text.parse::<u64>().map_err(|_| wrong("wait and after take whole numbers"))?;
        match key.as_ref() {
            "wait" => wait = Duration::from_secs(number).min(WAIT_MAX),
            "after" => after = Some(number),
            _ => return Err(wrong("unknown parameter: known are wait and after")),
        }
    }
    let login = known(logins, handle)?;
    login.wait(wait, |state| after.is_some_and(|after| state.version() != after)).await;
    shown(control, &login)
}

fn known(logins: &Logins, handle: &GrantHandle) -> Result<Arc<Login>, Problem> {
    let nothing =
        || Problem::request(StatusCode::NOT_FOUND, "no login of this grant was begun here; begin one by POST");
    logins.of(handle.id()).ok_or_else(nothing)
}

/// A login that failed while somebody waited for it is that one's problem.
fn after_post(control: &Control, login: &Login) -> Answer {
    match login.failure() {
        Some(error) => Err(Problem::login(&error)),
        None => shown(control, login),
    }
}

fn shown(control: &Control, login: &Login) -> Answer {
    json(&login.describe(control.now()))
}

async fn read(request: Request<Incoming>) -> Result<LoginWish, Problem> {
    let body = Limited::new(request.into_body(), BODY_BYTES_MAX).collect().await;
    let body = body.map_err(|_| wrong("the body is too large or did not arrive whole"))?.to_bytes();
    if body.is_empty() {
        return Ok(LoginWish::default());
    }
    // Nothing of the body is repeated: a pasted address holds a code.
    let misread =
        "the body is not JSON of the form {\"way\": \"browser\", \"device\" or \"paste\"} or {\"pasted\": ADDRESS}";
    let wish = if is_object(&body) { serde_json::from_slice(&body).ok() } else { None };
    wish.ok_or_else(|| wrong(misread))
}

fn wrong(detail: &'static str) -> Problem {
    Problem::request(StatusCode::BAD_REQUEST, detail)
}
