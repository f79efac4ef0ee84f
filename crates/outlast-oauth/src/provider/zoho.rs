//! Zoho, region US: refresh tokens stay the same. Other regions are `zoho-region`.

use super::{BLANK, Preset, Rotates};

pub(super) const PRESET: Preset = Preset {
    name: "zoho",
    display_name: "Zoho",
    authorization_endpoint: Some("https://accounts.zoho.com/oauth/v2/auth"),
    authorization_parameters: &[("access_type", "offline"), ("prompt", "consent")],
    token_endpoint: "https://accounts.zoho.com/oauth/v2/token",
    revocation_endpoint: Some("https://accounts.zoho.com/oauth/v2/token/revoke"),
    scope_separator: ',',
    rotates: Rotates::No,
    upstreams: &["https://www.zohoapis.com"],
    quirks: &[
        "Each region has servers of its own: a token request goes to the region that issued the code.",
    ],
    documentation: "https://www.zoho.com/accounts/protocol/oauth/web-server-applications.html",
    documents: &[
        ("refresh tokens", "https://www.zoho.com/crm/developer/docs/api/v8/refresh.html"),
        ("revocation", "https://www.zoho.com/crm/developer/docs/api/v8/revoke-tokens.html"),
    ],
    ..BLANK
};
