//! Slack apps with token rotation; without it their tokens do not end.

use super::{BLANK, Pkce, Preset, Rotates};

pub(super) const PRESET: Preset = Preset {
    name: "slack",
    display_name: "Slack",
    authorization_endpoint: Some("https://slack.com/oauth/v2/authorize"),
    token_endpoint: "https://slack.com/api/oauth.v2.access",
    scope_separator: ',',
    pkce: Pkce::Supported,
    rotates: Rotates::Yes,
    upstreams: &["https://slack.com"],
    quirks: &[
        "Errors come with status 200 and `\"ok\": false`.",
        "PKCE is a setting that makes the app a public client for good; its refresh tokens end after 30 days.",
    ],
    documentation: "https://docs.slack.dev/authentication/using-token-rotation",
    documents: &[
        ("PKCE", "https://docs.slack.dev/authentication/using-pkce"),
        ("authorization", "https://docs.slack.dev/authentication/installing-with-oauth"),
    ],
    ..BLANK
};
