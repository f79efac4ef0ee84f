//! What a user of the library says of a grant.

use http::Uri;
use outlast_core::grant::ClientAuth;
use outlast_core::wire::Provider;
use outlast_core::{GrantId, Terms};

/// Where a grant's authorization server is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Server {
    /// Found by discovery from the issuer (RFC 8414, OpenID Connect Discovery), when first needed.
    Issuer(String),
    /// Known.
    Known(Provider),
}

impl Server {
    /// What ties tokens to this server.
    pub fn identity(&self) -> &str {
        match self {
            Self::Issuer(issuer) => issuer,
            Self::Known(provider) => provider.issuer.as_deref().unwrap_or(&provider.token_endpoint),
        }
    }
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
}

impl GrantSettings {
    /// The part that decides about renewals.
    pub(crate) fn terms(&self) -> Terms {
        Terms {
            id: self.id.clone(),
            grant_type: self.grant_type.clone(),
            authorization_server: self.server.identity().to_owned(),
            client_id: self.client_id.clone(),
            client_auth: self.client_auth.clone(),
            scope: self.scope.clone(),
            resource: self.resource.clone(),
        }
    }
}
