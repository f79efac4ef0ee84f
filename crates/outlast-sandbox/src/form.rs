//! Forms that clients post: how they are read, who sent them, and how they are refused (RFC 6749 5.2).

use crate::body::{self, Answer};
use crate::settings::{SCOPES, Settings};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hyper::body::Incoming;
use hyper::header::{self, HeaderMap, HeaderValue};
use hyper::{Request, StatusCode};
use serde_json::json;
use std::collections::BTreeMap;
use url::form_urlencoded;

/// An error of RFC 6749 5.2.
#[derive(Debug)]
pub(crate) struct TokenError {
    code: &'static str,
    description: &'static str,
}

impl TokenError {
    pub(crate) const fn new(code: &'static str, description: &'static str) -> Self {
        Self { code, description }
    }

    const fn client() -> Self {
        Self::new("invalid_client", "client authentication failed")
    }

    pub(crate) fn answer(&self) -> Answer {
        let unauthorized = self.code == "invalid_client";
        let status = if unauthorized { StatusCode::UNAUTHORIZED } else { StatusCode::BAD_REQUEST };
        let content = json!({ "error": self.code, "error_description": self.description });
        let mut answer = uncached(body::json(status, &content));
        if unauthorized {
            let challenge = HeaderValue::from_static("Basic realm=\"outlast-sandbox\", charset=\"UTF-8\"");
            answer.headers_mut().insert(header::WWW_AUTHENTICATE, challenge);
        }
        answer
    }
}

/// The parameters of a request, none empty and, but for `resource` (RFC 8707), none repeated.
pub(crate) struct Form {
    parameters: BTreeMap<String, Vec<String>>,
    /// The client's id and secret from the `Authorization` field.
    basic: Option<(String, String)>,
}

impl Form {
    pub(crate) async fn read(request: Request<Incoming>) -> Result<Form, TokenError> {
        if request.uri().query().is_some() {
            // RFC 6749 2.3.1: credentials must not be in the address, so nothing is taken from there.
            return Err(TokenError::new("invalid_request", "parameters belong into the body"));
        }
        let basic = basic_credentials(request.headers())?;
        let media_type = request.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
        let media_type = media_type.and_then(|value| value.split(';').next()).unwrap_or_default().trim();
        if !media_type.eq_ignore_ascii_case("application/x-www-form-urlencoded") {
            return Err(TokenError::new("invalid_request", "the body must be application/x-www-form-urlencoded"));
        }
        let text = body::read(request.into_body()).await;
        let text = text.ok_or(TokenError::new("invalid_request", "the body is cut or too large"))?;
        Form::parse(&text, basic)
    }

    fn parse(text: &[u8], basic: Option<(String, String)>) -> Result<Form, TokenError> {
        let mut parameters: BTreeMap<String, Vec<String>> = BTreeMap::new();
        let mut seen = std::collections::BTreeSet::new();
        for (name, value) in form_urlencoded::parse(text) {
            if !seen.insert(name.to_string()) && name != "resource" {
                return Err(TokenError::new("invalid_request", "a parameter is repeated"));
            }
            // RFC 6749 3.2: a parameter without a value counts as left out.
            if !value.is_empty() {
                parameters.entry(name.into_owned()).or_default().push(value.into_owned());
            }
        }
        Ok(Form { parameters, basic })
    }

    pub(crate) fn first(&self, name: &str) -> Option<&str> {
        self.parameters.get(name).and_then(|values| values.first()).map(String::as_str)
    }

    pub(crate) fn required(&self, name: &'static str) -> Result<&str, TokenError> {
        self.first(name).ok_or(TokenError::new("invalid_request", "a required parameter is missing"))
    }

    /// RFC 6749 2.3: exactly one way of proving who the client is.
    pub(crate) fn authenticate(&self, settings: &Settings) -> Result<(), TokenError> {
        let in_body = self.first("client_secret");
        if self.basic.is_some() && in_body.is_some() {
            return Err(TokenError::new("invalid_request", "more than one way of client authentication"));
        }
        let (id, secret) = match &self.basic {
            Some((id, secret)) => (Some(id.as_str()), Some(secret.as_str()).filter(|secret| !secret.is_empty())),
            None => (self.first("client_id"), in_body),
        };
        // A client_id beside Basic is allowed if it names the same client.
        let same = self.first("client_id").is_none_or(|named| named == settings.client_id);
        let known = id == Some(settings.client_id.as_str()) && secret == settings.client_secret.as_deref();
        if known && same { Ok(()) } else { Err(TokenError::client()) }
    }

    /// RFC 6749 6: no scope beyond what was granted.
    pub(crate) fn check_scope(&self) -> Result<(), TokenError> {
        let mut asked = self.first("scope").unwrap_or_default().split_ascii_whitespace();
        if asked.all(|scope| SCOPES.contains(&scope)) {
            return Ok(());
        }
        Err(TokenError::new("invalid_scope", "a scope was not granted"))
    }

    /// RFC 8707: the only resource is the API, by its origin or a path below it.
    pub(crate) fn check_resource(&self, api: &str) -> Result<(), TokenError> {
        let of_api =
            |resource: &String| resource.strip_prefix(api).is_some_and(|path| path.is_empty() || path.starts_with('/'));
        if self.parameters.get("resource").is_none_or(|resources| resources.iter().all(of_api)) {
            return Ok(());
        }
        Err(TokenError::new("invalid_target", "the resource is not this server's API"))
    }
}

/// RFC 6749 2.3.1: id and secret are form-encoded before they are joined.
fn basic_credentials(headers: &HeaderMap) -> Result<Option<(String, String)>, TokenError> {
    let mut fields = headers.get_all(header::AUTHORIZATION).iter();
    let Some(field) = fields.next() else { return Ok(None) };
    if fields.next().is_some() {
        return Err(TokenError::new("invalid_request", "more than one Authorization field"));
    }
    let text = field.to_str().map_err(|_| TokenError::client())?;
    let (scheme, encoded) = text.split_once(' ').ok_or(TokenError::client())?;
    let joined = STANDARD.decode(encoded.trim()).map_err(|_| TokenError::client())?;
    let colon = joined.iter().position(|byte| *byte == b':').ok_or(TokenError::client())?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return Err(TokenError::client());
    }
    Ok(Some((form_decoded(&joined[..colon]), form_decoded(&joined[colon + 1..]))))
}

fn form_decoded(text: &[u8]) -> String {
    // With a name in front, an `=` or `&` that was not encoded cuts the value, as it would in a form.
    let named = [b"value=", text].concat();
    form_urlencoded::parse(&named).next().map(|(_, value)| value.into_owned()).unwrap_or_default()
}

/// RFC 6749 5.1: answers with tokens, and errors about them, must not be stored.
pub(crate) fn uncached(mut answer: Answer) -> Answer {
    answer.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    answer.headers_mut().insert(header::PRAGMA, HeaderValue::from_static("no-cache"));
    answer
}

pub(crate) fn method_not_allowed(allowed: &'static str) -> Answer {
    let mut answer = body::json(StatusCode::METHOD_NOT_ALLOWED, &json!({ "error": "invalid_request" }));
    answer.headers_mut().insert(header::ALLOW, HeaderValue::from_static(allowed));
    answer
}
