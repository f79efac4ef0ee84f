//! Asking whose access token it is: OpenID Connect's UserInfo, or any API that says who it talks to.

use outlast_core::id_token::display_name;
use outlast_core::sign_in::Subject;
use outlast_core::wire::TokenRequest;
use outlast_core::{Reply, Secret};
use serde_json::Value;

/// The request: `asked` with the token as a bearer.
pub fn request(asked: TokenRequest, access: &Secret) -> TokenRequest {
    let authorization = Some(Secret::new(format!("Bearer {}", access.expose())));
    TokenRequest { authorization, ..asked }
}

/// Who an answer names: the account stands at `pointer` (RFC 6901), as a text or a number.
pub fn read(reply: &Reply, pointer: &str) -> Option<Subject> {
    if reply.status != 200 {
        return None;
    }
    let answer: Value = serde_json::from_slice(&reply.body).ok()?;
    let id = match answer.pointer(pointer)? {
        Value::String(text) if !text.is_empty() => text.clone(),
        Value::Number(number) => number.to_string(),
        Value::Array(_) | Value::Bool(_) | Value::Null | Value::Object(_) | Value::String(_) => return None,
    };
    let name = answer.as_object().and_then(|claims| {
        let login = || claims.get("login").and_then(Value::as_str).map(str::to_owned);
        display_name(claims).or_else(login)
    });
    Some(Subject { id, issuer: None, name })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn named(body: &str, pointer: &str) -> Option<String> {
        let reply = Reply { status: 200, body: body.as_bytes().to_vec(), ..Reply::default() };
        read(&reply, pointer).map(|subject| subject.id)
    }

    #[test]
    fn r18_an_account_is_a_text_or_a_number_wherever_the_pointer_points() {
        assert_eq!(named(r#"{"sub":"alice"}"#, "/sub").as_deref(), Some("alice"));
        assert_eq!(named(r#"{"data":{"user":{"id":17}}}"#, "/data/user/id").as_deref(), Some("17"));
    }

    #[test]
    fn what_names_nobody_is_nobody() {
        for body in ["", "[]", "{}", r#"{"sub":""}"#, r#"{"sub":null}"#, r#"{"sub":{}}"#, r#"{"sub":true}"#] {
            assert_eq!(named(body, "/sub"), None, "{body}");
        }
        let reply = Reply { status: 401, body: br#"{"sub":"alice"}"#.to_vec(), ..Reply::default() };
        assert_eq!(read(&reply, "/sub"), None);
    }
}
