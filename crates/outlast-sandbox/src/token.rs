//! The authorization server over HTTP: discovery, token endpoint, revocation endpoint.

use crate::body::{self, Answer};
use crate::fault::{Fault, Moment};
use crate::server::{Cut, Shared, fresh_tokens};
use crate::settings::{IssuedTokens, SCOPES, Settings};
use crate::state::{FlightOf, Refusal};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hyper::body::Incoming;
use hyper::header::{self, HeaderMap, HeaderValue};
use hyper::{Method, Request, StatusCode};
use serde_json::json;
use std::collections::BTreeMap;
use std::sync::Arc;
use url::form_urlencoded;

pub(crate) const DISCOVERY_PATH: &str = "/.well-known/oauth-authorization-server";
pub(crate) const REVOCATION_PATH: &str = "/revoke";
pub(crate) const TOKEN_PATH: &str = "/token";

const HTML_PAGE: &str = "<!DOCTYPE html><html><head><title>Bad Gateway</title></head><body><h1>Bad Gateway</h1>\
                         <p>The server is being looked after.</p></body></html>";

/// RFC 8414 metadata.
pub(crate) fn discovery(shared: &Shared, method: &Method) -> Answer {
    if method != Method::GET {
        return method_not_allowed("GET");
    }
    let (issuer, public) = (&shared.issuer, shared.settings.client_secret.is_none());
    let methods = if public { json!(["none"]) } else { json!(["client_secret_basic", "client_secret_post"]) };
    let metadata = json!({
        "issuer": issuer,
        "token_endpoint": format!("{issuer}{TOKEN_PATH}"),
        "revocation_endpoint": format!("{issuer}{REVOCATION_PATH}"),
        "grant_types_supported": ["client_credentials", "refresh_token"],
        "response_types_supported": [],
        "scopes_supported": SCOPES,
        "token_endpoint_auth_methods_supported": methods,
        "revocation_endpoint_auth_methods_supported": methods,
    });
    body::json(StatusCode::OK, &metadata)
}

/// RFC 6749 3.2, with the faults that were asked for.
pub(crate) async fn token(shared: &Arc<Shared>, request: Request<Incoming>) -> Result<Answer, Cut> {
    if request.method() != Method::POST {
        return Ok(method_not_allowed("POST"));
    }
    let form = Form::read(request).await;
    let refresh_token = form.as_ref().ok().and_then(|form| form.first("refresh_token"));
    let _in_progress = Flight::enter(shared, refresh_token);
    if let Some(fault) = shared.with(|world, now| world.faults.take(Moment::BeforeToken, now)) {
        return instead_of_an_answer(&fault);
    }
    let decided = form.and_then(|form| redeem(shared, &form));
    let lost = decided.is_ok() && shared.with(|world, now| world.faults.take(Moment::AfterToken, now).is_some());
    if lost {
        shared.with(|world, _| world.server.note_lost_answer());
        return Err(Cut);
    }
    if let Some(Fault::Slow { delay }) = shared.with(|world, now| world.faults.take(Moment::AnswerToken, now)) {
        tokio::time::sleep(delay).await;
    }
    Ok(match decided {
        Ok(issued) => uncached(body::json(StatusCode::OK, &issued.token_response())),
        Err(error) => {
            shared.with(|world, _| world.server.note_refused());
            error.answer()
        }
    })
}

/// RFC 7009: a client that proves who it is gets 200, whether or not the token was known.
pub(crate) async fn revocation(shared: &Arc<Shared>, request: Request<Incoming>) -> Answer {
    if request.method() != Method::POST {
        return method_not_allowed("POST");
    }
    let token = async {
        let form = Form::read(request).await?;
        form.authenticate(&shared.settings)?;
        form.required("token").map(str::to_owned)
    };
    match token.await {
        Ok(token) => {
            shared.with(|world, _| world.server.revoke(&token));
            uncached(body::empty(StatusCode::OK))
        }
        Err(error) => error.answer(),
    }
}

fn redeem(shared: &Shared, form: &Form) -> Result<IssuedTokens, TokenError> {
    form.authenticate(&shared.settings)?;
    form.check_scope()?;
    form.check_resource(&shared.api)?;
    let fresh = fresh_tokens();
    match form.required("grant_type")? {
        "refresh_token" => {
            let presented = form.required("refresh_token")?;
            let refused = |why| match why {
                Refusal::Reused => "the refresh token was already used, and the family is revoked",
                Refusal::Expired | Refusal::FamilyRevoked | Refusal::Unknown => {
                    "the refresh token is expired, revoked or unknown"
                }
            };
            let answer = shared.with(|world, now| world.server.refresh(presented, fresh, now));
            answer.map_err(|why| TokenError::new("invalid_grant", refused(why)))
        }
        "client_credentials" if shared.settings.client_secret.is_none() => {
            Err(TokenError::new("unauthorized_client", "a public client cannot use client_credentials"))
        }
        "client_credentials" => Ok(shared.with(|world, now| world.server.client_credentials(fresh, now))),
        _ => Err(TokenError::new("unsupported_grant_type", "refresh_token or client_credentials")),
    }
}

fn instead_of_an_answer(fault: &Fault) -> Result<Answer, Cut> {
    match fault {
        Fault::Html { status } => {
            let status = StatusCode::from_u16(*status).unwrap_or(StatusCode::BAD_GATEWAY);
            Ok(body::typed(status, "text/html; charset=utf-8", HTML_PAGE))
        }
        Fault::Unavailable => {
            let mut answer = body::typed(StatusCode::SERVICE_UNAVAILABLE, "text/plain; charset=utf-8", "unavailable");
            answer.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
            Ok(answer)
        }
        Fault::ApiUnauthorized | Fault::CutConnection | Fault::LostAnswer | Fault::Slow { .. } => Err(Cut),
    }
}

/// A token request in progress; it is over when this is dropped, also when the client hung up.
struct Flight {
    shared: Arc<Shared>,
    of: FlightOf,
}

impl Flight {
    fn enter(shared: &Arc<Shared>, refresh_token: Option<&str>) -> Self {
        let of = shared.with(|world, _| world.server.enter(refresh_token));
        Self { shared: Arc::clone(shared), of }
    }
}

impl Drop for Flight {
    fn drop(&mut self) {
        self.shared.with(|world, _| world.server.leave(self.of));
    }
}

/// An error of RFC 6749 5.2.
#[derive(Debug)]
struct TokenError {
    code: &'static str,
    description: &'static str,
}

impl TokenError {
    const fn new(code: &'static str, description: &'static str) -> Self {
        Self { code, description }
    }

    const fn client() -> Self {
        Self::new("invalid_client", "client authentication failed")
    }

    fn answer(&self) -> Answer {
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
struct Form {
    parameters: BTreeMap<String, Vec<String>>,
    /// The client's id and secret from the `Authorization` field.
    basic: Option<(String, String)>,
}

impl Form {
    async fn read(request: Request<Incoming>) -> Result<Form, TokenError> {
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

    fn first(&self, name: &str) -> Option<&str> {
        self.parameters.get(name).and_then(|values| values.first()).map(String::as_str)
    }

    fn required(&self, name: &'static str) -> Result<&str, TokenError> {
        self.first(name).ok_or(TokenError::new("invalid_request", "a required parameter is missing"))
    }

    /// RFC 6749 2.3: exactly one way of proving who the client is.
    fn authenticate(&self, settings: &Settings) -> Result<(), TokenError> {
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
    fn check_scope(&self) -> Result<(), TokenError> {
        let mut asked = self.first("scope").unwrap_or_default().split_ascii_whitespace();
        if asked.all(|scope| SCOPES.contains(&scope)) {
            return Ok(());
        }
        Err(TokenError::new("invalid_scope", "a scope was not granted"))
    }

    /// RFC 8707: the only resource is the API, by its origin or a path below it.
    fn check_resource(&self, api: &str) -> Result<(), TokenError> {
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
fn uncached(mut answer: Answer) -> Answer {
    answer.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    answer.headers_mut().insert(header::PRAGMA, HeaderValue::from_static("no-cache"));
    answer
}

fn method_not_allowed(allowed: &'static str) -> Answer {
    let mut answer = body::json(StatusCode::METHOD_NOT_ALLOWED, &json!({ "error": "invalid_request" }));
    answer.headers_mut().insert(header::ALLOW, HeaderValue::from_static(allowed));
    answer
}
