//! Typeform: only the scope `offline` brings a refresh token.

use super::{BLANK, Preset};

pub(super) const PRESET: Preset = Preset {
    name: "typeform",
    display_name: "Typeform",
    authorization_endpoint: Some("https://api.typeform.com/oauth/authorize"),
    token_endpoint: "https://api.typeform.com/oauth/token",
    upstreams: &["https://api.typeform.com"],
    quirks: &["Only the scope `offline` brings a refresh token."],
    documentation: "https://www.typeform.com/developers/get-started/applications/",
    ..BLANK
};
