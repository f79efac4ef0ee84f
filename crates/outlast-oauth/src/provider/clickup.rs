//! ClickUp: no scopes and no refresh tokens.

use super::{BLANK, Preset};

pub(super) const PRESET: Preset = Preset {
    name: "clickup",
    display_name: "ClickUp",
    authorization_endpoint: Some("https://app.clickup.com/api"),
    token_endpoint: "https://api.clickup.com/api/v2/oauth/token",
    upstreams: &["https://api.clickup.com"],
    quirks: &["No refresh token is issued.", "There are no scopes: the person chooses workspaces."],
    documentation: "https://developer.clickup.com/docs/authentication",
    ..BLANK
};
