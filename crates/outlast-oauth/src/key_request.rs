//! Writes the request that makes a new API key or puts a replaced one out of use, and reads the new key
//! in its answer.

use crate::tool_output::{self, Format};
use http::{HeaderName, HeaderValue, Method};
use outlast_core::wire::Content;
use outlast_core::{KeyRequest, Reply, Secret, Timestamp, TokenRequest, TokenResponse};
use serde_json::Value;

/// What stands for the key in a body.
const KEY: &str = "{key}";

/// `asked` as a request that `key` authenticates by standing in the field `carried`.
pub fn key_request(asked: &KeyRequest, key: &Secret, carried: (HeaderName, HeaderValue)) -> TokenRequest {
    let body = asked.body.clone().map(|body| with_key(body, key));
    let content = match (body, &asked.method) {
        (Some(body), _) => Content::Json(Secret::new(body.to_string())),
        (None, &Method::DELETE) => Content::None,
        // Services that take JSON want some, though there is nothing to say.
        (None, _) => Content::Json(Secret::new("{}")),
    };
    TokenRequest {
        content,
        method: Some(asked.method.clone()),
        carried: Some(carried),
        ..TokenRequest::form(&asked.address, Vec::new())
    }
}

/// The new key in a reply; nothing if there is none where `asked` says.
pub(crate) fn read_key(asked: &KeyRequest, reply: &Reply) -> Option<TokenResponse> {
    let text = Secret::new(std::str::from_utf8(&reply.body).ok()?);
    let format = Format::Json { token: Some(asked.read.as_deref()?), end: None };
    // No end is read, so the moment does not matter.
    let read = tool_output::read(&text, format, Timestamp::from_secs(0)).ok()?;
    Some(TokenResponse { expires_in: None, ..read })
}

/// Set as a whole text of JSON, so that no key can end it.
fn with_key(body: Value, key: &Secret) -> Value {
    match body {
        Value::String(text) if text == KEY => Value::String(key.expose().to_owned()),
        Value::Array(members) => members.into_iter().map(|member| with_key(member, key)).collect(),
        Value::Object(members) => members
            .into_iter()
            .map(|(name, member)| (name, with_key(member, key)))
            .collect::<serde_json::Map<_, _>>()
            .into(),
        other @ (Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_)) => other,
    }
}
