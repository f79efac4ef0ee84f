//! From a decision to a judgement: what the recovery needs, and the evidence.

use super::body::json::unescape;
use super::body::{Fact, Role, Source};
use super::meaning::Meaning;
use super::quirks::Sign;
use super::redaction::redact;
use super::retry_after::{read_http_date, read_milliseconds, read_reset, read_retry_after, read_seconds};
use super::rules::{Decision, Ground, Taken};
use super::scope::wanted_scopes;
use super::verdict::{Evidence, Judgement, StepUp, Verdict};
use super::words::{Word, pack};
use crate::clock::Timestamp;
use http::HeaderMap;
use std::time::Duration;

/// Longest claims request or nonce that is passed on, in bytes.
const CARRIED_BYTES_MAX: usize = 4096;

pub(crate) fn finish(
    taken: &Taken<'_>,
    decision: &Decision<'_>,
    headers: &HeaderMap,
    now: Option<Timestamp>,
) -> Judgement {
    let waits = matches!(decision.meaning, Meaning::RateLimited | Meaning::SlowDown | Meaning::Transient);
    Judgement {
        retry_after: if waits { wait(taken, now) } else { None },
        verdict: verdict(taken, decision.meaning, headers, now),
        evidence: evidence(taken, &decision.ground),
        resource_metadata: taken.fields.resource_metadata.and_then(carried),
    }
}

fn verdict(taken: &Taken<'_>, meaning: Meaning, headers: &HeaderMap, now: Option<Timestamp>) -> Verdict {
    match meaning {
        Meaning::AccessTokenExpired => Verdict::AccessTokenExpired,
        Meaning::AccessTokenInvalid => Verdict::AccessTokenInvalid,
        Meaning::AuthorizationPending => Verdict::AuthorizationPending,
        Meaning::ClientMisconfigured => Verdict::ClientMisconfigured,
        Meaning::DpopNonceRequired => Verdict::DpopNonceRequired { nonce: taken.fields.dpop_nonce.and_then(carried) },
        Meaning::GrantDead => Verdict::GrantDead,
        Meaning::InsufficientScope => Verdict::InsufficientScope { scopes: wanted_scopes(&taken.facts, headers) },
        Meaning::NotAuth => Verdict::NotAuth,
        Meaning::PermissionDenied => Verdict::PermissionDenied,
        Meaning::RateLimited => Verdict::RateLimited { retry_after: wait(taken, now) },
        Meaning::SlowDown => Verdict::SlowDown,
        Meaning::StepUpRequired => Verdict::StepUpRequired(step_up(taken)),
        Meaning::Transient => Verdict::Transient { retry_after: wait(taken, now) },
        Meaning::Unknown => Verdict::Unknown,
    }
}

/// How long to wait: the header before the body, the exact before the general.
pub(crate) fn wait(taken: &Taken<'_>, now: Option<Timestamp>) -> Option<Duration> {
    let (fields, facts) = (&taken.fields, &taken.facts);
    let waits = fields.retry_after.or(fields.rate_reset).is_some();
    let reference = fields.date.filter(|_| waits).and_then(read_http_date).or(now);
    fields
        .retry_after_milliseconds
        .and_then(read_milliseconds)
        .or_else(|| read_retry_after(fields.retry_after?, reference))
        .or_else(|| read_seconds(facts.wait_seconds?))
        .or_else(|| read_milliseconds(facts.wait_milliseconds?))
        .or_else(|| read_reset(fields.rate_reset.filter(|_| fields.rate_used_up)?, reference))
}

fn step_up(taken: &Taken<'_>) -> StepUp {
    let max_age = taken.facts.max_age.and_then(|age| std::str::from_utf8(age).ok()?.parse().ok());
    StepUp {
        acr_values: taken.facts.acr_values.and_then(carried),
        max_age: max_age.map(Duration::from_secs),
        claims: taken.facts.claims.and_then(carried),
    }
}

/// A value that is passed on to the server it came from: visible text of a sane length, or none.
fn carried(value: &[u8]) -> Option<String> {
    if value.len() > CARRIED_BYTES_MAX {
        return None;
    }
    let text = unescape(value);
    (!text.is_empty() && !text.chars().any(char::is_control)).then_some(text)
}

fn evidence(taken: &Taken<'_>, ground: &Ground<'_>) -> Evidence {
    match ground {
        Ground::Fact(fact) => Evidence { place: place_of(fact), found: shown(fact.text) },
        Ground::Field(name) => Evidence { place: name, found: String::new() },
        Ground::Status => Evidence { place: "status", found: taken.status.to_string() },
        Ground::Rule(rule) => {
            let found = rule.signs.iter().map(Sign::to_string).collect::<Vec<_>>().join(", ");
            Evidence { place: "what the provider documents", found }
        }
    }
}

/// A code of the vocabulary is shown as it is; anything else is read for what may be a token.
fn shown(text: &[u8]) -> String {
    const CODE_BYTES_MAX: usize = 31;
    let code = text.len() <= CODE_BYTES_MAX && text.iter().all(|byte| byte.is_ascii_lowercase() || *byte == b'_');
    if code { String::from_utf8_lossy(text).into_owned() } else { redact(&unescape(text)) }
}

fn place_of(fact: &Fact<'_>) -> &'static str {
    const ERROR: Word = pack(b"error");
    const DESCRIPTION: Word = pack(b"error_description");
    match (fact.source, fact.key, fact.role) {
        (Source::Challenge, DESCRIPTION, _) => "header WWW-Authenticate error_description",
        (Source::Challenge, _, _) => "header WWW-Authenticate error",
        (Source::Header, _, _) => "header",
        (Source::Body, ERROR, _) => "body error",
        (Source::Body, DESCRIPTION, _) => "body error_description",
        (Source::Body, _, Role::Code) => "body code",
        (Source::Body, _, Role::Sentence) => "body message",
    }
}
