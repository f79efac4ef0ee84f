//! HubSpot, by its third version of the endpoints.

use super::{BLANK, Preset};

pub(super) const PRESET: Preset = Preset {
    name: "hubspot",
    display_name: "HubSpot",
    authorization_endpoint: Some("https://app.hubspot.com/oauth/authorize"),
    token_endpoint: "https://api.hubapi.com/oauth/v3/token",
    upstreams: &["https://api.hubapi.com"],
    documentation: "https://developers.hubspot.com/docs/api-reference/auth-oauth-v3/guide",
    ..BLANK
};
