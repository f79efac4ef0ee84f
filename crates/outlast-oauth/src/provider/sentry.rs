//! Sentry.

use super::{BLANK, Pkce, Preset};

pub(super) const PRESET: Preset = Preset {
    name: "sentry",
    display_name: "Sentry",
    authorization_endpoint: Some("https://sentry.io/oauth/authorize/"),
    token_endpoint: "https://sentry.io/oauth/token/",
    device_endpoint: Some("https://sentry.io/oauth/device/code/"),
    pkce: Pkce::Supported,
    upstreams: &["https://sentry.io"],
    documentation: "https://docs.sentry.io/api/auth/",
    ..BLANK
};
