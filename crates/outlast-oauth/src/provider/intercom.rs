//! Intercom: no scopes and no refresh tokens.

use super::{BLANK, Preset};

pub(super) const PRESET: Preset = Preset {
    name: "intercom",
    display_name: "Intercom",
    authorization_endpoint: Some("https://app.intercom.com/oauth"),
    token_endpoint: "https://api.intercom.io/auth/eagle/token",
    upstreams: &["https://api.intercom.io"],
    quirks: &[
        "No refresh token is issued.",
        "Permissions are chosen in the app's settings, not by scopes.",
    ],
    documentation: "https://developers.intercom.com/building-apps/docs/setting-up-oauth",
    ..BLANK
};
