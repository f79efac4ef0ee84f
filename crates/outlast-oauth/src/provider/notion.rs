//! Notion. Its documentation shows the parameters as a JSON object; we send a form, as RFC 6749 says.

use super::{BLANK, ClientAuthMethod, Preset, Rotates};

pub(super) const PRESET: Preset = Preset {
    name: "notion",
    display_name: "Notion",
    authorization_endpoint: Some("https://api.notion.com/v1/oauth/authorize"),
    authorization_parameters: &[("owner", "user")],
    token_endpoint: "https://api.notion.com/v1/oauth/token",
    revocation_endpoint: Some("https://api.notion.com/v1/oauth/revoke"),
    introspection_endpoint: Some("https://api.notion.com/v1/oauth/introspect"),
    client_auth: ClientAuthMethod::Basic,
    rotates: Rotates::Yes,
    upstreams: &["https://api.notion.com"],
    quirks: &[
        "Requests are documented as JSON objects, to the revocation and introspection endpoints too.",
        "There are no scopes: capabilities are chosen in the integration's settings.",
    ],
    documentation: "https://developers.notion.com/reference/refresh-a-token",
    documents: &[
        ("introspection", "https://developers.notion.com/reference/introspect-token"),
        ("revocation", "https://developers.notion.com/reference/revoke-token"),
    ],
    ..BLANK
};
