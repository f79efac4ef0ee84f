//! Todoist: scopes are separated by commas.

use super::{BLANK, Preset};

pub(super) const PRESET: Preset = Preset {
    name: "todoist",
    display_name: "Todoist",
    authorization_endpoint: Some("https://app.todoist.com/oauth/authorize"),
    token_endpoint: "https://api.todoist.com/oauth/access_token",
    revocation_endpoint: Some("https://api.todoist.com/api/v1/revoke"),
    scope_separator: ',',
    upstreams: &["https://api.todoist.com"],
    documentation: "https://developer.todoist.com/api/v1/",
    ..BLANK
};
