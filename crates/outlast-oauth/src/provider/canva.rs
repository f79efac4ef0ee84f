//! Canva Connect: PKCE always.

use super::{BLANK, ClientAuthMethod, Pkce, Preset, Rotates};

pub(super) const PRESET: Preset = Preset {
    name: "canva",
    display_name: "Canva",
    authorization_endpoint: Some("https://www.canva.com/api/oauth/authorize"),
    token_endpoint: "https://api.canva.com/rest/v1/oauth/token",
    revocation_endpoint: Some("https://api.canva.com/rest/v1/oauth/revoke"),
    introspection_endpoint: Some("https://api.canva.com/rest/v1/oauth/introspect"),
    client_auth: ClientAuthMethod::Basic,
    pkce: Pkce::Required,
    rotates: Rotates::Yes,
    upstreams: &["https://api.canva.com"],
    quirks: &["Its examples write the challenge method as `s256`."],
    documentation: "https://www.canva.dev/docs/connect/authentication/",
    documents: &[
        ("tokens", "https://www.canva.dev/docs/connect/api-reference/authentication/generate-access-token/"),
    ],
    ..BLANK
};
