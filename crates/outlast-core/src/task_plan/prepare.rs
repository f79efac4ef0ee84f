//! A step with all that it is given: ready to be run, and told apart from another by its bytes.

use super::PlanFault;
use super::place::{self, Lookup};
use super::work::{Body, CommandWork, GrantUse, RequestWork, Target, Work};
use crate::grant::GrantId;
use http::header::{CONTENT_TYPE, HeaderValue};
use http::{HeaderMap, Method};
use serde_json::{Value, json};

/// A step that can be run.
#[derive(Clone, Debug, PartialEq)]
pub enum Prepared {
    /// Runs a command.
    Command(PreparedCommand),
    /// Sends a request.
    Request(PreparedRequest),
}

/// A command with its arguments.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PreparedCommand {
    /// The program and its arguments.
    pub words: Vec<String>,
    /// What it reads from standard input.
    pub input: Option<String>,
    /// The grants it may use.
    pub grants: Vec<GrantUse>,
}

/// A request, but for its token.
#[derive(Clone, Debug, PartialEq)]
pub struct PreparedRequest {
    /// The grant whose token it carries.
    pub grant: Option<GrantId>,
    /// Its method.
    pub method: Method,
    /// A path at the grant's upstream, or where there is no grant an address.
    pub target: String,
    /// Its fields.
    pub headers: HeaderMap,
    /// Its body.
    pub body: PreparedBody,
    /// Which statuses are a result, besides those of success.
    pub accept: Vec<u16>,
}

/// The bytes of a body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PreparedBody(pub Vec<u8>);

impl Prepared {
    /// What it is given, as bytes that are the same whenever it is given the same.
    pub fn input(&self) -> Vec<u8> {
        let told = match self {
            Self::Command(command) => {
                let grants: Vec<&str> = command.grants.iter().map(|grant| grant.id.as_str()).collect();
                json!({ "command": command.words, "input": command.input, "grants": grants })
            }
            Self::Request(request) => {
                let field = |(name, value): (&http::HeaderName, &HeaderValue)| {
                    json!([name.as_str(), String::from_utf8_lossy(value.as_bytes())])
                };
                json!({
                    "grant": request.grant.as_ref().map(GrantId::as_str),
                    "method": request.method.as_str(),
                    "target": request.target,
                    "headers": request.headers.iter().map(field).collect::<Vec<Value>>(),
                    "body": String::from_utf8_lossy(&request.body.0),
                })
            }
        };
        told.to_string().into_bytes()
    }
}

/// Fills everything in that a step is given.
pub(super) fn prepare(work: &Work, lookup: &Lookup<'_>) -> Result<Prepared, PlanFault> {
    match work {
        Work::Command(work) => command(work, lookup).map(Prepared::Command),
        Work::Request(work) => request(work, lookup).map(Prepared::Request),
    }
}

fn command(work: &CommandWork, lookup: &Lookup<'_>) -> Result<PreparedCommand, PlanFault> {
    let mut words: Vec<String> = Vec::with_capacity(work.words().len());
    for word in work.words() {
        let after_dashes = words.iter().any(|word| word == "--");
        words.push(place::argument(word, lookup, after_dashes)?);
    }
    let input = work.input.as_ref().map(|input| place::plain(input, lookup)).transpose()?;
    Ok(PreparedCommand { words, input, grants: work.grants.clone() })
}

fn request(work: &RequestWork, lookup: &Lookup<'_>) -> Result<PreparedRequest, PlanFault> {
    let target = match &work.target {
        Target::Path(template) | Target::Url(template) => place::address(template, lookup)?,
    };
    let mut headers = HeaderMap::new();
    for (name, template) in &work.headers {
        let value = place::field(template, lookup)?;
        let value = HeaderValue::from_str(&value).map_err(|_| {
            let detail = format!("the value of the field {name} is none that a field may have");
            PlanFault::new(&template.span, detail, "send it in the body")
        })?;
        headers.append(name.clone(), value);
    }
    let (body, kind) = body(&work.body, lookup)?;
    if let (Some(kind), false) = (kind, headers.contains_key(CONTENT_TYPE)) {
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    }
    let (grant, method) = (work.grant.clone(), work.method.clone());
    Ok(PreparedRequest { grant, method, target, headers, body, accept: work.accept.clone() })
}

fn body(body: &Body, lookup: &Lookup<'_>) -> Result<(PreparedBody, Option<&'static str>), PlanFault> {
    let (bytes, kind) = match body {
        Body::Empty => (Vec::new(), None),
        Body::Form(fields) => {
            let pair = |(name, template): &(String, super::Template)| {
                let value = place::plain(template, lookup)?;
                Ok(format!("{}={}", place::percent_encoded(name), place::percent_encoded(&value)))
            };
            let pairs: Vec<String> = fields.iter().map(pair).collect::<Result<_, PlanFault>>()?;
            (pairs.join("&").into_bytes(), Some("application/x-www-form-urlencoded"))
        }
        Body::Json(template) => (place::json(template, lookup)?.to_string().into_bytes(), Some("application/json")),
        Body::Text(template) => (place::plain(template, lookup)?.into_bytes(), Some("text/plain; charset=utf-8")),
    };
    Ok((PreparedBody(bytes), kind))
}

/// What a step brought, as a value: JSON where it is JSON, else a text without the line end that commands
/// put at its end.
pub(super) fn value_of(output: &[u8]) -> Option<Value> {
    let text = std::str::from_utf8(output).ok()?;
    let line = || text.strip_suffix('\n').map_or(text, |line| line.strip_suffix('\r').unwrap_or(line));
    Some(serde_json::from_str(text).unwrap_or_else(|_| Value::String(line().to_owned())))
}
