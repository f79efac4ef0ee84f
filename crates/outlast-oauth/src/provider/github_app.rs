//! GitHub Apps acting for a person; both tokens are replaced by a renewal. The refresh token's life is documented as
//! 15,897,600 seconds, which is 184 days.

use super::{BLANK, Pkce, Preset, Rotates, days};

pub(super) const PRESET: Preset = Preset {
    name: "github-app",
    display_name: "GitHub Apps",
    authorization_endpoint: Some("https://github.com/login/oauth/authorize"),
    token_endpoint: "https://github.com/login/oauth/access_token",
    device_endpoint: Some("https://github.com/login/device/code"),
    pkce: Pkce::Supported,
    rotates: Rotates::Yes,
    idle_life: days(184),
    upstreams: &["https://api.github.com"],
    quirks: &[
        "Scopes are ignored: the permissions are those of the app.",
        "An app that opted out of expiring tokens gets no refresh token.",
    ],
    documentation: "https://docs.github.com/en/apps/creating-github-apps/authenticating-with-a-github-app/refreshing-user-access-tokens",
    documents: &[
        (
            "authorization",
            "https://docs.github.com/en/apps/creating-github-apps/authenticating-with-a-github-app/generating-a-user-access-token-for-a-github-app",
        ),
    ],
    ..BLANK
};
