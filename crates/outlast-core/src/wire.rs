//! What goes to an authorization server and what comes back, as plain data.

use crate::BoxFuture;
use crate::secret::Secret;
use crate::store::Lease;
use crate::token::TokenType;
use http::HeaderMap;
use std::time::Duration;

/// An authorization server: where its token endpoint is and how its replies are read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Provider {
    /// Name of the preset, `issuer` or `custom`.
    pub name: String,
    /// Address of the token endpoint.
    pub token_endpoint: String,
    /// The issuer, where known (RFC 8414 2).
    pub issuer: Option<String>,
    /// What is known of its habits; names a value of [`crate::classify::Quirks`].
    pub quirks: crate::classify::Quirks,
}

/// A request to the token endpoint, before it is sent (RFC 6749 3.2).
#[derive(Clone, Debug)]
pub struct TokenRequest {
    /// Where to.
    pub endpoint: String,
    /// The form, in order; values may be secret.
    pub form: Vec<(&'static str, Secret)>,
    /// The Authorization field, for clients that authenticate by it.
    pub authorization: Option<Secret>,
}

/// An answer that arrived whole.
#[derive(Clone, Debug, Default)]
pub struct Reply {
    /// HTTP status.
    pub status: u16,
    /// Header fields.
    pub headers: HeaderMap,
    /// The body, at most as long as the client's limit.
    pub body: Vec<u8>,
}

/// Why an exchange brought no reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The name could not be resolved or the connection not be made.
    Connect,
    /// The reply was larger than the client takes.
    TooLarge,
    /// The time was up.
    Timeout,
    /// TLS could not be agreed on.
    Tls,
    /// The connection broke, or the reply was not HTTP or not whole.
    Broken,
    /// The address is one we send no secret to: not https, and not loopback.
    Insecure,
}

/// What became of a token request.
#[derive(Clone, Debug)]
pub enum Answer {
    /// A reply arrived whole.
    Complete(Reply),
    /// Something may have been sent and no whole reply came: what it did is not known.
    Lost(Fault),
    /// Nothing was sent.
    Unsent(Fault),
}

/// A successful answer of the token endpoint (RFC 6749 5.1), leniently read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenResponse {
    /// The access token.
    pub access: Secret,
    /// How it is presented.
    pub token_type: TokenType,
    /// Its life, where the server said so in a way that can be believed.
    pub expires_in: Option<Duration>,
    /// A refresh token, where there is one.
    pub refresh: Option<Secret>,
    /// Life of the refresh token, where the server says (not in the RFC, but common).
    pub refresh_expires_in: Option<Duration>,
    /// The scope granted, where it is said.
    pub scope: Option<Vec<String>>,
}

impl TokenResponse {
    /// A bearer token of unknown life and nothing else.
    pub fn bearer(access: impl Into<String>) -> Self {
        Self {
            access: Secret::new(access),
            token_type: TokenType::Bearer,
            expires_in: None,
            refresh: None,
            refresh_expires_in: None,
            scope: None,
        }
    }
}

/// Sends token requests. Asks for the lease, so that a renewal outside the cross-process lock does
/// not compile.
pub trait TokenEndpoint: Send + Sync {
    /// Sends `request` once, without hidden retries.
    fn send<'a>(&'a self, lease: &'a Lease, request: &'a TokenRequest) -> BoxFuture<'a, Answer>;
}
