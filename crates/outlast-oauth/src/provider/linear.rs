//! Linear: scopes are separated by commas.

use super::{BLANK, Pkce, Preset};

pub(super) const PRESET: Preset = Preset {
    name: "linear",
    display_name: "Linear",
    authorization_endpoint: Some("https://linear.app/oauth/authorize"),
    token_endpoint: "https://api.linear.app/oauth/token",
    revocation_endpoint: Some("https://api.linear.app/oauth/revoke"),
    scope_separator: ',',
    pkce: Pkce::Supported,
    upstreams: &["https://api.linear.app"],
    documentation: "https://linear.app/developers/oauth-2-0-authentication",
    ..BLANK
};
