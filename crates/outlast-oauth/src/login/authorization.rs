//! One authorization request (RFC 6749 4.1.1), and the exchange of the code it brings (4.1.3).

use super::random::{challenge, draw};
use crate::address;
use crate::provider::generic;
use crate::request::authenticated;
use outlast_core::grant::Wanted;
use outlast_core::wire::TokenRequest;
use outlast_core::{Provider, Secret, Terms};
use std::fmt;
use url::Url;

/// What an authorization request is written from.
#[derive(Clone, Copy, Debug)]
pub struct Asking<'a> {
    /// What the configuration says of the grant, with the client that is registered for it.
    pub terms: &'a Terms,
    /// The server.
    pub provider: &'a Provider,
    /// What was asked for since the last login.
    pub wanted: &'a Wanted,
    /// Where the browser comes back to.
    pub redirect_uri: &'a str,
    /// Thumbprint of the key that the code is to be bound to (RFC 9449 10).
    pub proof_key_thumbprint: Option<&'a str>,
}

/// An authorization request. Each is used for one login: what is secret in it is drawn anew.
#[derive(Clone, Debug)]
pub struct Authorization {
    endpoint: Url,
    parameters: Vec<(String, String)>,
    state: Secret,
    verifier: Option<Secret>,
    nonce: Option<Secret>,
    redirect_uri: String,
}

/// Why no authorization request can be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CannotAsk {
    /// The address is not https, nor on loopback.
    Address,
    /// There is no client identifier.
    NoClient,
    /// No authorization endpoint is known.
    NoEndpoint,
    /// The operating system has no random numbers.
    NoRandom,
    /// The server does not offer S256 (RFC 7636); a plain challenge protects nothing.
    NoS256,
    /// The server does not say that it offers S256, and it has to.
    SilentAboutS256,
}

impl fmt::Display for CannotAsk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Address => {
                "its server's authorization endpoint is neither https nor on loopback: correct its address"
            }
            Self::NoClient => {
                "it has no client_id: set client_id to what the server gave when the client was registered"
            }
            Self::NoEndpoint => {
                "no authorization endpoint is known of its server: set provider or issuer in place of token_endpoint"
            }
            Self::NoRandom => "the operating system has no random numbers: mend the machine",
            Self::NoS256 => {
                "its server does not offer the challenge method S256 (RFC 7636): ask its operator to turn it on"
            }
            Self::SilentAboutS256 => {
                "its server does not say that it offers the challenge method S256 (RFC 7636), and must: ask its \
                 operator to list it in the metadata"
            }
        })
    }
}

impl Authorization {
    /// Draws a new request.
    pub fn begin(asking: &Asking<'_>) -> Result<Self, CannotAsk> {
        let Asking { terms, provider, redirect_uri, .. } = *asking;
        let endpoint = provider.authorization_endpoint.as_deref().ok_or(CannotAsk::NoEndpoint)?;
        // N53: what a person's browser is opened with is http or https and nothing else.
        let endpoint = address::check(endpoint).map_err(|_| CannotAsk::Address)?;
        if terms.client_id.is_empty() {
            return Err(CannotAsk::NoClient);
        }
        let draw = || draw().map_err(|_| CannotAsk::NoRandom);
        let verifier = if challenges(provider)? { Some(draw()?) } else { None };
        let nonce = if scope(asking).contains(&"openid") { Some(draw()?) } else { None };
        let mut request = Self {
            endpoint,
            parameters: Vec::new(),
            state: draw()?,
            verifier,
            nonce,
            redirect_uri: redirect_uri.to_owned(),
        };
        request.parameters = request.write(asking);
        Ok(request)
    }

    /// What ties an answer to this request.
    pub fn state(&self) -> &Secret {
        &self.state
    }

    /// What an ID token has to repeat.
    pub fn nonce(&self) -> Option<&Secret> {
        self.nonce.as_ref()
    }

    /// Where the browser comes back to.
    pub fn redirect_uri(&self) -> &str {
        &self.redirect_uri
    }

    /// The address a person's browser is sent to.
    pub fn address(&self) -> String {
        self.addressed(self.parameters.iter().map(|(name, value)| (name.as_str(), value.as_str())))
    }

    /// The same for a request that was pushed (RFC 9126 4): it holds nothing but a reference.
    pub fn pushed_address(&self, request_uri: &str, terms: &Terms) -> String {
        self.addressed([("client_id", terms.client_id.as_str()), ("request_uri", request_uri)])
    }

    /// This request as it is pushed (RFC 9126 2.1), to a server that takes pushed requests.
    pub fn push(&self, terms: &Terms, provider: &Provider) -> Option<TokenRequest> {
        let endpoint = provider.push_endpoint.as_deref()?;
        let mut request = authenticated(provider.form(endpoint, Vec::new()), terms, provider);
        // The client's authentication names it where that is due.
        let named = request.form_members().iter().any(|(name, _)| *name == "client_id");
        let parameters = self.parameters.iter().filter(|(name, _)| !(named && name == "client_id"));
        request.further = parameters.map(|(name, value)| (name.clone(), Secret::new(value.as_str()))).collect();
        Some(request)
    }

    /// The request that exchanges the code (RFC 6749 4.1.3). It names no scope: the code has one.
    pub fn exchange(&self, code: &Secret, terms: &Terms, provider: &Provider) -> TokenRequest {
        let endpoint = provider.exchange_endpoint.as_deref().unwrap_or(&provider.token_endpoint);
        let mut form = vec![
            ("grant_type", Secret::new("authorization_code")),
            ("code", code.clone()),
            ("redirect_uri", Secret::new(self.redirect_uri.as_str())),
            ("resource", Secret::new(terms.resource.as_deref().unwrap_or_default())),
        ];
        form.extend(self.verifier.clone().map(|verifier| ("code_verifier", verifier)));
        authenticated(provider.form(endpoint, form), terms, provider)
    }

    fn addressed<'p>(&self, parameters: impl IntoIterator<Item = (&'p str, &'p str)>) -> String {
        let mut address = self.endpoint.clone();
        // The endpoint may have a query of its own, which stays (RFC 6749 3.1).
        address.query_pairs_mut().extend_pairs(parameters);
        address.into()
    }

    fn write(&self, asking: &Asking<'_>) -> Vec<(String, String)> {
        let Asking { terms, provider, wanted, redirect_uri, proof_key_thumbprint } = *asking;
        let separator = provider.scope_separator.unwrap_or(' ').to_string();
        let scope = scope(asking);
        let joined = scope.join(&separator);
        let max_age = wanted.max_age.map(|age| age.as_secs().to_string());
        let challenge = self.verifier.as_ref().map(challenge);
        let method = challenge.as_ref().map(|_| "S256");
        let own = [
            ("response_type", Some("code")),
            ("client_id", Some(terms.client_id.as_str())),
            ("redirect_uri", Some(redirect_uri)),
            ("scope", Some(joined.as_str()).filter(|scope| !scope.is_empty())),
            ("state", Some(self.state.expose())),
            ("code_challenge", challenge.as_deref()),
            ("code_challenge_method", method),
            ("nonce", self.nonce.as_ref().map(Secret::expose)),
            ("resource", terms.resource.as_deref()),
            ("dpop_jkt", proof_key_thumbprint),
            ("acr_values", wanted.acr_values.as_deref()),
            ("max_age", max_age.as_deref()),
            ("claims", wanted.claims.as_deref()),
            // OpenID Connect Core 11: offline access is granted only with it.
            ("prompt", Some("consent").filter(|_| is_offline(&scope, provider))),
        ];
        let own = own.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?.to_owned())));
        let own: Vec<_> = own.collect();
        // What a provider wants besides never takes the place of the protocol's own.
        let more = provider.authorization_parameters.iter().filter(|(name, _)| own.iter().all(|(own, _)| own != name));
        own.iter().chain(more).cloned().collect()
    }
}

/// The configured scope and what was challenged for since (F42), each once.
fn scope<'a>(asking: &Asking<'a>) -> Vec<&'a str> {
    let words = asking.terms.scope.iter().chain(&asking.wanted.scope).flat_map(|entry| entry.split_whitespace());
    words.fold(Vec::new(), |mut scope, word| {
        if !scope.contains(&word) {
            scope.push(word);
        }
        scope
    })
}

/// Whether a challenge is sent (N15, N45): never a plain one.
fn challenges(provider: &Provider) -> Result<bool, CannotAsk> {
    match &provider.code_challenge_methods {
        Some(methods) if methods.iter().any(|method| method == "S256") => Ok(true),
        Some(_) => Err(CannotAsk::NoS256),
        None if provider.must_list_pkce => Err(CannotAsk::SilentAboutS256),
        None => Ok(!provider.refuses_pkce),
    }
}

/// Whether OpenID Connect's offline access is asked of a server without a preset: those with one say
/// by themselves what it takes.
fn is_offline(scope: &[&str], provider: &Provider) -> bool {
    let says = provider.authorization_parameters.iter().any(|(name, _)| name == "prompt");
    provider.name == generic::DISCOVERED && !says && scope.contains(&"openid") && scope.contains(&"offline_access")
}
