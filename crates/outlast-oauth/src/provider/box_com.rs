//! Box: a refresh token serves once, within 60 days.

use super::{BLANK, Preset, Rotates, days};

pub(super) const PRESET: Preset = Preset {
    name: "box",
    display_name: "Box",
    authorization_endpoint: Some("https://account.box.com/api/oauth2/authorize"),
    token_endpoint: "https://api.box.com/oauth2/token",
    revocation_endpoint: Some("https://api.box.com/oauth2/revoke"),
    rotates: Rotates::Yes,
    idle_life: days(60),
    upstreams: &["https://api.box.com", "https://upload.box.com"],
    documentation: "https://developer.box.com/guides/authentication/tokens/refresh/",
    documents: &[("revocation", "https://developer.box.com/reference/post-oauth2-revoke/")],
    ..BLANK
};
