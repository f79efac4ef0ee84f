//! Discovery: what an authorization server says of itself (RFC 8414, OpenID Connect Discovery).

use crate::address::{self, AddressError, shown};
use crate::exchange::{Exchange, Limits};
use http::Method;
use outlast_core::Code;
use outlast_core::outcome::describe;
use outlast_core::reach::Reach;
use outlast_core::wire::{Answer, Fault};
use reqwest::Request;
use serde_json::{Map, Value};
use std::fmt;
use url::Url;

/// What an authorization server publishes of itself, as far as Outlast has use for it. An absent
/// list is not an empty one: RFC 8414 2 gives some of them a meaning of their own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Metadata {
    /// The issuer, exactly as it was asked for (RFC 8414 3.3).
    pub issuer: String,
    /// `token_endpoint`; https, or on loopback.
    pub token_endpoint: String,
    /// `authorization_endpoint`.
    pub authorization_endpoint: Option<String>,
    /// `device_authorization_endpoint` (RFC 8628 4).
    pub device_authorization_endpoint: Option<String>,
    /// `introspection_endpoint` (RFC 7662).
    pub introspection_endpoint: Option<String>,
    /// `pushed_authorization_request_endpoint` (RFC 9126 5).
    pub pushed_authorization_request_endpoint: Option<String>,
    /// `registration_endpoint` (RFC 7591).
    pub registration_endpoint: Option<String>,
    /// `revocation_endpoint` (RFC 7009).
    pub revocation_endpoint: Option<String>,
    /// `token_endpoint_auth_methods_supported`; if absent, `client_secret_basic` (RFC 8414 2).
    pub token_endpoint_auth_methods_supported: Vec<String>,
    /// `grant_types_supported`, where it is said.
    pub grant_types_supported: Option<Vec<String>>,
    /// `code_challenge_methods_supported`, where it is said (RFC 7636).
    pub code_challenge_methods_supported: Option<Vec<String>>,
    /// `authorization_response_iss_parameter_supported` (RFC 9207 3).
    pub authorization_response_iss_parameter_supported: bool,
    /// `require_pushed_authorization_requests` (RFC 9126 5).
    pub require_pushed_authorization_requests: bool,
    /// `scopes_supported`, where it is said.
    pub scopes_supported: Option<Vec<String>>,
    /// `userinfo_endpoint` (OpenID Connect Discovery 3).
    pub userinfo_endpoint: Option<String>,
    /// `client_id_metadata_document_supported`: whether the address of a document about the client
    /// can be its identifier.
    pub client_id_metadata_document_supported: bool,
    /// `dpop_signing_alg_values_supported`, where it is said (RFC 9449 5.1).
    pub dpop_signing_alg_values_supported: Option<Vec<String>>,
    /// `mtls_endpoint_aliases`: endpoints for clients with a certificate, by name (RFC 8705 5).
    pub mtls_endpoint_aliases: Vec<(String, String)>,
}

/// Why discovery brought nothing that may be used. What the server sent is shortened and escaped
/// in the text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DiscoveryError {
    /// The issuer or an endpoint is an address that no secret may be sent to.
    Insecure(AddressError),
    /// There is no metadata, or it cannot be read.
    Invalid {
        /// What is wrong.
        detail: String,
    },
    /// The metadata is that of another issuer (RFC 8414 3.3: it must not be used).
    IssuerMismatch {
        /// The issuer that was asked for, escaped.
        asked: String,
        /// The issuer the metadata names, escaped.
        found: String,
    },
    /// A document names an address in a private network or on this machine, and comes from
    /// elsewhere itself (RFC 9728 7.7).
    OutOfReach {
        /// What was named, escaped.
        address: String,
    },
    /// The server cannot be reached, or is ill.
    Unreachable {
        /// What happened.
        detail: String,
    },
}

impl DiscoveryError {
    /// Its code.
    pub fn code(&self) -> Code {
        match self {
            Self::Insecure(_) | Self::OutOfReach { .. } => Code::InsecureAddress,
            Self::Invalid { .. } | Self::IssuerMismatch { .. } => Code::MetadataInvalid,
            Self::Unreachable { .. } => Code::ServerUnreachable,
        }
    }
}

impl fmt::Display for DiscoveryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Insecure(error) => error.fmt(f),
            Self::Invalid { detail } => write!(
                f,
                "the authorization server's metadata cannot be used: {detail}; correct `issuer` in the configuration, \
                 or give `token_endpoint` in its place"
            ),
            Self::IssuerMismatch { asked, found } => write!(
                f,
                "the metadata found for issuer \"{asked}\" is that of issuer \"{found}\" and is not used; ask the \
                 operator of the authorization server for its exact issuer, to the last slash, and correct `issuer` \
                 in the configuration"
            ),
            Self::OutOfReach { address } => write!(
                f,
                "a server's metadata names {address}, an address in a private network or on this machine, where the \
                 server is not; nothing was sent there: check that the server is the one you mean, and ask its operator"
            ),
            Self::Unreachable { detail } => {
                write!(f, "the authorization server's metadata cannot be fetched: {detail}; wait and try again")
            }
        }
    }
}

impl std::error::Error for DiscoveryError {}

impl From<AddressError> for DiscoveryError {
    fn from(error: AddressError) -> Self {
        match error {
            AddressError::Credentials { .. } | AddressError::Insecure { .. } => Self::Insecure(error),
            AddressError::Fragment { .. } | AddressError::Unreadable => Self::Invalid { detail: error.to_string() },
        }
    }
}

/// Fetches and checks the metadata of `issuer`, an https address without query or fragment, from
/// where a request may go.
pub async fn discover(issuer: &str, reach: Reach) -> Result<Metadata, DiscoveryError> {
    discover_within(issuer, reach, Limits::default()).await
}

/// [`discover`] with other limits of time for each of the up to three requests.
pub async fn discover_within(issuer: &str, reach: Reach, limits: Limits) -> Result<Metadata, DiscoveryError> {
    discover_over(&Exchange::within(limits, reach), issuer).await
}

/// [`discover`] over an exchange that is there already.
pub(crate) async fn discover_over(exchange: &Exchange, issuer: &str) -> Result<Metadata, DiscoveryError> {
    let mut refusal = None;
    let mut illness = None;
    for place in well_known(issuer)? {
        match fetch(exchange, &place).await? {
            // Looked for further: some servers have a page, or another tenant's metadata, at the
            // first place and their own at the next. None but the asked issuer's is ever taken.
            Fetched::Document(body, reach) => match Metadata::parse(issuer, &body) {
                Ok(metadata) => return metadata.within(reach),
                Err(error) => refusal = refusal.or(Some(error)),
            },
            Fetched::Ill(detail) => illness = illness.or(Some(DiscoveryError::Unreachable { detail })),
            Fetched::Missing => {}
        }
    }
    let missing = || invalid(format!("the server has none for {}", shown(issuer)));
    Err(refusal.or(illness).unwrap_or_else(missing))
}

/// Where the metadata of `issuer` may be, in the order the Model Context Protocol asks for:
/// RFC 8414 3.1, then the same for OpenID, then OpenID Connect Discovery 4.
pub fn well_known(issuer: &str) -> Result<Vec<String>, DiscoveryError> {
    let url = address::check(issuer)?;
    if url.query().is_some() {
        return Err(invalid(format!("the issuer {} has a query, which RFC 8414 2 forbids", shown(issuer))));
    }
    let origin = url.origin().ascii_serialization();
    let path = url.path().trim_end_matches('/');
    let mut places = vec![
        format!("{origin}/.well-known/oauth-authorization-server{path}"),
        format!("{origin}/.well-known/openid-configuration{path}"),
    ];
    if !path.is_empty() {
        places.push(format!("{origin}{path}/.well-known/openid-configuration"));
    }
    Ok(places)
}

impl Metadata {
    /// Reads the metadata that was found for `issuer`.
    pub fn parse(issuer: &str, body: &[u8]) -> Result<Self, DiscoveryError> {
        let members = Members::read(body)?;
        let found = members.text("issuer")?.ok_or_else(|| invalid("it names no issuer".to_owned()))?;
        // As strings and not as addresses (RFC 8414 3.3): a slash more is another issuer.
        if found != issuer {
            return Err(DiscoveryError::IssuerMismatch { asked: shown(issuer), found: shown(&found) });
        }
        let token_endpoint =
            members.endpoint("token_endpoint")?.ok_or_else(|| invalid("it names no token_endpoint".to_owned()))?;
        Ok(Self {
            issuer: found,
            token_endpoint,
            authorization_endpoint: members.endpoint("authorization_endpoint")?,
            device_authorization_endpoint: members.endpoint("device_authorization_endpoint")?,
            introspection_endpoint: members.endpoint("introspection_endpoint")?,
            pushed_authorization_request_endpoint: members.endpoint("pushed_authorization_request_endpoint")?,
            registration_endpoint: members.endpoint("registration_endpoint")?,
            revocation_endpoint: members.endpoint("revocation_endpoint")?,
            token_endpoint_auth_methods_supported: members
                .list("token_endpoint_auth_methods_supported")?
                .unwrap_or_else(|| vec!["client_secret_basic".to_owned()]),
            grant_types_supported: members.list("grant_types_supported")?,
            code_challenge_methods_supported: members.list("code_challenge_methods_supported")?,
            authorization_response_iss_parameter_supported: members
                .flag("authorization_response_iss_parameter_supported")?,
            require_pushed_authorization_requests: members.flag("require_pushed_authorization_requests")?,
            scopes_supported: members.list("scopes_supported")?,
            userinfo_endpoint: members.endpoint("userinfo_endpoint")?,
            client_id_metadata_document_supported: members.flag("client_id_metadata_document_supported")?,
            dpop_signing_alg_values_supported: members.list("dpop_signing_alg_values_supported")?,
            mtls_endpoint_aliases: members.endpoints("mtls_endpoint_aliases")?,
        })
    }

    /// This metadata, if none of its addresses is plainly out of reach.
    fn within(self, reach: Reach) -> Result<Self, DiscoveryError> {
        let endpoints = [
            Some(&self.token_endpoint),
            self.authorization_endpoint.as_ref(),
            self.device_authorization_endpoint.as_ref(),
            self.introspection_endpoint.as_ref(),
            self.pushed_authorization_request_endpoint.as_ref(),
            self.registration_endpoint.as_ref(),
            self.revocation_endpoint.as_ref(),
            self.userinfo_endpoint.as_ref(),
        ];
        let aliases = self.mtls_endpoint_aliases.iter().map(|(_, address)| address);
        let outside = |endpoint: &&String| !Url::parse(endpoint).is_ok_and(|url| reach.allows_host(&url));
        let named = endpoints.into_iter().flatten().chain(aliases).find(outside).map(|endpoint| shown(endpoint));
        match named {
            Some(address) => Err(DiscoveryError::OutOfReach { address }),
            None => Ok(self),
        }
    }
}

/// What is at one place.
pub(crate) enum Fetched {
    /// A document, and how far what it names may reach.
    Document(Vec<u8>, Reach),
    /// Nothing for now.
    Ill(String),
    /// Nothing.
    Missing,
}

/// An error here means that the other places need not be tried: they are on the same server.
pub(crate) async fn fetch(exchange: &Exchange, place: &str) -> Result<Fetched, DiscoveryError> {
    let ill = |what: &str| format!("{}: {what}", shown(place));
    let (answer, peer) = exchange.send_and_tell(place, None, |url| Some(Request::new(Method::GET, url))).await;
    match answer {
        Answer::Complete(reply) => Ok(match reply.status {
            200 => Fetched::Document(reply.body, peer.map_or(Reach::Public, Reach::of)),
            408 | 429 | 500.. => Fetched::Ill(ill(&format!("the server answered {}", reply.status))),
            // Redirects too: RFC 8414 knows none, and one leads to metadata of whoever it points to.
            _ => Fetched::Missing,
        }),
        Answer::Lost(Fault::TooLarge) => Err(invalid(at(place, Fault::TooLarge))),
        Answer::Unsent(Fault::OutOfReach) => Err(DiscoveryError::OutOfReach { address: shown(place) }),
        Answer::Lost(Fault::Broken) => Ok(Fetched::Ill(at(place, Fault::Broken))),
        Answer::Lost(fault) | Answer::Unsent(fault) => Err(DiscoveryError::Unreachable { detail: at(place, fault) }),
    }
}

/// What went wrong, and where.
pub(crate) fn at(place: &str, fault: Fault) -> String {
    format!("{}: {}", shown(place), describe(fault))
}

pub(crate) fn invalid(detail: String) -> DiscoveryError {
    DiscoveryError::Invalid { detail }
}

/// The members of a metadata document; `null` counts as absent, another type than the one defined
/// as a mistake.
pub(crate) struct Members(Map<String, Value>);

impl Members {
    /// Of a document, with or without a byte order mark.
    pub(crate) fn read(body: &[u8]) -> Result<Self, DiscoveryError> {
        let body = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body);
        serde_json::from_slice(body).map(Self).map_err(|_| invalid("it is not a JSON object".to_owned()))
    }

    fn find(&self, name: &str) -> Option<&Value> {
        self.0.get(name).filter(|value| !value.is_null())
    }

    pub(crate) fn text(&self, name: &'static str) -> Result<Option<String>, DiscoveryError> {
        let wrong = || invalid(format!("its {name} is not a string"));
        self.find(name).map(|value| value.as_str().map(str::to_owned).ok_or_else(wrong)).transpose()
    }

    fn endpoint(&self, name: &'static str) -> Result<Option<String>, DiscoveryError> {
        let Some(address) = self.text(name)? else { return Ok(None) };
        match address::check(&address) {
            Ok(_) => Ok(Some(address)),
            Err(AddressError::Unreadable) => Err(invalid(format!("its {name} is not an address: {}", shown(&address)))),
            Err(error) => Err(error.into()),
        }
    }

    fn endpoints(&self, name: &'static str) -> Result<Vec<(String, String)>, DiscoveryError> {
        let wrong = || invalid(format!("its {name} is not an object of addresses"));
        let Some(value) = self.find(name) else { return Ok(Vec::new()) };
        let each = value.as_object().ok_or_else(wrong)?.iter();
        each.map(|(alias, address)| {
            let address = address.as_str().ok_or_else(wrong)?;
            address::check(address)?;
            Ok((alias.clone(), address.to_owned()))
        })
        .collect()
    }

    pub(crate) fn list(&self, name: &'static str) -> Result<Option<Vec<String>>, DiscoveryError> {
        let wrong = || invalid(format!("its {name} is not a list of strings"));
        let Some(value) = self.find(name) else { return Ok(None) };
        let texts = value.as_array().ok_or_else(wrong)?.iter().map(|entry| entry.as_str().map(str::to_owned));
        texts.collect::<Option<_>>().ok_or_else(wrong).map(Some)
    }

    pub(crate) fn flag(&self, name: &'static str) -> Result<bool, DiscoveryError> {
        let wrong = || invalid(format!("its {name} is neither true nor false"));
        self.find(name).map_or(Ok(false), |value| value.as_bool().ok_or_else(wrong))
    }
}
