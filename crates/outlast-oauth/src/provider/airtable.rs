//! Airtable: PKCE always, and a renewal replaces both tokens.

use super::{BLANK, ClientAuthMethod, Pkce, Preset, Rotates, days};

pub(super) const PRESET: Preset = Preset {
    name: "airtable",
    display_name: "Airtable",
    authorization_endpoint: Some("https://airtable.com/oauth2/v1/authorize"),
    token_endpoint: "https://airtable.com/oauth2/v1/token",
    client_auth: ClientAuthMethod::Basic,
    pkce: Pkce::Required,
    rotates: Rotates::Yes,
    idle_life: days(60),
    upstreams: &["https://api.airtable.com"],
    documentation: "https://airtable.com/developers/web/api/oauth-reference",
    ..BLANK
};
