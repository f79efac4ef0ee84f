//! What authorization servers say of the held tokens, for `outlast status --introspect` (RFC 7662).

use crate::exit::Fault;
use outlast::{Introspection, Keeper};
use serde_json::{Map, Value, json};

/// Asks the server of every grant in turn. What a server says changes nothing here (N26).
pub(crate) async fn ask(keeper: &Keeper) -> Result<Map<String, Value>, Fault> {
    let mut told = Map::new();
    for id in keeper.grants() {
        let answered = match keeper.grant(id)?.introspect().await {
            Ok(answered) => answered,
            // One that cannot be read keeps nobody from hearing of the others.
            Err(error) => {
                told.insert(id.to_string(), json!({ "code": error.code().as_str(), "detail": error.to_string() }));
                continue;
            }
        };
        let tokens = json!({
            "access_token": answered.access.as_ref().map(described),
            "refresh_token": answered.refresh.as_ref().map(described),
        });
        told.insert(id.to_string(), tokens);
    }
    Ok(told)
}

fn described(of: &Introspection) -> Value {
    match of {
        Introspection::Active { expires_at, scope } => {
            json!({ "is": "active", "expires_at": expires_at.map(|end| end.as_secs()), "scope": scope })
        }
        Introspection::Inactive => json!({ "is": "inactive" }),
        Introspection::Unknown { why } => json!({ "is": "unknown", "why": why }),
    }
}

/// The same as lines for people.
pub(crate) fn lines(told: &Map<String, Value>) -> String {
    let word = |tokens: &Value, kind: &str| match (tokens[kind]["is"].as_str(), tokens[kind]["why"].as_str()) {
        (Some(is), Some(why)) => format!("{is} ({why})"),
        (Some(is), None) => is.to_owned(),
        (None, _) => "not held".to_owned(),
    };
    let line = |(name, tokens): (&String, &Value)| {
        if let (Some(code), Some(detail)) = (tokens["code"].as_str(), tokens["detail"].as_str()) {
            return format!("{name}: not asked: {code}: {detail}");
        }
        let (access, refresh) = (word(tokens, "access_token"), word(tokens, "refresh_token"));
        format!("{name}: the server says: access token {access}, refresh token {refresh}")
    };
    told.iter().map(line).collect::<Vec<_>>().join("\n")
}
