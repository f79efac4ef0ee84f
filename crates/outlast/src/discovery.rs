//! Finds an authorization server from its issuer, for the keeper.

use crate::keeper::{Discovery, NotFound};
use outlast_core::wire::Provider;
use outlast_core::{BoxFuture, Reach};
use outlast_oauth::metadata;
use outlast_oauth::provider::generic;

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
