//! Reads the answer to a pushed authorization request (RFC 9126 2.2).

use outlast_core::classify::{EndpointKind, Evidence, Quirks, Verdict, classify};
use outlast_core::wire::Reply;
use serde_json::Value;
use std::time::Duration;

/// The longest life that is believed.
const LIFE_MAX: Duration = Duration::from_secs(3600);
/// Longest reference that is taken.
const REQUEST_URI_BYTES_MAX: usize = 2048;

/// A request that the server holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pushed {
    /// What it is known by; good for one use.
    pub request_uri: String,
    /// How long the person has until it is forgotten.
    pub expires_in: Duration,
}

/// The reference in an answer, or what the refusal means.
pub fn read_pushed(reply: &Reply, quirks: &Quirks) -> Result<Pushed, (Verdict, Evidence)> {
    if matches!(reply.status, 200 | 201)
        && let Some(pushed) = read(&reply.body)
    {
        return Ok(pushed);
    }
    let judgement = classify(EndpointKind::Token, reply.status, &reply.headers, &reply.body, quirks);
    Err((judgement.verdict, judgement.evidence))
}

fn read(body: &[u8]) -> Option<Pushed> {
    let answer: Value = serde_json::from_slice(body).ok()?;
    let request_uri = answer.get("request_uri")?.as_str()?;
    let fit = !request_uri.is_empty() && request_uri.len() <= REQUEST_URI_BYTES_MAX;
    let life = answer.get("expires_in")?.as_f64().filter(|secs| secs.is_finite() && *secs > 0.0)?;
    let expires_in = Duration::from_secs_f64(life.min(LIFE_MAX.as_secs_f64()));
    fit.then(|| Pushed { request_uri: request_uri.to_owned(), expires_in })
}
