//! Spotify: the grant ends six months after the login, however often it is renewed. Six months are at least 181 days.

use super::{BLANK, ClientAuthMethod, Pkce, Preset, days};

pub(super) const PRESET: Preset = Preset {
    name: "spotify",
    display_name: "Spotify",
    authorization_endpoint: Some("https://accounts.spotify.com/authorize"),
    token_endpoint: "https://accounts.spotify.com/api/token",
    client_auth: ClientAuthMethod::Basic,
    pkce: Pkce::Supported,
    absolute_life: days(181),
    upstreams: &["https://api.spotify.com"],
    documentation: "https://developer.spotify.com/documentation/web-api/tutorials/code-flow",
    documents: &[
        ("PKCE", "https://developer.spotify.com/documentation/web-api/tutorials/code-pkce-flow"),
        ("lifetimes", "https://developer.spotify.com/documentation/web-api/tutorials/refreshing-tokens"),
    ],
    ..BLANK
};
