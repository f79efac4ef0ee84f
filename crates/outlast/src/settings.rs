//! What a user of the library says of a grant.

use crate::presentation::Presentation;
use http::Uri;
use outlast_core::grant::ClientAuth;
use outlast_core::options::Options;
use outlast_core::wire::Provider;
use outlast_core::{GrantId, Reach, Terms};
use std::time::Duration;

/// Where a grant's authorization server is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Server {
    /// Named by the resource that its tokens are for (RFC 9728): the same, but a stranger chose it, so
    /// that no request to it, now or later, goes beyond its reach.
    Found {
        /// The issuer.
        issuer: String,
        /// Where it and what its metadata names may lead: [`FoundResource::reach`](crate::FoundResource).
        reach: Reach,
    },
    /// Found by discovery from the issuer (RFC 8414, OpenID Connect Discovery), when first needed.
    Issuer(String),
    /// Known.
    Known(Box<Provider>),
    /// There is none: the grant type gets its tokens otherwise, such as an API key.
    None,
}

impl From<Provider> for Server {
    fn from(provider: Provider) -> Self {
        Self::Known(Box::new(provider))
    }
}

impl Server {
    /// What ties tokens to this server.
    pub fn identity(&self) -> &str {
        match self {
            Self::Found { issuer, .. } | Self::Issuer(issuer) => issuer,
            Self::Known(provider) => provider.issuer.as_deref().unwrap_or(&provider.token_endpoint),
            Self::None => "none",
        }
    }
}

/// What a login needs to be told beyond what the server and the grant say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LoginSettings {
    /// Where the browser comes back to, as it is registered at the server: on loopback, with or
    /// without a port, or an https address that is pasted from. Where it is left out:
    /// `http://127.0.0.1/callback`, on any free port.
    pub redirect_uri: Option<String>,
    /// The https address of a document about the client, which is its identifier at servers that take
    /// such documents; without a `client_id` alone, and before a registration (N51).
    pub client_document: Option<String>,
    /// Where to ask whose access token it is, for servers that do not say by OpenID Connect.
    pub subject_url: Option<String>,
    /// Where in the answer the account stands (RFC 6901); `/sub` if left out.
    pub subject_pointer: Option<String>,
    /// Whether the server was found through its resource: then the rules of the Model Context
    /// Protocol hold, and one that does not list S256 is refused (N45).
    pub mcp: bool,
}

/// One grant: its name, its server, the client, and the one origin that receives its token.
#[derive(Clone, Debug)]
pub struct GrantSettings {
    /// The grant's name.
    pub id: GrantId,
    /// RFC name of the grant type.
    pub grant_type: String,
    /// The authorization server.
    pub server: Server,
    /// The client's identifier there.
    pub client_id: String,
    /// How the client authenticates.
    pub client_auth: ClientAuth,
    /// The scope asked for.
    pub scope: Vec<String>,
    /// RFC 8707 resource indicator.
    pub resource: Option<String>,
    /// The origin, with an optional path prefix, that requests with this token go to.
    pub upstream: Option<Uri>,
    /// The provider whose documented error codes are consulted first; empty for none.
    pub quirks: String,
    /// What the grant type is told besides; each grant type lists what it takes.
    pub options: Options,
    /// Whether tokens are bound to a key of the grant's own (RFC 9449).
    pub dpop: bool,
    /// Longest time between two renewals, for grants that end when they are idle and keys that are
    /// rotated.
    pub renew_within: Option<Duration>,
    /// How long the grant lives unrenewed, where its provider documents that and no absolute life.
    pub idle_life: Option<Duration>,
    /// How long a replaced refresh token still serves whoever lost the answer, where that is known. At a
    /// server with none (zero), which ends the whole grant when one comes back, a lost answer is asked after
    /// only when little of the access token's life is left (D4).
    pub grace: Option<Duration>,
    /// The life of an access token where the server does not tell.
    pub token_life: Option<Duration>,
    /// How requests carry the token.
    pub presentation: Presentation,
    /// What a login needs to be told.
    pub login: LoginSettings,
}

impl GrantSettings {
    /// A grant of that name, type and server, with everything else left out.
    pub fn new(id: GrantId, grant_type: impl Into<String>, server: Server) -> Self {
        Self {
            id,
            grant_type: grant_type.into(),
            server,
            client_id: String::new(),
            client_auth: ClientAuth::None,
            scope: Vec::new(),
            resource: None,
            upstream: None,
            quirks: String::new(),
            options: Options::default(),
            dpop: false,
            renew_within: None,
            idle_life: None,
            grace: None,
            token_life: None,
            presentation: Presentation::default(),
            login: LoginSettings::default(),
        }
    }

    /// The part that decides about renewals.
    pub fn terms(&self) -> Terms {
        Terms {
            client_id: self.client_id.clone(),
            client_auth: self.client_auth.clone(),
            scope: self.scope.clone(),
            resource: self.resource.clone(),
            options: self.options.clone(),
            dpop: self.dpop,
            renew_within: self.renew_within.or(self.options.duration("rotate_every")),
            token_life: self.token_life,
            ..Terms::new(self.id.clone(), self.grant_type.clone(), self.server.identity())
        }
    }
}
