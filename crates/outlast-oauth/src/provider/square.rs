//! Square: refresh tokens of the PKCE flow serve once, those of the code flow do not end.

use super::{BLANK, Pkce, Preset, Rotates};

pub(super) const PRESET: Preset = Preset {
    name: "square",
    display_name: "Square",
    authorization_endpoint: Some("https://connect.squareup.com/oauth2/authorize"),
    token_endpoint: "https://connect.squareup.com/oauth2/token",
    pkce: Pkce::Supported,
    rotates: Rotates::Yes,
    upstreams: &["https://connect.squareup.com"],
    quirks: &[
        "Without PKCE the refresh token stays the same; with PKCE it serves once, within 90 days.",
        "Requests are documented as JSON objects.",
        "Revocation is authorized by the application's secret, not as RFC 7009 says.",
    ],
    documentation: "https://developer.squareup.com/docs/oauth-api/overview",
    documents: &[
        ("refresh tokens", "https://developer.squareup.com/docs/oauth-api/receive-and-manage-tokens"),
        ("renewal and revocation", "https://developer.squareup.com/docs/oauth-api/refresh-revoke-limit-scope"),
    ],
    ..BLANK
};
