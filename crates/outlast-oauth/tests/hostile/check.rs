//! What must hold for any document of a stranger. Used by the test beside it and by the fuzz targets.

use outlast_oauth::metadata::Metadata;
use outlast_oauth::resource_metadata::ResourceMetadata;

const ISSUER: &str = "https://as.example";
const RESOURCE: &str = "https://rs.example/mcp";

/// Only https, or loopback, and nothing that could be taken for another host.
fn is_safe(address: &str) -> bool {
    let safe = url::Url::parse(address).is_ok_and(|url| {
        let loopback = matches!(url.host_str(), Some("localhost" | "127.0.0.1" | "[::1]"))
            || url.host_str().is_some_and(|host| host.starts_with("127."));
        (url.scheme() == "https" || (url.scheme() == "http" && loopback)) && url.username().is_empty()
    });
    safe && !address.chars().any(char::is_control)
}

/// Metadata of an authorization server (RFC 8414): of this issuer, and with addresses that a secret may be
/// sent to.
pub fn metadata(document: &[u8]) {
    let Ok(read) = Metadata::parse(ISSUER, document) else { return };
    assert_eq!(read.issuer, ISSUER);
    let endpoints = [
        Some(&read.token_endpoint),
        read.authorization_endpoint.as_ref(),
        read.device_authorization_endpoint.as_ref(),
        read.introspection_endpoint.as_ref(),
        read.pushed_authorization_request_endpoint.as_ref(),
        read.registration_endpoint.as_ref(),
        read.revocation_endpoint.as_ref(),
        read.userinfo_endpoint.as_ref(),
    ];
    let aliases = read.mtls_endpoint_aliases.iter().map(|(_, address)| address);
    for endpoint in endpoints.into_iter().flatten().chain(aliases) {
        assert!(is_safe(endpoint), "{endpoint}");
    }
}

/// Metadata of a resource (RFC 9728): of this resource.
pub fn resource_metadata(document: &[u8]) {
    let Ok(read) = ResourceMetadata::parse(RESOURCE, document) else { return };
    assert!(is_safe(&read.resource) && !read.authorization_servers.is_empty());
}
