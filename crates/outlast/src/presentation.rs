//! How a request carries the access token.

use http::header::AUTHORIZATION;
use http::{HeaderName, HeaderValue};
use outlast_core::Secret;
use outlast_core::token::TokenType;

/// What stands for the token in a format.
const TOKEN: &str = "{token}";

/// The field that carries the token, and what stands in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Presentation {
    field: HeaderName,
    /// With [`TOKEN`] in it; empty for the token's scheme and a blank before it (RFC 6750 2.1).
    format: String,
}

impl Default for Presentation {
    fn default() -> Self {
        Self { field: AUTHORIZATION, format: String::new() }
    }
}

impl Presentation {
    /// In the field `field`, as `format` says with `{token}` in it; without a format, the token
    /// alone, or with its scheme if the field is Authorization.
    ///
    /// # Errors
    /// In words, if the name is no field's, or the format cannot stand in one.
    pub fn new(field: Option<&str>, format: Option<&str>) -> Result<Self, &'static str> {
        let field = match field {
            None => AUTHORIZATION,
            Some(name) => HeaderName::from_bytes(name.as_bytes()).map_err(|_| "this is not the name of a header")?,
        };
        if is_framing(&field) {
            return Err("this header frames the request and cannot carry a token");
        }
        let usual = if field == AUTHORIZATION { "" } else { TOKEN };
        let format = format.unwrap_or(usual);
        if !format.is_empty() && !format.contains(TOKEN) {
            return Err("the format does not say where the token stands: write {token} there");
        }
        if HeaderValue::from_str(format).is_err() {
            return Err("the format has a character that cannot stand in a header");
        }
        Ok(Self { field, format: format.to_owned() })
    }

    /// The field.
    pub fn field(&self) -> &HeaderName {
        &self.field
    }

    /// The field's value, marked sensitive; nothing for a token that cannot stand in a field.
    pub(crate) fn value(&self, token_type: TokenType, token: &Secret) -> Option<HeaderValue> {
        let scheme = match token_type {
            TokenType::Bearer => "Bearer",
            TokenType::Dpop => "DPoP",
        };
        let text = match self.format.as_str() {
            "" => format!("{scheme} {}", token.expose()),
            format => format.replace(TOKEN, token.expose()),
        };
        let mut value = HeaderValue::try_from(text).ok()?;
        value.set_sensitive(true);
        Some(value)
    }
}

/// Fields that say where a request goes or where its body ends.
fn is_framing(field: &HeaderName) -> bool {
    use http::header::{CONNECTION, CONTENT_LENGTH, HOST, TE, TRAILER, TRANSFER_ENCODING, UPGRADE};
    [CONNECTION, CONTENT_LENGTH, HOST, TE, TRAILER, TRANSFER_ENCODING, UPGRADE].contains(field)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(field: Option<&str>, format: Option<&str>) -> (String, String) {
        let presentation = Presentation::new(field, format).unwrap();
        let value = presentation.value(TokenType::Bearer, &Secret::new("abc")).unwrap();
        assert!(value.is_sensitive());
        (presentation.field().to_string(), value.to_str().unwrap().to_owned())
    }

    #[test]
    fn a_token_stands_where_it_is_wanted() {
        let table = [
            (None, None, "authorization", "Bearer abc"),
            (Some("X-Api-Key"), None, "x-api-key", "abc"),
            (None, Some("token {token}"), "authorization", "token abc"),
            (Some("Authorization"), Some("Basic {token}"), "authorization", "Basic abc"),
        ];
        for (field, format, name, value) in table {
            assert_eq!(shown(field, format), (name.to_owned(), value.to_owned()));
        }
    }

    #[test]
    fn f64_what_would_break_a_request_is_refused() {
        for (field, format) in [
            (Some("a b"), None),
            (Some("x:y"), None),
            (Some("Host"), None),
            (Some("Content-Length"), None),
            (None, Some("no token here")),
            (None, Some("{token}\r\nX-Evil: 1")),
        ] {
            assert!(Presentation::new(field, format).is_err(), "{field:?} {format:?}");
        }
    }
}
