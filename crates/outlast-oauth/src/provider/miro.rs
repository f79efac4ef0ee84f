//! Miro apps with expiring tokens.

use super::{BLANK, Preset, Rotates, days};

pub(super) const PRESET: Preset = Preset {
    name: "miro",
    display_name: "Miro",
    authorization_endpoint: Some("https://miro.com/oauth/authorize"),
    token_endpoint: "https://api.miro.com/v1/oauth/token",
    rotates: Rotates::Yes,
    idle_life: days(60),
    upstreams: &["https://api.miro.com"],
    quirks: &[
        "An app without expiring tokens gets no refresh token, and its access tokens last until it is uninstalled.",
    ],
    documentation: "https://developers.miro.com/docs/getting-started-with-oauth",
    documents: &[
        ("refresh tokens", "https://developers.miro.com/reference/get-new-access-token-using-refresh-token"),
    ],
    ..BLANK
};
