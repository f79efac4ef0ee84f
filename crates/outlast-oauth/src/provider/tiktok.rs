//! TikTok: the grant ends a year after the login.

use super::{BLANK, Pkce, Preset, Rotates, days};

pub(super) const PRESET: Preset = Preset {
    name: "tiktok",
    display_name: "TikTok",
    authorization_endpoint: Some("https://www.tiktok.com/v2/auth/authorize/"),
    token_endpoint: "https://open.tiktokapis.com/v2/oauth/token/",
    revocation_endpoint: Some("https://open.tiktokapis.com/v2/oauth/revoke/"),
    scope_separator: ',',
    pkce: Pkce::Supported,
    rotates: Rotates::Yes,
    absolute_life: days(365),
    upstreams: &["https://open.tiktokapis.com"],
    quirks: &[
        "The client is named `client_key` where RFC 6749 says `client_id`; Outlast does not send that name yet.",
        "PKCE is required of mobile and desktop apps.",
    ],
    documentation: "https://developers.tiktok.com/doc/oauth-user-access-token-management",
    ..BLANK
};
