//! Zoom: a renewal replaces the refresh token.

use super::{BLANK, ClientAuthMethod, Pkce, Preset, Rotates};

pub(super) const PRESET: Preset = Preset {
    name: "zoom",
    display_name: "Zoom",
    authorization_endpoint: Some("https://zoom.us/oauth/authorize"),
    token_endpoint: "https://zoom.us/oauth/token",
    device_endpoint: Some("https://zoom.us/oauth/devicecode"),
    revocation_endpoint: Some("https://zoom.us/oauth/revoke"),
    client_auth: ClientAuthMethod::Basic,
    pkce: Pkce::Supported,
    rotates: Rotates::Yes,
    upstreams: &["https://api.zoom.us"],
    documentation: "https://developers.zoom.us/docs/integrations/oauth/",
    documents: &[
        (
            "rotation",
            "https://devsupport.zoom.us/hc/en-us/articles/360060332931-Extending-the-expiration-for-an-OAuth-access-token",
        ),
    ],
    ..BLANK
};
