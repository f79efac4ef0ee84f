//! What goes to an authorization server and what comes back, as plain data.

use crate::BoxFuture;
use crate::error::Code;
use crate::reach::Reach;
use crate::secret::Secret;
use crate::store::Lease;
use crate::token::TokenType;
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use std::time::Duration;

/// An authorization server: where its endpoints are and how its replies are read. An absent
/// endpoint is one nothing is known of.
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
    /// Where a person is sent to consent (RFC 6749 3.1).
    pub authorization_endpoint: Option<String>,
    /// What goes with every authorization request besides the standard's parameters.
    pub authorization_parameters: Vec<(String, String)>,
    /// Whether its authorization responses name the issuer (RFC 9207 3): one that does not is then
    /// refused.
    pub names_issuer: bool,
    /// Where authorization codes are exchanged, if that is not the token endpoint.
    pub exchange_endpoint: Option<String>,
    /// Where device codes are asked for (RFC 8628 3.1).
    pub device_endpoint: Option<String>,
    /// Where authorization requests are pushed to (RFC 9126).
    pub push_endpoint: Option<String>,
    /// Whether they have to be (RFC 9126 5).
    pub push_required: bool,
    /// Where clients register themselves (RFC 7591).
    pub registration_endpoint: Option<String>,
    /// Where tokens are revoked (RFC 7009).
    pub revocation_endpoint: Option<String>,
    /// Where tokens are examined (RFC 7662).
    pub introspection_endpoint: Option<String>,
    /// Where whose token it is can be asked (OpenID Connect Core 5.3).
    pub userinfo_endpoint: Option<String>,
    /// How clients may authenticate, where it is said (RFC 8414 2).
    pub client_auth_methods: Option<Vec<String>>,
    /// The challenge methods of PKCE, where it is said (RFC 8414 2).
    pub code_challenge_methods: Option<Vec<String>>,
    /// The scopes it knows, where it is said (RFC 8414 2).
    pub scopes_supported: Option<Vec<String>>,
    /// Whether the address of a document about a client can be its identifier (MCP authorization,
    /// 2025-11-25).
    pub takes_client_documents: bool,
    /// The algorithms it takes proofs of possession in, where it is said (RFC 9449 5.1).
    pub proof_algorithms: Option<Vec<String>>,
    /// What stands between scopes where a person is asked for them, if that is not a blank.
    pub scope_separator: Option<char>,
    /// Whether its documents say that no PKCE challenge may be sent.
    pub refuses_pkce: bool,
    /// Whether a server that does not list the challenge method S256 is refused (MCP authorization,
    /// 2025-11-25).
    pub must_list_pkce: bool,
    /// Endpoints that stand in for the others where the client authenticates by a certificate, by
    /// their names in the metadata (RFC 8705 5).
    pub certified_endpoints: Vec<(String, String)>,
    /// Where its addresses may lead, whatever their names resolve to when they are used (RFC 9728 7.7).
    pub reach: Reach,
}

impl Provider {
    /// A form for one of its endpoints, without authentication (RFC 6749 appendix B).
    pub fn form(&self, endpoint: &str, form: Vec<(&'static str, Secret)>) -> TokenRequest {
        TokenRequest { reach: self.reach, ..TokenRequest::form(endpoint, form) }
    }

    /// A request for what is at one of its endpoints (GET).
    pub fn get(&self, endpoint: &str) -> TokenRequest {
        TokenRequest { reach: self.reach, ..TokenRequest::get(endpoint) }
    }

    /// This server as a client with a certificate sees it.
    #[must_use]
    pub fn for_certificate(mut self) -> Self {
        for (name, address) in std::mem::take(&mut self.certified_endpoints) {
            match name.as_str() {
                "token_endpoint" => self.token_endpoint = address,
                "device_authorization_endpoint" => self.device_endpoint = Some(address),
                "pushed_authorization_request_endpoint" => self.push_endpoint = Some(address),
                "revocation_endpoint" => self.revocation_endpoint = Some(address),
                "introspection_endpoint" => self.introspection_endpoint = Some(address),
                // Of the others, none is asked with a certificate.
                _ => {}
            }
        }
        self
    }
}

/// A request to an authorization server, before it is sent; most go to the token endpoint (RFC 6749
/// 3.2). What depends on the moment of sending, signatures, is named and not yet made.
#[derive(Clone, Debug)]
pub struct TokenRequest {
    /// Where to.
    pub endpoint: String,
    /// What that may turn out to be: nothing is sent to an address beyond.
    pub reach: Reach,
    /// What is sent.
    pub content: Content,
    /// The Authorization field, for clients that authenticate by it.
    pub authorization: Option<Secret>,
    /// Signed when it is sent, by the server's clock, as far as that is known.
    pub assertions: Vec<Assertion>,
    /// The grant's own key: the request is sent with a proof of it (RFC 9449 5).
    pub proof_key: Option<Secret>,
    /// Certificate chain and key, in PEM: the connection is made with it (RFC 8705 2).
    pub certificate: Option<Secret>,
    /// Further members of the form, whose names are known at run time only.
    pub further: Vec<(String, Secret)>,
    /// Further header fields; none of them is secret.
    pub fields: Vec<(&'static str, String)>,
    /// How it is sent, if that does not follow from its content.
    pub method: Option<Method>,
    /// The field that carries a grant's own key, for a request that is authenticated by it.
    pub carried: Option<(HeaderName, HeaderValue)>,
}

impl TokenRequest {
    /// A request for what is at an address that a person configured (GET); [`Provider::get`] makes
    /// those to a server.
    pub fn get(endpoint: &str) -> Self {
        Self { content: Content::None, ..Self::form(endpoint, Vec::new()) }
    }

    /// A form without authentication, for an address that a person configured; [`Provider::form`]
    /// makes those to a server.
    pub fn form(endpoint: &str, form: Vec<(&'static str, Secret)>) -> Self {
        Self {
            endpoint: endpoint.to_owned(),
            reach: Reach::Anywhere,
            content: Content::Form(form),
            authorization: None,
            assertions: Vec::new(),
            proof_key: None,
            certificate: None,
            further: Vec::new(),
            fields: Vec::new(),
            method: None,
            carried: None,
        }
    }

    /// The form, in order; empty for other contents.
    pub fn form_members(&self) -> &[(&'static str, Secret)] {
        match &self.content {
            Content::Form(form) => form,
            Content::Json(_) | Content::None => &[],
        }
    }
}

/// The content of a request.
#[derive(Clone, Debug)]
pub enum Content {
    /// A form, in order; values may be secret.
    Form(Vec<(&'static str, Secret)>),
    /// A JSON text.
    Json(Secret),
    /// Nothing: the address is asked for (GET).
    None,
}

/// A JWT that is made when it is sent (RFC 7523, RFC 7519), so that its age is right and its `jti`
/// new each time.
#[derive(Clone, Debug)]
pub struct Assertion {
    /// Where it goes.
    pub place: AssertionPlace,
    /// Its claims, without `exp`, `iat`, `jti` and `nbf`.
    pub claims: serde_json::Map<String, serde_json::Value>,
    /// How long it is good for.
    pub life: Duration,
    /// How far its `iat` lies in the past, for servers whose clock is behind.
    pub backdated: Duration,
    /// What it is signed with.
    pub key: SigningKey,
}

/// Where an assertion goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AssertionPlace {
    /// Into the Authorization field, as a bearer token.
    Bearer,
    /// Into the form, under this name.
    Form(&'static str),
}

/// A private key that signs JWTs. `Debug` is blind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SigningKey {
    /// The key: PEM, or a JWK (RFC 7517).
    pub material: Secret,
    /// The JOSE name of the algorithm (RFC 7518 3.1), where the configuration says; otherwise that
    /// which fits the key.
    pub algorithm: Option<String>,
    /// The `kid` of the header, where there is one.
    pub key_id: Option<String>,
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
    /// The lease was lost before the first byte: another process may be renewing by now.
    LeaseLost,
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
    /// A document from the open internet names a place in a private network or on this machine.
    OutOfReach,
    /// The configured key does not sign, or the configured certificate cannot be shown.
    Unsigned,
}

impl Fault {
    /// Its code, where nothing of a grant was at stake.
    pub const fn code(self) -> Code {
        match self {
            Self::Insecure | Self::OutOfReach => Code::InsecureAddress,
            Self::Unsigned => Code::ClientMisconfigured,
            Self::Broken | Self::Connect | Self::LeaseLost | Self::Timeout | Self::Tls | Self::TooLarge => {
                Code::ServerUnreachable
            }
        }
    }
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
    /// Who granted it, as the server's ID token says (OpenID Connect Core 3.1.3.3).
    pub id_token: Option<Secret>,
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
            id_token: None,
        }
    }
}

/// Sends token requests. Asks for the lease, so that a renewal outside the cross-process lock does
/// not compile.
pub trait TokenEndpoint: Send + Sync {
    /// Sends `request` once, without hidden retries.
    fn send<'a>(&'a self, lease: &'a Lease, request: &'a TokenRequest) -> BoxFuture<'a, Answer>;
    /// Sends a request that spends nothing of a grant, and so needs no lease: to the endpoints for
    /// device codes, pushed requests, introspection and registration. Never to a token endpoint.
    fn ask<'a>(&'a self, request: &'a TokenRequest) -> BoxFuture<'a, Answer>;
}
