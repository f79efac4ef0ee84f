//! What an ID token says of who signed in (OpenID Connect Core 2, 3.1.3.7).
//!
//! Its signature is not checked. It comes from the token endpoint itself, over TLS that has checked
//! who that is, and for this case 3.1.3.7 (6) lets the TLS stand in for the signature. An ID token
//! from anywhere else must not be read here.

use crate::clock::Timestamp;
use crate::secret::Secret;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value};
use std::time::Duration;

/// How far our clock and the server's may be apart.
const LEEWAY: Duration = Duration::from_secs(10 * 60);

/// The claims Outlast has use for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdToken {
    /// `iss`.
    pub issuer: String,
    /// `sub`.
    pub subject: String,
    /// `aud`, always as a list.
    pub audience: Vec<String>,
    /// `azp`.
    pub authorized_party: Option<String>,
    /// `exp`.
    pub expires_at: Option<Timestamp>,
    /// `nonce`.
    pub nonce: Option<String>,
    /// A name for people: `preferred_username`, else `email`, else `name`.
    pub name: Option<String>,
    /// Whether it claims to be signed at all.
    pub signed: bool,
}

/// Why an ID token is not believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mistake {
    /// It was made for another client.
    Audience,
    /// It has ended.
    Expired,
    /// It is of another issuer.
    Issuer,
    /// It answers another login.
    Nonce,
    /// It says that it is not signed (`alg` is `none`).
    Unsigned,
}

impl Mistake {
    /// What is wrong, as part of a sentence.
    pub const fn describe(self) -> &'static str {
        match self {
            Self::Audience => "its ID token was made for another client",
            Self::Expired => "its ID token has ended",
            Self::Issuer => "its ID token is of another issuer",
            Self::Nonce => "its ID token answers another login",
            Self::Unsigned => "its ID token is not signed",
        }
    }
}

/// What an ID token has to say to be believed.
#[derive(Clone, Copy, Debug)]
pub struct Expected<'a> {
    /// The issuer, where known.
    pub issuer: Option<&'a str>,
    /// The client.
    pub client_id: &'a str,
    /// What was sent with the request for it.
    pub nonce: Option<&'a Secret>,
}

/// The claims of an ID token; nothing if they cannot be read, as those of an encrypted one.
pub fn read_id_token(token: &Secret) -> Option<IdToken> {
    let parts: Vec<&str> = token.expose().split('.').collect();
    let [header, claims, _signature] = parts.as_slice() else { return None };
    let (header, claims) = (members(header)?, members(claims)?);
    let text = |name: &str| claims.get(name).and_then(Value::as_str).map(str::to_owned);
    Some(IdToken {
        issuer: text("iss")?,
        subject: text("sub").filter(|subject| !subject.is_empty())?,
        audience: audience(claims.get("aud")?)?,
        authorized_party: text("azp"),
        expires_at: claims.get("exp").and_then(Value::as_f64).map(seconds),
        nonce: text("nonce"),
        name: display_name(&claims),
        signed: header.get("alg").and_then(Value::as_str).is_some_and(|alg| !alg.eq_ignore_ascii_case("none")),
    })
}

/// The name a person is known by, from the standard claims (OpenID Connect Core 5.1).
pub fn display_name(claims: &Map<String, Value>) -> Option<String> {
    let names = ["preferred_username", "email", "name"].into_iter();
    names.filter_map(|name| claims.get(name)?.as_str()).find(|name| !name.is_empty()).map(str::to_owned)
}

impl IdToken {
    /// Whether it may be believed (OpenID Connect Core 3.1.3.7).
    pub fn check(&self, expected: &Expected<'_>, now: Timestamp) -> Result<(), Mistake> {
        if !self.signed {
            return Err(Mistake::Unsigned);
        }
        if expected.issuer.is_some_and(|issuer| issuer != self.issuer) {
            return Err(Mistake::Issuer);
        }
        if !self.is_for(expected.client_id) {
            return Err(Mistake::Audience);
        }
        if self.expires_at.is_some_and(|end| end.plus(LEEWAY) <= now) {
            return Err(Mistake::Expired);
        }
        match (expected.nonce, &self.nonce) {
            (Some(sent), Some(answered)) if sent.matches(answered) => Ok(()),
            (None, _) => Ok(()),
            (Some(_), _) => Err(Mistake::Nonce),
        }
    }

    /// Whether it was made for this client, and for it alone or with it as the one who may use it.
    pub fn is_for(&self, client_id: &str) -> bool {
        let named = self.audience.iter().any(|audience| audience == client_id);
        named && self.authorized_party.as_deref().is_none_or(|party| party == client_id)
    }
}

fn members(part: &str) -> Option<Map<String, Value>> {
    let bytes = URL_SAFE_NO_PAD.decode(part.trim_end_matches('=')).ok()?;
    serde_json::from_slice(&bytes).ok()
}

fn audience(value: &Value) -> Option<Vec<String>> {
    match value {
        Value::String(one) => Some(vec![one.clone()]),
        Value::Array(many) => many.iter().map(|entry| entry.as_str().map(str::to_owned)).collect(),
        Value::Bool(_) | Value::Null | Value::Number(_) | Value::Object(_) => None,
    }
}

fn seconds(value: f64) -> Timestamp {
    Timestamp::from_millis((value.max(0.0) * 1000.0) as u64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn token(header: Value, claims: &Value) -> Secret {
        let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        Secret::new(format!("{}.{}.c2ln", part(&header), part(claims)))
    }

    fn claims() -> Value {
        json!({ "iss": "https://as.example", "sub": "alice", "aud": "client", "exp": 2000, "nonce": "n" })
    }

    fn checked(header: Value, claims: &Value) -> Result<(), Mistake> {
        let nonce = Secret::new("n");
        let expected = Expected { issuer: Some("https://as.example"), client_id: "client", nonce: Some(&nonce) };
        read_id_token(&token(header, claims)).unwrap().check(&expected, Timestamp::from_secs(1500))
    }

    fn with(name: &str, value: Value) -> Value {
        let mut claims = claims();
        claims[name] = value;
        claims
    }

    #[test]
    fn an_id_token_of_this_login_is_believed() {
        assert_eq!(checked(json!({ "alg": "ES256" }), &claims()), Ok(()));
        assert_eq!(checked(json!({ "alg": "ES256" }), &with("aud", json!(["client", "other"]))), Ok(()));
    }

    #[test]
    fn an_id_token_of_anything_else_is_not() {
        let signed = || json!({ "alg": "RS256" });
        assert_eq!(checked(json!({ "alg": "none" }), &claims()), Err(Mistake::Unsigned));
        assert_eq!(checked(json!({ "alg": "NONE" }), &claims()), Err(Mistake::Unsigned));
        assert_eq!(checked(json!({}), &claims()), Err(Mistake::Unsigned));
        assert_eq!(checked(signed(), &with("iss", json!("https://as.example/"))), Err(Mistake::Issuer));
        assert_eq!(checked(signed(), &with("aud", json!("other"))), Err(Mistake::Audience));
        assert_eq!(checked(signed(), &with("azp", json!("other"))), Err(Mistake::Audience));
        assert_eq!(checked(signed(), &with("exp", json!(800))), Err(Mistake::Expired));
        assert_eq!(checked(signed(), &with("nonce", json!("m"))), Err(Mistake::Nonce));
        assert_eq!(checked(signed(), &with("nonce", Value::Null)), Err(Mistake::Nonce));
    }

    #[test]
    fn what_cannot_be_read_says_nothing() {
        for text in ["", "a.b", "a.b.c", "e30.e30.x", "e30.e30.e30.e30.e30"] {
            assert_eq!(read_id_token(&Secret::new(text)), None, "{text}");
        }
        assert_eq!(read_id_token(&token(json!({ "alg": "ES256" }), &with("sub", json!("")))), None);
    }
}
