//! Who signed in: by the ID token, else by UserInfo, else by an API that the configuration names.

use super::error::LoginError;
use crate::keeper::{Entry, Parts};
use outlast_core::id_token::{Expected, read_id_token};
use outlast_core::sign_in::Subject;
use outlast_core::token::TokenType;
use outlast_core::wire::{Answer, Provider};
use outlast_core::{Secret, Terms, Timestamp, TokenRequest, TokenResponse};
use outlast_oauth::account;

/// What the login asked for.
pub(super) struct Asked<'a> {
    pub(super) entry: &'a Entry,
    pub(super) terms: &'a Terms,
    pub(super) provider: &'a Provider,
    pub(super) nonce: Option<&'a Secret>,
}

/// Who signed in; nobody where no way of asking is known or none was answered.
pub(super) async fn find(
    parts: &Parts,
    asked: &Asked<'_>,
    response: &TokenResponse,
    now: Timestamp,
) -> Result<Option<Subject>, LoginError> {
    if let Some(subject) = by_id_token(asked, response, now)? {
        return Ok(Some(subject));
    }
    let openid = asked.terms.scope.iter().any(|word| word == "openid");
    let userinfo = asked.provider.userinfo_endpoint.as_deref().filter(|_| openid);
    if let Some(address) = userinfo
        && let Some(subject) = by_asking(parts, asked.provider.get(address), "/sub", response).await
    {
        return Ok(Some(subject));
    }
    let login = &asked.entry.settings.login;
    match &login.subject_url {
        Some(address) => {
            let pointer = login.subject_pointer.as_deref().unwrap_or("/sub");
            Ok(by_asking(parts, TokenRequest::get(address), pointer, response).await)
        }
        None => Ok(None),
    }
}

/// An ID token that does not fit is no reason to look elsewhere: whatever came with it belongs to
/// another login, client or server.
fn by_id_token(asked: &Asked<'_>, response: &TokenResponse, now: Timestamp) -> Result<Option<Subject>, LoginError> {
    let Some(claims) = response.id_token.as_ref().and_then(read_id_token) else { return Ok(None) };
    let issuer = asked.provider.issuer.as_deref();
    let expected = Expected { issuer, client_id: &asked.terms.client_id, nonce: asked.nonce };
    claims
        .check(&expected, now)
        .map_err(|mistake| LoginError::Refused { grant: asked.terms.id.clone(), why: mistake.describe().to_owned() })?;
    Ok(Some(Subject { id: claims.subject, issuer: Some(claims.issuer), name: claims.name }))
}

async fn by_asking(parts: &Parts, question: TokenRequest, pointer: &str, response: &TokenResponse) -> Option<Subject> {
    match response.token_type {
        TokenType::Bearer => {}
        // Such a request needs a proof with a hash of the token, which no token request has.
        TokenType::Dpop => return None,
    }
    match parts.endpoint.ask(&account::request(question, &response.access)).await {
        Answer::Complete(reply) => account::read(&reply, pointer),
        Answer::Lost(_) | Answer::Unsent(_) => None,
    }
}
