//! From a reply to the one right recovery.
//!
//! [`classify`] is pure and total: any status, header and body get a verdict, in time linear in
//! what is read of them. The order of its tests, and why it is that, stands in
//! `docs/classification.md`.

mod body;
pub mod challenge;
mod codes;
pub mod explanation;
mod fields;
mod finish;
pub mod meaning;
pub mod quirks;
pub mod redaction;
pub mod retry_after;
mod reuse;
mod rules;
mod scope;
pub mod verdict;
mod words;

pub use body::BODY_BYTES_MAX;
pub use quirks::Quirks;
pub use retry_after::read_http_date;
pub(crate) use reuse::tells_of_reuse;
pub use verdict::{EndpointKind, Evidence, Judgement, StepUp, Verdict};

use crate::clock::Timestamp;
use body::{Facts, Format, read_body};
use fields::{Fields, read_fields};
use http::HeaderMap;
use meaning::Meaning;
use rules::{Decision, Ground, Taken};

/// Judges a reply. Total and pure: any bytes get a verdict.
///
/// `body` may be whole or only its beginning; at most [`BODY_BYTES_MAX`] bytes of it are read. A
/// `Retry-After` date is read relative to the reply's own `Date` field; see [`classify_at`] for
/// replies that have none.
#[inline]
pub fn classify(kind: EndpointKind, status: u16, headers: &HeaderMap, body: &[u8], quirks: &Quirks) -> Judgement {
    judge(kind, status, headers, body, quirks, None)
}

/// The same, with the moment the reply came, for waits that are given as a date in a reply that
/// has no `Date` field.
pub fn classify_at(
    kind: EndpointKind,
    status: u16,
    headers: &HeaderMap,
    body: &[u8],
    quirks: &Quirks,
    now: Timestamp,
) -> Judgement {
    judge(kind, status, headers, body, quirks, Some(now))
}

/// The rule of a provider that decides this reply, with the address it is documented at; `None`
/// where the generic rules do.
pub fn documented_rule(
    kind: EndpointKind,
    status: u16,
    headers: &HeaderMap,
    body: &[u8],
    quirks: &Quirks,
) -> Option<&'static quirks::Rule> {
    let mut facts = Facts::new(!(200..300).contains(&status) || kind != EndpointKind::Resource);
    read_fields(headers, &mut facts);
    read_body(body, &mut facts);
    quirks::decide(quirks.table(), kind, status, headers, &facts)
}

#[inline]
fn judge(
    kind: EndpointKind,
    status: u16,
    headers: &HeaderMap,
    body: &[u8],
    quirks: &Quirks,
    now: Option<Timestamp>,
) -> Judgement {
    if is_plain_success(kind, status, body, quirks) {
        return Judgement {
            verdict: Verdict::NotAuth,
            evidence: Evidence { place: "status", found: String::new() },
            retry_after: None,
            resource_metadata: None,
        };
    }
    judge_refusal(kind, status, headers, body, quirks, now)
}

/// Whether a reply is a success by its first bytes. Bodies of APIs that send errors with 200 begin
/// with one of a few keys; anything else is not looked at.
#[inline]
fn is_plain_success(kind: EndpointKind, status: u16, body: &[u8], quirks: &Quirks) -> bool {
    if kind != EndpointKind::Resource
        || status == 203
        || !(200..300).contains(&status)
        || quirks.success_peek().is_some()
    {
        return false;
    }
    match body.first() {
        // gRPC answers 200 with an empty body and its status in the header.
        None => false,
        Some(b'{') => !begins_like_an_error(body),
        Some(b'<' | b' ' | b'\n' | b'\r' | b'\t' | 0xef) => false,
        Some(_) => true,
    }
}

/// Whether the first key of an object is one that error bodies begin with.
#[inline]
fn begins_like_an_error(body: &[u8]) -> bool {
    let start = body[1..].trim_ascii_start();
    let Some(key) = start.strip_prefix(b"\"") else { return false };
    let begins = |names: &[&[u8]]| names.iter().any(|name| key.starts_with(name));
    match key.first() {
        Some(b'e' | b'E') => begins(&[b"err", b"Err"]),
        Some(b'c') => begins(&[b"code\""]),
        Some(b'd') => begins(&[b"data\""]),
        Some(b'f') => begins(&[b"fault"]),
        // What most plain objects begin with, and JSON-RPC's errors too: those go on with `error`.
        Some(b'i') => begins(&[b"id\""]) && key.get(..64).unwrap_or(key).windows(7).any(|part| part == b"\"error\""),
        Some(b'j') => begins(&[b"jsonrpc\""]),
        Some(b'l') => begins(&[b"log_id\""]),
        Some(b'm' | b'M') => begins(&[b"msg\"", b"message\"", b"Message\""]),
        Some(b'o') => begins(&[b"ok\""]),
        Some(b'r') => begins(&[b"request_id\"", b"ret\"", b"result\""]),
        Some(b's') => begins(&[b"success\"", b"status", b"stat\""]),
        Some(b't') => begins(&[b"type\""]),
        Some(_) | None => false,
    }
}

#[inline(never)]
fn judge_refusal(
    kind: EndpointKind,
    status: u16,
    headers: &HeaderMap,
    body: &[u8],
    quirks: &Quirks,
    now: Option<Timestamp>,
) -> Judgement {
    let success = (200..300).contains(&status);
    let facts = Facts::new(!success || kind != EndpointKind::Resource);
    // Gathered in place: the facts are a few hundred bytes, and moving them about is not free.
    let mut taken = Taken { kind, status, fields: Fields::default(), facts, format: Format::Empty };
    taken.fields = read_fields(headers, &mut taken.facts);
    let seen = if success && kind == EndpointKind::Resource {
        body.get(..quirks::SUCCESS_PEEK_BYTES).unwrap_or(body)
    } else {
        body
    };
    taken.format = read_body(seen, &mut taken.facts);
    if let Some(inner) = taken.facts.lone_text {
        return judge_lone_text(kind, status, headers, inner, quirks, now);
    }
    let decision = decide(&taken, headers, quirks);
    finish::finish(&taken, &decision, headers, now)
}

/// A body that is one JSON string: an object that was encoded twice, or a bare code.
fn judge_lone_text(
    kind: EndpointKind,
    status: u16,
    headers: &HeaderMap,
    text: &[u8],
    quirks: &Quirks,
    now: Option<Timestamp>,
) -> Judgement {
    let inner = body::json::unescape(text);
    let object = inner.trim_start().starts_with(['{', '[']);
    let body = if object { inner } else { format!("{{\"error\":\"{}\"}}", String::from_utf8_lossy(text)) };
    let mut facts = Facts::new(true);
    let fields = read_fields(headers, &mut facts);
    body::json::scan(body.as_bytes(), &mut facts);
    let taken = Taken { kind, status, fields, facts, format: Format::Json };
    let decision = decide(&taken, headers, quirks);
    finish::finish(&taken, &decision, headers, now)
}

/// The order of tests: a nonce is asked for by the protocol itself; then what the provider
/// documents; then the generic rules.
fn decide<'a>(taken: &Taken<'a>, headers: &HeaderMap, quirks: &Quirks) -> Decision<'a> {
    if let Some(fact) = taken.facts.codes().find(|fact| fact.text.eq_ignore_ascii_case(b"use_dpop_nonce")) {
        return Decision::by_fact(Meaning::DpopNonceRequired, fact);
    }
    if let Some(rule) = quirks::decide(quirks.table(), taken.kind, taken.status, headers, &taken.facts)
        && (rule.meaning != Meaning::GrantDead || rules::may_kill(taken))
    {
        return Decision { meaning: rule.meaning, ground: Ground::Rule(rule) };
    }
    rules::decide(taken)
}
