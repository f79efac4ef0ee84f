//! The protected API: RFC 6750 challenges, and a few resources that a task can work on.

use crate::body::{self, Answer, BODY_WAIT_MAX, Events, ManyBytes};
use crate::fault::Moment;
use crate::ledger::{Charge, Ledger};
use crate::server::{Shared, not_found};
use crate::state::Access;
use aws_lc_rs::digest;
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::header::{self, HeaderMap, HeaderValue};
use hyper::{Method, Request, StatusCode, Uri};
use serde_json::{Value, json};
use std::time::Duration;
use tokio::time::timeout;
use url::form_urlencoded;

const BIG_BYTES_DEFAULT: u64 = 64 * 1024 * 1024;
const BIG_BYTES_MAX: u64 = 4 * 1024 * 1024 * 1024;
const EVENTS_DEFAULT: u64 = 10;
const EVENTS_MAX: u64 = 1_000_000;
const INTERVAL_MS_DEFAULT: u64 = 100;
const INTERVAL_MS_MAX: u64 = 60_000;

/// Answers one request and books it.
pub(crate) async fn answer(shared: &Shared, request: Request<Incoming>) -> Answer {
    let answer = match admit(shared, request.headers()) {
        Ok(caller) => resource(shared, caller, request).await,
        Err(refusal) => {
            body::drain(request.into_body()).await;
            refusal.answer()
        }
    };
    shared.with(|world, _| world.ledger.note_answer(answer.status().as_u16()));
    answer
}

/// Whoever holds the token that was presented.
struct Caller {
    family: Option<u64>,
    left: Duration,
}

/// Why a request is not let in (RFC 6750 3.1).
#[derive(Debug, PartialEq, Eq)]
enum Refusal {
    Expired,
    Invalid,
    NoToken,
    /// More than one credential.
    Repeated,
}

impl Refusal {
    fn answer(&self) -> Answer {
        let (status, challenge) = match self {
            Refusal::Expired => (StatusCode::UNAUTHORIZED, EXPIRED),
            Refusal::Invalid => (StatusCode::UNAUTHORIZED, INVALID),
            Refusal::NoToken => (StatusCode::UNAUTHORIZED, "Bearer realm=\"outlast-sandbox\""),
            Refusal::Repeated => (StatusCode::BAD_REQUEST, "Bearer error=\"invalid_request\""),
        };
        let mut answer = body::json(status, &json!({ "error": "not let in; see WWW-Authenticate" }));
        answer.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static(challenge));
        answer
    }
}

const EXPIRED: &str = "Bearer error=\"invalid_token\", error_description=\"The access token expired\"";
const INVALID: &str = "Bearer error=\"invalid_token\", error_description=\"The access token is not valid\"";

fn admit(shared: &Shared, headers: &HeaderMap) -> Result<Caller, Refusal> {
    let token = bearer(headers)?;
    shared.with(|world, now| match world.server.judge(token, now) {
        Access::Expired => Err(Refusal::Expired),
        Access::Granted { .. } if world.faults.take(Moment::Api, now).is_some() => Err(Refusal::Invalid),
        Access::Granted { family, left } => Ok(Caller { family, left }),
        Access::Invalid => Err(Refusal::Invalid),
    })
}

fn bearer(headers: &HeaderMap) -> Result<&str, Refusal> {
    let mut fields = headers.get_all(header::AUTHORIZATION).iter();
    let Some(field) = fields.next() else { return Err(Refusal::NoToken) };
    if fields.next().is_some() {
        return Err(Refusal::Repeated);
    }
    let text = field.to_str().map_err(|_| Refusal::Invalid)?;
    let (scheme, token) = text.split_once(' ').unwrap_or((text, ""));
    if scheme.eq_ignore_ascii_case("bearer") { Ok(token.trim()) } else { Err(Refusal::NoToken) }
}

async fn resource(shared: &Shared, caller: Caller, request: Request<Incoming>) -> Answer {
    let path = request.uri().path().to_owned();
    let Some(name) = path.strip_prefix("/api/") else { return not_found() };
    let get = request.method() == Method::GET;
    let send = request.method() == Method::POST || request.method() == Method::PUT;
    match name.split_once('/').unwrap_or((name, "")) {
        ("big", "") if get => big(request.uri()),
        ("charge", "") if request.method() == Method::POST => charge(shared, request).await,
        ("echo", "") => echo(request).await,
        ("status", code) => status(code, request).await,
        ("stream", "") if get => stream(request.uri()),
        ("upload", "") if send => upload(request).await,
        ("whoami", "") if get => whoami(shared, &caller),
        ("step", step) => work(shared, step, request).await,
        ("big" | "charge" | "stream" | "upload" | "whoami", "") => {
            body::json(StatusCode::METHOD_NOT_ALLOWED, &json!({ "error": "method_not_allowed" }))
        }
        _ => not_found(),
    }
}

fn whoami(shared: &Shared, caller: &Caller) -> Answer {
    let subject = if caller.family.is_some() { "alice" } else { shared.settings.client_id.as_str() };
    let content = json!({ "subject": subject, "family": caller.family, "expires_in": caller.left.as_secs_f64() });
    body::json(StatusCode::OK, &content)
}

/// The request as it arrived; of the credential only that it came.
async fn echo(request: Request<Incoming>) -> Answer {
    let (head, content) = request.into_parts();
    let Some(content) = body::read(content).await else { return too_large() };
    let shown = |name: &header::HeaderName, value: &HeaderValue| match *name {
        header::AUTHORIZATION => Value::from("(not repeated)"),
        _ => Value::from(String::from_utf8_lossy(value.as_bytes())),
    };
    let headers: Vec<Value> =
        head.headers.iter().map(|(name, value)| json!([name.as_str(), shown(name, value)])).collect();
    let answer = json!({
        "method": head.method.as_str(),
        "path": head.uri.path(),
        "query": head.uri.query(),
        "headers": headers,
        "body": String::from_utf8_lossy(&content),
        "body_bytes": content.len(),
    });
    body::json(StatusCode::OK, &answer)
}

/// `{n}`, or `{n}/call/{m}` for a call that is known when it comes again.
async fn work(shared: &Shared, step: &str, request: Request<Incoming>) -> Answer {
    let (step, call) = match step.split_once("/call/") {
        None => (step.parse::<u64>(), Ok(None)),
        Some((step, call)) => (step.parse(), call.parse::<u64>().map(Some)),
    };
    let (Ok(step), Ok(call)) = (step, call) else { return not_found() };
    body::drain(request.into_body()).await;
    let worked = |ledger: &mut Ledger| match call {
        None => ledger.work(step),
        Some(call) => ledger.work_call(step, call),
    };
    match shared.with(|world, _| worked(&mut world.ledger)) {
        Some(calls) => {
            let result = hex(digest::digest(&digest::SHA256, &step.to_be_bytes()).as_ref());
            body::json(StatusCode::OK, &json!({ "step": step, "result": result, "calls": calls }))
        }
        None => full(),
    }
}

async fn charge(shared: &Shared, request: Request<Incoming>) -> Answer {
    let key = request.headers().get("idempotency-key").and_then(|key| key.to_str().ok()).map(str::to_owned);
    let Some(content) = body::read(request.into_body()).await else { return too_large() };
    let content = digest::digest(&digest::SHA256, &content);
    let told = |number: u64, replayed: bool| json!({ "charge": number, "replayed": replayed });
    match shared.with(|world, _| world.ledger.charge(key.as_deref(), content.as_ref())) {
        Charge::Done(number) => body::json(StatusCode::CREATED, &told(number, false)),
        Charge::Full => full(),
        Charge::KeyOfAnother => {
            body::json(StatusCode::UNPROCESSABLE_ENTITY, &json!({ "error": "idempotency_key_of_another_request" }))
        }
        Charge::Replayed(number) => body::json(StatusCode::OK, &told(number, true)),
    }
}

/// Counts and digests a body of any length without holding it.
async fn upload(request: Request<Incoming>) -> Answer {
    let mut content = request.into_body();
    let mut digest = digest::Context::new(&digest::SHA256);
    let mut length = 0_u64;
    while let Some(frame) = timeout(BODY_WAIT_MAX, content.frame()).await.transpose() {
        let Ok(Ok(frame)) = frame else {
            return body::json(StatusCode::BAD_REQUEST, &json!({ "error": "body_cut", "length": length }));
        };
        if let Some(piece) = frame.data_ref() {
            digest.update(piece);
            length += piece.len() as u64;
        }
    }
    body::json(StatusCode::OK, &json!({ "length": length, "sha256": hex(digest.finish().as_ref()) }))
}

fn big(address: &Uri) -> Answer {
    match number(address, "bytes", BIG_BYTES_DEFAULT, BIG_BYTES_MAX) {
        Some(bytes) => body::streamed("application/octet-stream", ManyBytes::new(bytes)),
        None => bad_number(),
    }
}

fn stream(address: &Uri) -> Answer {
    let events = number(address, "events", EVENTS_DEFAULT, EVENTS_MAX);
    let interval = number(address, "interval_ms", INTERVAL_MS_DEFAULT, INTERVAL_MS_MAX);
    let (Some(events), Some(interval)) = (events, interval) else { return bad_number() };
    let mut answer = body::streamed("text/event-stream", Events::new(events, Duration::from_millis(interval)));
    answer.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    answer
}

/// An answer with the status asked for; a 401 claims that the token is not valid, though it is.
async fn status(code: &str, request: Request<Incoming>) -> Answer {
    let status = code.parse::<u16>().ok().filter(|code| (200..=599).contains(code));
    let Some(status) = status.and_then(|code| StatusCode::from_u16(code).ok()) else { return not_found() };
    body::drain(request.into_body()).await;
    if status == StatusCode::UNAUTHORIZED {
        return Refusal::Invalid.answer();
    }
    if [StatusCode::NO_CONTENT, StatusCode::RESET_CONTENT, StatusCode::NOT_MODIFIED].contains(&status) {
        return body::empty(status);
    }
    let mut answer = body::json(status, &json!({ "status": status.as_u16() }));
    if [StatusCode::TOO_MANY_REQUESTS, StatusCode::SERVICE_UNAVAILABLE].contains(&status) {
        answer.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
    }
    answer
}

/// A number from the query: the default if left out, `None` if it is none or too large.
fn number(address: &Uri, name: &str, default: u64, most: u64) -> Option<u64> {
    let mut pairs = form_urlencoded::parse(address.query().unwrap_or_default().as_bytes());
    match pairs.find(|(key, _)| key == name) {
        Some((_, value)) => value.parse().ok().filter(|number| *number <= most),
        None => Some(default),
    }
}

fn bad_number() -> Answer {
    body::json(StatusCode::BAD_REQUEST, &json!({ "error": "a number in the query is none, or too large" }))
}

fn too_large() -> Answer {
    body::json(StatusCode::PAYLOAD_TOO_LARGE, &json!({ "error": "body cut or too large" }))
}

fn full() -> Answer {
    body::json(StatusCode::INSUFFICIENT_STORAGE, &json!({ "error": "the sandbox remembers no more" }))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
