//! Strava: the refresh token may change with every renewal.

use super::{BLANK, Preset, Rotates};

pub(super) const PRESET: Preset = Preset {
    name: "strava",
    display_name: "Strava",
    authorization_endpoint: Some("https://www.strava.com/oauth/authorize"),
    token_endpoint: "https://www.strava.com/oauth/token",
    scope_separator: ',',
    rotates: Rotates::Yes,
    upstreams: &["https://www.strava.com"],
    quirks: &["A grant is ended at a deauthorization address, not as RFC 7009 says."],
    documentation: "https://developers.strava.com/docs/authentication/",
    ..BLANK
};
