//! Fitbit: a renewal replaces the refresh token.

use super::{BLANK, ClientAuthMethod, Pkce, Preset, Rotates};

pub(super) const PRESET: Preset = Preset {
    name: "fitbit",
    display_name: "Fitbit",
    authorization_endpoint: Some("https://www.fitbit.com/oauth2/authorize"),
    token_endpoint: "https://api.fitbit.com/oauth2/token",
    revocation_endpoint: Some("https://api.fitbit.com/oauth2/revoke"),
    introspection_endpoint: Some("https://api.fitbit.com/1.1/oauth2/introspect"),
    client_auth: ClientAuthMethod::Basic,
    pkce: Pkce::Supported,
    rotates: Rotates::Yes,
    upstreams: &["https://api.fitbit.com"],
    documentation: "https://dev.fitbit.com/build/reference/web-api/authorization/",
    documents: &[
        ("refresh tokens", "https://dev.fitbit.com/build/reference/web-api/authorization/refresh-token/"),
    ],
    ..BLANK
};
