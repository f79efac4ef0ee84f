//! Servers without a preset: known by their metadata, or by a bare token endpoint.

use crate::address::{self, AddressError};
use crate::metadata::Metadata;
use outlast_core::Provider;

/// Name of a server that was discovered by its issuer.
pub(crate) const DISCOVERED: &str = "issuer";
/// Name of a server of which the configuration gives the token endpoint alone.
const CUSTOM: &str = "custom";

/// The server that `metadata` describes.
pub fn from_metadata(metadata: &Metadata) -> Provider {
    Provider {
        name: DISCOVERED.to_owned(),
        token_endpoint: metadata.token_endpoint.clone(),
        issuer: Some(metadata.issuer.clone()),
        authorization_endpoint: metadata.authorization_endpoint.clone(),
        names_issuer: metadata.authorization_response_iss_parameter_supported,
        device_endpoint: metadata.device_authorization_endpoint.clone(),
        push_endpoint: metadata.pushed_authorization_request_endpoint.clone(),
        push_required: metadata.require_pushed_authorization_requests,
        registration_endpoint: metadata.registration_endpoint.clone(),
        revocation_endpoint: metadata.revocation_endpoint.clone(),
        introspection_endpoint: metadata.introspection_endpoint.clone(),
        userinfo_endpoint: metadata.userinfo_endpoint.clone(),
        client_auth_methods: Some(metadata.token_endpoint_auth_methods_supported.clone()),
        code_challenge_methods: metadata.code_challenge_methods_supported.clone(),
        scopes_supported: metadata.scopes_supported.clone(),
        takes_client_documents: metadata.client_id_metadata_document_supported,
        proof_algorithms: metadata.dpop_signing_alg_values_supported.clone(),
        certified_endpoints: metadata.mtls_endpoint_aliases.clone(),
        ..Provider::default()
    }
}

/// The server behind a token endpoint, if secrets may be sent to that address.
pub fn from_token_endpoint(token_endpoint: &str) -> Result<Provider, AddressError> {
    address::check(token_endpoint)?;
    Ok(Provider { name: CUSTOM.to_owned(), token_endpoint: token_endpoint.to_owned(), ..Provider::default() })
}
