//! Asking the server how a token stands (RFC 7662): the request, and what its answer is worth.

use crate::request::authenticated;
use crate::revocation::TokenKind;
use outlast_core::outcome::describe;
use outlast_core::wire::{Answer, Reply, TokenRequest};
use outlast_core::{Provider, Secret, Terms, Timestamp};
use serde_json::{Map, Value};

/// What the server says of a token. Only a plain `active` is believed: whatever else may come of
/// asking says nothing of the token, and never kills a grant (N26).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Introspection {
    /// It is good.
    Active {
        /// When it ends, where that is said.
        expires_at: Option<Timestamp>,
        /// The scope it has, where that is said.
        scope: Option<Vec<String>>,
    },
    /// It is not: expired, revoked, or never known there.
    Inactive,
    /// It cannot be told.
    Unknown {
        /// Why, in words without secrets.
        why: String,
    },
}

/// The question about `token`; nothing where the server answers none.
pub fn introspection_request(
    kind: TokenKind,
    token: &Secret,
    terms: &Terms,
    provider: &Provider,
) -> Option<TokenRequest> {
    let endpoint = provider.introspection_endpoint.as_deref()?;
    let form = vec![("token", token.clone()), ("token_type_hint", Secret::new(kind.hint()))];
    Some(authenticated(provider.form(endpoint, form), terms, provider))
}

/// What the answer says.
pub fn judge_introspection(answer: &Answer) -> Introspection {
    match answer {
        Answer::Complete(reply) if reply.status == 200 => {
            read(reply).unwrap_or_else(|| unknown("the answer does not say whether it is active"))
        }
        Answer::Complete(reply) => unknown(&format!("the server answered {}", reply.status)),
        Answer::Lost(fault) | Answer::Unsent(fault) => unknown(describe(*fault)),
    }
}

fn unknown(why: &str) -> Introspection {
    Introspection::Unknown { why: why.to_owned() }
}

fn read(reply: &Reply) -> Option<Introspection> {
    let members: Map<String, Value> = serde_json::from_slice(&reply.body).ok()?;
    if members.get("error").is_some_and(|error| !error.is_null()) {
        return None;
    }
    let Value::Bool(active) = members.get("active")? else { return None };
    if !active {
        return Some(Introspection::Inactive);
    }
    let scope = members.get("scope").and_then(Value::as_str);
    Some(Introspection::Active {
        expires_at: members.get("exp").and_then(Value::as_u64).map(Timestamp::from_secs),
        scope: scope.map(|scope| scope.split_whitespace().map(str::to_owned).collect()),
    })
}
