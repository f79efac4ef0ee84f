//! PingOne environments.

use super::{BLANK, ClientAuthMethod, Form, Parameter, Pkce, Preset, Rotates};

pub(super) const PRESET: Preset = Preset {
    name: "ping",
    display_name: "PingOne",
    parameters: &[
        Parameter {
            name: "region",
            meaning: "the end of the region's domain",
            form: Form::OneOf(&["asia", "ca", "com", "com.au", "eu", "sg"]),
        },
        Parameter { name: "environment", meaning: "the environment's identifier", form: Form::Name },
    ],
    issuer: Some("https://auth.pingone.{region}/{environment}/as"),
    authorization_endpoint: Some("https://auth.pingone.{region}/{environment}/as/authorize"),
    token_endpoint: "https://auth.pingone.{region}/{environment}/as/token",
    device_endpoint: Some("https://auth.pingone.{region}/{environment}/as/device_authorization"),
    revocation_endpoint: Some("https://auth.pingone.{region}/{environment}/as/revoke"),
    introspection_endpoint: Some("https://auth.pingone.{region}/{environment}/as/introspect"),
    client_auth: ClientAuthMethod::Basic,
    pkce: Pkce::Supported,
    rotates: Rotates::Yes,
    quirks: &[
        "Protects APIs of one's own: the upstream is configured.",
        "Refresh tokens and their life are settings of each application.",
        "Tokens for PingOne's own API cannot be revoked or introspected.",
    ],
    documentation: "https://developer.pingidentity.com/pingone-api/auth/openid-connect-oauth-2/token-intro.html",
    documents: &[
        (
            "device flow and rotation",
            "https://developer.pingidentity.com/pingone-api/auth/openid-connect-oauth-2/device-authorization-grant/token-device_code-none.html",
        ),
    ],
    ..BLANK
};
