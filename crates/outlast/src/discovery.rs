//! Finds the authorization server of a grant, from its issuer or as it is configured, for the keeper.

use crate::keeper::{Entry, Keeper};
use crate::settings::Server;
use outlast_core::wire::Provider;
use outlast_core::{BoxFuture, ClientAuth, Code, Reach};
use outlast_oauth::provider::generic;
use outlast_oauth::{dpop, metadata};
use std::time::Duration;

/// Longest time that finding the authorization server may take, with all its requests.
const DISCOVERY_MAX: Duration = Duration::from_secs(20);

/// Finds the authorization server of a grant.
pub(crate) trait Discovery: Send + Sync {
    fn discover<'a>(&'a self, issuer: &'a str, reach: Reach) -> BoxFuture<'a, Result<Provider, NotFound>>;
}

/// Why discovery failed.
#[derive(Debug)]
pub(crate) struct NotFound {
    pub(crate) code: Code,
    pub(crate) detail: String,
}

/// Discovery over the hardened client.
pub(crate) struct HttpDiscovery;

impl Discovery for HttpDiscovery {
    fn discover<'a>(&'a self, issuer: &'a str, reach: Reach) -> BoxFuture<'a, Result<Provider, NotFound>> {
        Box::pin(async move {
            let found = metadata::discover(issuer, reach).await;
            found
                .map(|found| Provider { reach, ..generic::from_metadata(&found) })
                .map_err(|error| NotFound { code: error.code(), detail: error.to_string() })
        })
    }
}

impl Keeper {
    pub(crate) async fn provider<'e>(&self, entry: &'e Entry) -> Result<&'e Provider, NotFound> {
        let find = || async {
            match &entry.settings.server {
                Server::Known(provider) => Ok(provider.as_ref().clone()),
                Server::None => Ok(Provider { quirks: entry.quirks, ..Provider::default() }),
                Server::Found { issuer, reach } => self.discover(entry, issuer, *reach).await,
                Server::Issuer(issuer) => self.discover(entry, issuer, Reach::Anywhere).await,
            }
        };
        entry.provider.get_or_try_init(find).await
    }

    async fn discover(&self, entry: &Entry, issuer: &str, reach: Reach) -> Result<Provider, NotFound> {
        let found = self.parts().discovery.discover(issuer, reach);
        let mut provider = tokio::time::timeout(DISCOVERY_MAX, found).await.unwrap_or_else(|_| {
            let detail = "the authorization server's metadata did not arrive in time".to_owned();
            Err(NotFound { code: Code::ServerUnreachable, detail })
        })?;
        provider.quirks = entry.quirks;
        provider.must_list_pkce = entry.settings.login.mcp;
        let certified = matches!(entry.terms.client_auth, ClientAuth::TlsClient(_));
        // Before anything is spent or shown to a person: what cannot be proved is told.
        match dpop::refusal(&provider).filter(|_| entry.terms.dpop) {
            Some(detail) => Err(NotFound { code: Code::ClientMisconfigured, detail }),
            None => Ok(if certified { provider.for_certificate() } else { provider }),
        }
    }
}
