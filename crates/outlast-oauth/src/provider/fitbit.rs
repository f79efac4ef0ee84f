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
    quirks: &[
        "Its makers announced the end of these endpoints for 2 November 2026, in favour of the Google Health API, \
         which takes tokens of the preset `google`.",
    ],
    documentation: "https://dev.fitbit.com/build/reference/web-api/authorization/",
    documents: &[
        ("end of service", "https://developers.google.com/health/about"),
        ("refresh tokens", "https://dev.fitbit.com/build/reference/web-api/authorization/refresh-token/"),
    ],
    ..BLANK
};
