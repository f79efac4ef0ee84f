//! Calendly: refresh tokens last until they are used, and serve once.

use super::{BLANK, Pkce, Preset, Rotates};

pub(super) const PRESET: Preset = Preset {
    name: "calendly",
    display_name: "Calendly",
    authorization_endpoint: Some("https://auth.calendly.com/oauth/authorize"),
    token_endpoint: "https://auth.calendly.com/oauth/token",
    revocation_endpoint: Some("https://auth.calendly.com/oauth/revoke"),
    pkce: Pkce::Supported,
    rotates: Rotates::Yes,
    upstreams: &["https://api.calendly.com"],
    documentation: "https://developer.calendly.com/how-to-access-calendly-data-on-behalf-of-authenticated-users",
    documents: &[
        ("revocation", "https://developer.calendly.com/api-docs/3cefb59b832eb-calendly-o-auth-2-0"),
        ("rotation", "https://developer.calendly.com/refresh-token-rotation-guide"),
    ],
    ..BLANK
};
