//! Twitch.

use super::{BLANK, Preset, Rotates};

pub(super) const PRESET: Preset = Preset {
    name: "twitch",
    display_name: "Twitch",
    issuer: Some("https://id.twitch.tv/oauth2"),
    authorization_endpoint: Some("https://id.twitch.tv/oauth2/authorize"),
    token_endpoint: "https://id.twitch.tv/oauth2/token",
    revocation_endpoint: Some("https://id.twitch.tv/oauth2/revoke"),
    rotates: Rotates::Yes,
    upstreams: &["https://api.twitch.tv"],
    quirks: &[
        "Its device flow names the scopes `scopes`, not `scope`; no device endpoint is given here for that reason.",
        "Refresh tokens of public clients serve once, within 30 days.",
        "API requests also name the client, in the `Client-Id` field.",
    ],
    documentation: "https://dev.twitch.tv/docs/authentication/getting-tokens-oauth/",
    documents: &[
        ("issuer", "https://id.twitch.tv/oauth2/.well-known/openid-configuration"),
        ("refresh tokens", "https://dev.twitch.tv/docs/authentication/refresh-tokens/"),
        ("revocation", "https://dev.twitch.tv/docs/authentication/revoke-tokens/"),
    ],
    ..BLANK
};
