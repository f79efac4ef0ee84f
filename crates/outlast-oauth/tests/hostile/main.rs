//! Documents of strangers (T9): good ones, cut at every byte and mutated some thousand times. `fuzz/` goes
//! further with the same checks.

#![allow(clippy::unwrap_used, missing_docs)]

#[expect(unreachable_pub, reason = "the fuzz targets take the checks in by path")]
mod check;

use outlast_testkit::mutation::try_all;

const COUNT: usize = 20_000;

const METADATA: &[u8] = br#"{"issuer":"https://as.example","token_endpoint":"https://as.example/token","authorization_endpoint":"https://as.example/authorize","device_authorization_endpoint":"https://as.example/device","revocation_endpoint":"http://127.0.0.1:8080/revoke","grant_types_supported":["refresh_token"],"token_endpoint_auth_methods_supported":["client_secret_basic","none"],"code_challenge_methods_supported":["S256"],"authorization_response_iss_parameter_supported":true,"mtls_endpoint_aliases":{"token_endpoint":"https://mtls.as.example/token"}}"#;
const RESOURCE: &[u8] = br#"{"resource":"https://rs.example/mcp","authorization_servers":["https://as.example"],"scopes_supported":["a","b"],"bearer_methods_supported":["header"]}"#;

#[test]
fn t9_metadata_of_authorization_servers() {
    try_all(&[METADATA], COUNT, check::metadata);
}

#[test]
fn t9_metadata_of_resources() {
    try_all(&[RESOURCE], COUNT, check::resource_metadata);
}
