//! Reads the token endpoint's success leniently (RFC 6749 5.1; R7, F44).

use crate::secret::Secret;
use crate::token::TokenType;
use crate::wire::{Reply, TokenResponse};
use serde_json::Value;
use std::time::Duration;

/// The longest life that is believed: beyond ten years a number is a mistake or means "never".
const LIFE_SECS_MAX: f64 = 10.0 * 366.0 * 86_400.0;

/// The token set in a reply of the token endpoint, or nothing if it holds none that may be used.
pub fn read_token_response(reply: &Reply) -> Option<TokenResponse> {
    let text = std::str::from_utf8(&reply.body).ok()?;
    read_token_set(text)
}

/// The token set in a JSON object or a form, as a token endpoint writes it. Unknown members are
/// ignored (RFC 6749 5.1); an `error` member means it is no success whatever the status.
pub fn read_token_set(text: &str) -> Option<TokenResponse> {
    let text = text.trim_start_matches('\u{feff}').trim();
    let members = if text.starts_with('{') { json_members(text)? } else { form_members(text)? };
    let find = |name: &str| members.iter().rev().find(|(key, _)| key == name).map(|(_, value)| value);
    if find("error").is_some_and(|error| !error.is_null()) {
        return None;
    }
    let access = find("access_token")?.as_str().filter(|token| is_vschar(token))?;
    let token_type = match find("token_type") {
        // Left out although required: servers that do so mean bearer.
        None | Some(Value::Null) => TokenType::Bearer,
        Some(Value::String(name)) if name.eq_ignore_ascii_case("bearer") => TokenType::Bearer,
        Some(Value::String(name)) if name.eq_ignore_ascii_case("dpop") => TokenType::Dpop,
        // N04: a token of a type we do not know must not be used.
        Some(_) => return None,
    };
    let text_of = |name: &str| find(name).and_then(Value::as_str);
    Some(TokenResponse {
        access: Secret::new(access),
        token_type,
        expires_in: find("expires_in").and_then(life),
        refresh: text_of("refresh_token").filter(|token| is_vschar(token)).map(Secret::new),
        refresh_expires_in: find("refresh_token_expires_in").or_else(|| find("refresh_expires_in")).and_then(life),
        scope: text_of("scope")
            .map(|scope| scope.split([' ', ',']).filter(|s| !s.is_empty()).map(str::to_owned).collect::<Vec<_>>())
            .filter(|scope| !scope.is_empty()),
        id_token: text_of("id_token").filter(|token| is_vschar(token)).map(Secret::new),
    })
}

/// Number or numeric string of seconds. Zero, negative and unreadable lives are unknown lives, for
/// a server that sends them did not mean a token that is of no use (F44).
fn life(value: &Value) -> Option<Duration> {
    let secs = match value {
        Value::Number(number) => number.as_f64()?,
        Value::String(text) => text.trim().parse::<f64>().ok()?,
        Value::Array(_) | Value::Bool(_) | Value::Null | Value::Object(_) => return None,
    };
    (secs.is_finite() && secs > 0.0).then(|| Duration::from_secs_f64(secs.min(LIFE_SECS_MAX)))
}

/// RFC 6749 A.12: tokens are visible ASCII; anything else would corrupt a header field (F64).
fn is_vschar(token: &str) -> bool {
    !token.is_empty() && token.bytes().all(|byte| (0x21..=0x7e).contains(&byte))
}

fn json_members(text: &str) -> Option<Vec<(String, Value)>> {
    match serde_json::from_str::<Value>(text).ok()? {
        Value::Object(members) => Some(members.into_iter().collect()),
        _ => None,
    }
}

fn form_members(text: &str) -> Option<Vec<(String, Value)>> {
    if text.contains(['<', '{', '\n']) || !text.contains("access_token=") {
        return None;
    }
    let pairs = url::form_urlencoded::parse(text.as_bytes());
    Some(pairs.map(|(key, value)| (key.into_owned(), Value::String(value.into_owned()))).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expires_in(json: &str) -> Option<Duration> {
        read_token_set(&format!(r#"{{"access_token":"a","token_type":"Bearer","expires_in":{json}}}"#))
            .unwrap()
            .expires_in
    }

    #[test]
    fn f44_lives_are_read_from_whatever_servers_send() {
        let table = [
            ("3600", Some(3600.0)),
            ("\"3600\"", Some(3600.0)),
            ("3600.9", Some(3600.9)),
            ("\" 60 \"", Some(60.0)),
            ("0", None),
            ("-1", None),
            ("\"soon\"", None),
            ("null", None),
            ("\"NaN\"", None),
            ("\"inf\"", None),
            ("[]", None),
            ("{}", None),
            ("true", None),
            ("1e12", Some(LIFE_SECS_MAX)),
            ("1e300", Some(LIFE_SECS_MAX)),
        ];
        for (json, wanted) in table {
            assert_eq!(expires_in(json), wanted.map(Duration::from_secs_f64), "{json}");
        }
    }

    #[test]
    fn n04_a_token_of_unknown_type_is_not_used() {
        for other in [r#""mac""#, r#""""#, "7", "true", r#"["bearer"]"#, r#"{"bearer":1}"#] {
            assert!(read_token_set(&format!(r#"{{"access_token":"a","token_type":{other}}}"#)).is_none(), "{other}");
        }
        assert!(read_token_set(r#"{"access_token":"a","token_type":"BEARER"}"#).is_some());
        assert!(read_token_set(r#"{"access_token":"a"}"#).is_some());
    }

    #[test]
    fn n03_unknown_members_and_large_tokens_are_taken() {
        let token = "t".repeat(16 * 1024);
        let extra: String = (0..200).map(|n| format!(r#","x{n}":[{n}]"#)).collect();
        let read = read_token_set(&format!(r#"{{"access_token":"{token}","token_type":"bearer"{extra}}}"#)).unwrap();
        assert_eq!(read.access.expose().len(), 16 * 1024);
    }

    #[test]
    fn form_encoded_answers_are_read() {
        let read =
            read_token_set("access_token=a&token_type=bearer&expires_in=60&refresh_token=r%2B1&scope=x%20y").unwrap();
        assert_eq!(read.refresh, Some(Secret::new("r+1")));
        assert_eq!(read.scope, Some(vec!["x".to_owned(), "y".to_owned()]));
    }

    #[test]
    fn what_is_no_token_set_is_refused() {
        for text in [
            "",
            " ",
            "null",
            "[]",
            "\"access_token\"",
            "{}",
            "<html>access_token=a</html>",
            r#"{"access_token":"a""#,
            r#"{"access_token":""}"#,
            r#"{"access_token":7}"#,
            r#"{"access_token":"a b"}"#,
            r#"{"access_token":"a\r\nX-Evil: 1"}"#,
            r#"{"access_token":"a\u0000"}"#,
            r#"{"access_token":"é"}"#,
            r#"{"access_token":"a","error":"invalid_grant"}"#,
            "error=bad_refresh_token&access_token=",
        ] {
            assert!(read_token_set(text).is_none(), "{text:?}");
        }
    }

    #[test]
    fn a_byte_order_mark_does_not_hide_a_token_set() {
        assert!(read_token_set("\u{feff}{\"access_token\":\"a\"}").is_some());
    }
}
