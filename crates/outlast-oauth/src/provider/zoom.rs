//! Zoom: a renewal replaces the refresh token.

use super::{BLANK, ClientAuthMethod, Pkce, Preset, Rotates, days};

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
    idle_life: days(90),
    upstreams: &["https://api.zoom.us"],
    documentation: "https://developers.zoom.us/docs/integrations/oauth/",
    ..BLANK
};
