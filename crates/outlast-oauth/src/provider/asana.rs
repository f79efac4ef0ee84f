//! Asana.

use super::{BLANK, Pkce, Preset};

pub(super) const PRESET: Preset = Preset {
    name: "asana",
    display_name: "Asana",
    authorization_endpoint: Some("https://app.asana.com/-/oauth_authorize"),
    token_endpoint: "https://app.asana.com/-/oauth_token",
    revocation_endpoint: Some("https://app.asana.com/-/oauth_revoke"),
    pkce: Pkce::Supported,
    upstreams: &["https://app.asana.com"],
    documentation: "https://developers.asana.com/docs/oauth",
    ..BLANK
};
