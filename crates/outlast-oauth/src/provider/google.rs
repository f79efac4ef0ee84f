//! Google: a refresh token stays the same when it is used. Idle life: six months are at least 181 days.

use super::{BLANK, Pkce, Preset, Rotates, days};

pub(super) const PRESET: Preset = Preset {
    name: "google",
    display_name: "Google",
    issuer: Some("https://accounts.google.com"),
    authorization_endpoint: Some("https://accounts.google.com/o/oauth2/v2/auth"),
    authorization_parameters: &[("access_type", "offline"), ("prompt", "consent")],
    token_endpoint: "https://oauth2.googleapis.com/token",
    device_endpoint: Some("https://oauth2.googleapis.com/device/code"),
    revocation_endpoint: Some("https://oauth2.googleapis.com/revoke"),
    pkce: Pkce::Supported,
    rotates: Rotates::No,
    idle_life: days(181),
    upstreams: &[
        "https://www.googleapis.com",
        "https://docs.googleapis.com",
        "https://gmail.googleapis.com",
        "https://people.googleapis.com",
        "https://sheets.googleapis.com",
    ],
    quirks: &[
        "Refresh tokens of a project in testing end after 7 days.",
        "The oldest refresh token ends without warning when a person has more than 100 for one client.",
    ],
    documentation: "https://developers.google.com/identity/protocols/oauth2/web-server",
    documents: &[
        ("PKCE", "https://developers.google.com/identity/protocols/oauth2/native-app"),
        ("device flow", "https://developers.google.com/identity/protocols/oauth2/limited-input-device"),
        ("issuer", "https://accounts.google.com/.well-known/openid-configuration"),
        ("lifetimes", "https://developers.google.com/identity/protocols/oauth2"),
    ],
    ..BLANK
};
