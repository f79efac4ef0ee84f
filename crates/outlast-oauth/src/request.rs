//! Writes token requests: what all grant types have in common.

use crate::client_authentication::authenticate;
use outlast_core::strategy::{Redemption, Renewing, Unrenewable};
use outlast_core::wire::{Content, TokenRequest};
use outlast_core::{Grant, Provider, Secret, Terms};
use url::form_urlencoded;

/// A token request of `grant_type` with its `own` parameters, the configured scope and resource,
/// and the client's authentication. Parameters without a value are left out (RFC 6749 3.2).
pub(crate) fn token_request(
    grant_type: &'static str,
    own: Vec<(&'static str, Secret)>,
    terms: &Terms,
    provider: &Provider,
) -> TokenRequest {
    let mut form = vec![("grant_type", Secret::new(grant_type))];
    form.extend(own);
    form.push(("scope", Secret::new(scope(terms))));
    // RFC 8707 2.2: a renewal without it may bring a token for another audience.
    form.push(("resource", Secret::new(terms.resource.as_deref().unwrap_or_default())));
    authenticated(provider.form(&provider.token_endpoint, form), terms, provider)
}

/// This request with the client's authentication, and without the parameters that have no value.
pub(crate) fn authenticated(mut request: TokenRequest, terms: &Terms, provider: &Provider) -> TokenRequest {
    authenticate(terms, provider, &mut request);
    if let Content::Form(form) = &mut request.content {
        form.retain(|(_, value)| !value.is_empty());
    }
    request
}

/// The refresh request of RFC 6749 6, the renewal of every grant type that holds a refresh token.
pub(crate) fn refresh(renewing: &Renewing<'_>) -> Result<Redemption, Unrenewable> {
    let Renewing { grant, terms, provider, .. } = *renewing;
    if terms.dpop && grant.proof_key.is_none() {
        // Sent without a proof it would bring a token that must not be used, and be spent for it.
        return Err(Unrenewable::Misconfigured(
            "dpop is set, and what is held is bound to no key: sign in with outlast login, or remove dpop",
        ));
    }
    let held = grant.tokens.as_ref().and_then(|tokens| tokens.refresh.clone());
    let refresh = held.filter(|token| !token.is_empty()).ok_or(Unrenewable::NoRefreshToken)?;
    let mut request = token_request("refresh_token", vec![("refresh_token", refresh)], terms, provider);
    if !asks_for_what_was_granted(grant, terms)
        && let Content::Form(form) = &mut request.content
    {
        form.retain(|(name, _)| *name != "scope");
    }
    request.proof_key = grant.proof_key.clone();
    Ok(Redemption::Post(request))
}

/// Whether the configured scope is that of the grant. If not, none is sent, which means what was
/// granted (RFC 6749 6): more would be refused (N06), and less would take away again what a later
/// sign-in brought. To the word: a server that gave out a refresh token and left `offline_access` out
/// of what it granted refuses to be asked for it here.
fn asks_for_what_was_granted(grant: &Grant, terms: &Terms) -> bool {
    let granted = grant.tokens.as_ref().and_then(|tokens| tokens.scope.as_ref());
    let is_granted = |word: &str| granted.is_none_or(|granted| granted.iter().any(|one| one == word));
    terms.scope_words().all(is_granted) && grant.wanted.scope.is_empty()
}

/// The form as it is sent (`application/x-www-form-urlencoded`).
pub(crate) fn form_body(form: &[(&'static str, Secret)], further: &[(String, Secret)]) -> String {
    let mut body = form_urlencoded::Serializer::new(String::new());
    for (name, value) in form {
        body.append_pair(name, value.expose());
    }
    for (name, value) in further {
        body.append_pair(name, value.expose());
    }
    body.finish()
}

/// The configured scope and never more (RFC 6749 6): a wider one is asked of the person, not of
/// the token endpoint.
fn scope(terms: &Terms) -> String {
    let words = terms.scope.iter().flat_map(|entry| entry.split_whitespace());
    words.collect::<Vec<_>>().join(" ")
}
