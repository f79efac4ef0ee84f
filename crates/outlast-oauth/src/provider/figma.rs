//! Figma: tokens are renewed at an endpoint of their own.

use super::{BLANK, ClientAuthMethod, Preset};

pub(super) const PRESET: Preset = Preset {
    name: "figma",
    display_name: "Figma",
    authorization_endpoint: Some("https://www.figma.com/oauth"),
    exchange_endpoint: Some("https://api.figma.com/v1/oauth/token"),
    token_endpoint: "https://api.figma.com/v1/oauth/refresh",
    client_auth: ClientAuthMethod::Basic,
    upstreams: &["https://api.figma.com"],
    documentation: "https://developers.figma.com/docs/rest-api/authentication/",
    ..BLANK
};
