//! Auth0 tenants, with their own domain or Auth0's.

use super::{BLANK, Form, Parameter, Pkce, Preset, Rotates};

pub(super) const PRESET: Preset = Preset {
    name: "auth0",
    display_name: "Auth0",
    parameters: &[
        Parameter {
            name: "domain",
            meaning: "the tenant's domain, such as example.eu.auth0.com",
            form: Form::Host,
        },
    ],
    issuer: Some("https://{domain}/"),
    authorization_endpoint: Some("https://{domain}/authorize"),
    token_endpoint: "https://{domain}/oauth/token",
    device_endpoint: Some("https://{domain}/oauth/device/code"),
    revocation_endpoint: Some("https://{domain}/oauth/revoke"),
    pkce: Pkce::Supported,
    rotates: Rotates::Yes,
    quirks: &[
        "Protects APIs of one's own: the upstream is configured.",
        "Rotation, its overlap, and the idle and absolute life of refresh tokens are settings of each application.",
        "Only the scope `offline_access` brings a refresh token, and access tokens for an API ask for its \
         `audience`.",
    ],
    documentation: "https://auth0.com/docs/api/authentication",
    documents: &[
        ("lifetimes", "https://auth0.com/docs/secure/tokens/refresh-tokens/configure-refresh-token-expiration"),
        ("rotation", "https://auth0.com/docs/secure/tokens/refresh-tokens/refresh-token-rotation"),
    ],
    ..BLANK
};
