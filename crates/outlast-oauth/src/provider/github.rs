//! GitHub OAuth apps; their tokens do not end. GitHub Apps that act for a person are `github-app`.

use super::{BLANK, Pkce, Preset};

pub(super) const PRESET: Preset = Preset {
    name: "github",
    display_name: "GitHub OAuth apps",
    authorization_endpoint: Some("https://github.com/login/oauth/authorize"),
    token_endpoint: "https://github.com/login/oauth/access_token",
    device_endpoint: Some("https://github.com/login/device/code"),
    pkce: Pkce::Supported,
    upstreams: &["https://api.github.com"],
    quirks: &["No refresh token is issued.", "A token that is not used for a year is revoked."],
    documentation: "https://docs.github.com/en/apps/oauth-apps/building-oauth-apps/authorizing-oauth-apps",
    documents: &[
        (
            "lifetimes",
            "https://docs.github.com/en/authentication/keeping-your-account-and-data-secure/token-expiration-and-revocation",
        ),
    ],
    ..BLANK
};
