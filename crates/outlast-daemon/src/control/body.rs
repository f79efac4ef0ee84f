//! Reading what a request brings: its body as JSON, its parameters, and names out of its path.

use super::problem::Problem;
use http::{Request, StatusCode};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::body::Incoming;
use outlast::Code;
use serde::de::DeserializeOwned;
use std::time::Duration;

/// Largest body, but for outputs.
pub(super) const BODY_BYTES_MAX: usize = 256 * 1024;
/// Longest wait for anything.
pub(super) const WAIT_MAX: Duration = Duration::from_secs(60);

/// The body as JSON; one that is empty is `{}`. Nothing of it is repeated.
pub(super) async fn read<T: DeserializeOwned>(request: Request<Incoming>, most: usize) -> Result<T, Problem> {
    let body = Limited::new(request.into_body(), most).collect().await.map_err(|error| {
        if error.is::<LengthLimitError>() {
            let detail = format!("the body is larger than {most} bytes; send less");
            Problem::of(StatusCode::PAYLOAD_TOO_LARGE, Code::OutputTooLarge, detail)
        } else {
            wrong("the body did not arrive whole")
        }
    })?;
    let body = body.to_bytes();
    let body: &[u8] = if body.is_empty() { b"{}" } else { &body };
    if !is_object(body) {
        return Err(wrong("the body is no JSON object"));
    }
    serde_json::from_slice(body).map_err(|error| {
        let what = if error.is_data() { "has other fields than are known, or others of them" } else { "is no JSON" };
        let detail = format!("the body {what}, see line {} column {}", error.line(), error.column());
        Problem::of(StatusCode::BAD_REQUEST, Code::RequestInvalid, detail)
    })
}

/// Whether JSON begins as an object does: serde would also take a list of values in the order of our fields.
pub(super) fn is_object(body: &[u8]) -> bool {
    body.trim_ascii_start().starts_with(b"{")
}

/// A segment of a path without its percent-encoding.
pub(super) fn decode(segment: &str) -> Result<String, Problem> {
    percent_decoded(segment).ok_or_else(|| wrong("the path is not percent-encoded UTF-8"))
}

/// Text without its percent-encoding (RFC 3986 2.1).
pub(crate) fn percent_decoded(text: &str) -> Option<String> {
    let bytes = text.as_bytes();
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(byte) = bytes.get(at) {
        let hex = |at: usize| bytes.get(at).and_then(|digit| char::from(*digit).to_digit(16));
        at += 1;
        if *byte == b'%' {
            decoded.push(u8::try_from(hex(at)? * 16 + hex(at + 1)?).ok()?);
            at += 2;
        } else {
            decoded.push(*byte);
        }
    }
    String::from_utf8(decoded).ok()
}

/// The parameter `wait`, the only one that is known, as `30` or `30s`.
pub(super) fn wait(query: &str) -> Result<Duration, Problem> {
    let mut wait = Duration::ZERO;
    for (name, text) in url::form_urlencoded::parse(query.as_bytes()) {
        if name != "wait" {
            return Err(wrong("unknown parameter: only wait is known"));
        }
        let digits = text.strip_suffix('s').unwrap_or(&text);
        let plain = !digits.is_empty() && digits.len() <= 6 && digits.bytes().all(|byte| byte.is_ascii_digit());
        let seconds = digits.parse().ok().filter(|_| plain);
        wait = Duration::from_secs(seconds.ok_or_else(|| wrong("wait takes whole seconds, such as 30 or 30s"))?);
    }
    Ok(wait.min(WAIT_MAX))
}

pub(super) fn wrong(detail: &'static str) -> Problem {
    Problem::request(StatusCode::BAD_REQUEST, detail)
}
