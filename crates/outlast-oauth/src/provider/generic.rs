//! Servers without a preset: known by their metadata, or by a bare token endpoint.

use crate::address::{self, AddressError};
use crate::metadata::Metadata;
use outlast_core::Provider;

/// Name of a server that was discovered by its issuer.
const DISCOVERED: &str = "issuer";
/// Name of a server of which the configuration gives the token endpoint alone.
const CUSTOM: &str = "custom";

/// The server that `metadata` describes.
pub fn from_metadata(metadata: &Metadata) -> Provider {
    Provider {
        name: DISCOVERED.to_owned(),
        token_endpoint: metadata.token_endpoint.clone(),
        issuer: Some(metadata.issuer.clone()),
        ..Provider::default()
    }
}

/// The server behind a token endpoint, if secrets may be sent to that address.
pub fn from_token_endpoint(token_endpoint: &str) -> Result<Provider, AddressError> {
    address::check(token_endpoint)?;
    Ok(Provider { name: CUSTOM.to_owned(), token_endpoint: token_endpoint.to_owned(), ..Provider::default() })
}
