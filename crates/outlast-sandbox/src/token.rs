//! The authorization server over HTTP: discovery, token endpoint, revocation endpoint.

use crate::body::{self, Answer};
use crate::device::NoToken;
use crate::device_endpoint::DEVICE_AUTHORIZATION_PATH;
use crate::fault::{Fault, Moment};
use crate::form::{Form, TokenError, method_not_allowed, uncached};
use crate::server::{Cut, Shared, fresh_tokens};
use crate::settings::{IssuedTokens, SCOPES};
use crate::state::{FlightOf, FreshTokens, Refusal};
use hyper::body::Incoming;
use hyper::header::{self, HeaderValue};
use hyper::{Method, Request, StatusCode};
use serde_json::json;
use std::sync::Arc;

pub(crate) const DISCOVERY_PATH: &str = "/.well-known/oauth-authorization-server";
pub(crate) const REVOCATION_PATH: &str = "/revoke";
pub(crate) const TOKEN_PATH: &str = "/token";
/// The grant type of RFC 8628 3.4.
const DEVICE_CODE: &str = "urn:ietf:params:oauth:grant-type:device_code";

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
        "device_authorization_endpoint": format!("{issuer}{DEVICE_AUTHORIZATION_PATH}"),
        "grant_types_supported": ["client_credentials", "refresh_token", DEVICE_CODE],
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
        DEVICE_CODE => device_login(shared, form.required("device_code")?, fresh),
        _ => Err(TokenError::new(
            "unsupported_grant_type",
            "refresh_token, client_credentials or RFC 8628's device_code",
        )),
    }
}

/// One poll (RFC 8628 3.4): a new family once the person has allowed it.
fn device_login(shared: &Shared, device_code: &str, fresh: FreshTokens) -> Result<IssuedTokens, TokenError> {
    let answer = shared.with(|world, now| {
        world.devices.poll(device_code, now)?;
        world.server.note_device_login();
        Ok(world.server.issue(fresh, now))
    });
    answer.map_err(|why| match why {
        NoToken::Denied => TokenError::new("access_denied", "the person refused"),
        NoToken::Expired => TokenError::new("expired_token", "the device code has expired"),
        NoToken::Pending => TokenError::new("authorization_pending", "the person has not answered yet"),
        NoToken::SlowDown => TokenError::new("slow_down", "asked too soon; wait 5 seconds longer from now on"),
        NoToken::Unknown => TokenError::new("invalid_grant", "the device code is unknown or was used"),
    })
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
