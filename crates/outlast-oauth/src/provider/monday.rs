//! monday.com: no refresh tokens.

use super::{BLANK, Preset};

pub(super) const PRESET: Preset = Preset {
    name: "monday",
    display_name: "monday.com",
    authorization_endpoint: Some("https://auth.monday.com/oauth2/authorize"),
    token_endpoint: "https://auth.monday.com/oauth2/token",
    upstreams: &["https://api.monday.com"],
    quirks: &["No refresh token is issued: access tokens last until the person uninstalls the app."],
    documentation: "https://developer.monday.com/apps/docs/oauth",
    ..BLANK
};
