//! The header fields that bear on a verdict, gathered in one pass.

use super::body::{Fact, Facts, Flag, Role, Source};
use super::challenge::{Piece, read_challenges};
use super::words::{Word, pack};
use http::HeaderMap;

/// Most `WWW-Authenticate` fields of one reply that are read.
const CHALLENGE_FIELDS_MAX: usize = 8;

/// What the header says.
#[derive(Clone, Debug, Default)]
pub(crate) struct Fields<'a> {
    /// `Retry-After`.
    pub(crate) retry_after: Option<&'a [u8]>,
    /// `retry-after-ms`.
    pub(crate) retry_after_milliseconds: Option<&'a [u8]>,
    /// When the limit is lifted, by any of the usual names.
    pub(crate) rate_reset: Option<&'a [u8]>,
    /// The limit is used up, by any of the usual names.
    pub(crate) rate_used_up: bool,
    /// `Date`; parsed only where a wait is counted from it.
    pub(crate) date: Option<&'a [u8]>,
    /// `DPoP-Nonce` (RFC 9449 8).
    pub(crate) dpop_nonce: Option<&'a [u8]>,
    /// `grpc-status`, in the header or a trailer.
    pub(crate) grpc_status: Option<&'a [u8]>,
    /// `Location`.
    pub(crate) location: Option<&'a [u8]>,
    /// `resource_metadata` of a challenge (RFC 9728 5.1).
    pub(crate) resource_metadata: Option<&'a [u8]>,
    /// Any challenge at all.
    pub(crate) challenged: bool,
    /// An edge in front of the application answered.
    pub(crate) edge: bool,
}

const CHALLENGE_ERROR: Word = pack(b"error");

/// Gathers the header; what it states of the error goes to `facts`.
pub(crate) fn read_fields<'a>(headers: &'a HeaderMap, facts: &mut Facts<'a>) -> Fields<'a> {
    let mut fields = Fields::default();
    let mut challenges = 0;
    for (name, value) in headers {
        let (name, value) = (name.as_str(), value.as_bytes());
        if name.starts_with("x-") {
            facts.set(Flag::PRIVATE_FIELDS);
        }
        match name {
            "www-authenticate" | "x-amzn-remapped-www-authenticate" if challenges < CHALLENGE_FIELDS_MAX => {
                challenges += 1;
                fields.challenged = true;
                take_challenge(value, &mut fields, facts);
            }
            "retry-after" => fields.retry_after = Some(value),
            "retry-after-ms" | "x-ms-retry-after-ms" => fields.retry_after_milliseconds = Some(value),
            "x-ratelimit-reset" | "x-rate-limit-reset" | "ratelimit-reset" => fields.rate_reset = Some(value),
            "x-ratelimit-remaining" | "x-rate-limit-remaining" | "ratelimit-remaining" => {
                fields.rate_used_up = value == b"0";
            }
            "date" => fields.date = Some(value),
            "dpop-nonce" => fields.dpop_nonce = Some(value),
            "grpc-status" => fields.grpc_status = Some(value),
            "grpc-message" => keep(facts, b"grpc-message", value, Role::Sentence),
            "location" => fields.location = Some(value),
            "x-amzn-errortype" => {
                // `Name:http://…` is the name and where it is documented.
                let end = value.iter().position(|byte| *byte == b':').unwrap_or(value.len());
                keep(facts, b"code", &value[..end], Role::Code);
            }
            "x-ms-error-code" | "x-error-code" => keep(facts, b"code", value, Role::Code),
            "cf-mitigated" => fields.edge = true,
            _ => {}
        }
    }
    fields
}

fn keep<'a>(facts: &mut Facts<'a>, key: &[u8], text: &'a [u8], role: Role) {
    facts.keep(Fact { key: pack(key), text, role, source: Source::Header });
}

fn take_challenge<'a>(field: &'a [u8], fields: &mut Fields<'a>, facts: &mut Facts<'a>) {
    read_challenges(field, |piece| match piece {
        Piece::Scheme(_) => {}
        Piece::Bare(text) => take_error(text, CHALLENGE_ERROR, facts),
        Piece::Parameter(name, value) => take_parameter(name, value, fields, facts),
    });
}

fn take_parameter<'a>(name: &[u8], value: &'a [u8], fields: &mut Fields<'a>, facts: &mut Facts<'a>) {
    const ERROR: Word = pack(b"error");
    const PROBLEM: Word = pack(b"oauth_problem");
    const DESCRIPTION: Word = pack(b"error_description");
    const SCOPE: Word = pack(b"scope");
    const CLAIMS: Word = pack(b"claims");
    const ACR: Word = pack(b"acr_values");
    const MAX_AGE: Word = pack(b"max_age");
    const METADATA: Word = pack(b"resource_metadata");
    if value.is_empty() {
        return;
    }
    match pack(name) {
        key @ (ERROR | PROBLEM | DESCRIPTION) => take_error(value, key, facts),
        SCOPE => facts.keep_scope(value),
        CLAIMS => facts.claims = Some(value),
        ACR => facts.acr_values = Some(value),
        MAX_AGE => facts.max_age = Some(value),
        METADATA => fields.resource_metadata = Some(value),
        _ => {}
    }
}

fn take_error<'a>(text: &'a [u8], key: Word, facts: &mut Facts<'a>) {
    let word = !text.contains(&b' ');
    let role = if word { Role::Code } else { Role::Sentence };
    facts.keep(Fact { key, text, role, source: Source::Challenge });
}
