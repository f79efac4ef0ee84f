//! Dropbox: refresh tokens stay the same and do not end by themselves.

use super::{BLANK, Pkce, Preset, Rotates};

pub(super) const PRESET: Preset = Preset {
    name: "dropbox",
    display_name: "Dropbox",
    authorization_endpoint: Some("https://www.dropbox.com/oauth2/authorize"),
    authorization_parameters: &[("token_access_type", "offline")],
    token_endpoint: "https://api.dropboxapi.com/oauth2/token",
    pkce: Pkce::Supported,
    rotates: Rotates::No,
    upstreams: &["https://api.dropboxapi.com", "https://content.dropboxapi.com"],
    quirks: &["Tokens are revoked by an API call with the token as bearer, not as RFC 7009 says."],
    documentation: "https://developers.dropbox.com/oauth-guide",
    documents: &[
        ("refresh tokens", "https://dropbox.tech/developers/using-oauth-2-0-with-offline-access"),
    ],
    ..BLANK
};
