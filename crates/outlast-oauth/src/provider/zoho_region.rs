//! Zoho by region: refresh tokens stay the same.

use super::{BLANK, Form, Parameter, Preset, Rotates};

pub(super) const PRESET: Preset = Preset {
    name: "zoho-region",
    display_name: "Zoho, other regions",
    parameters: &[
        Parameter {
            name: "region",
            meaning: "the end of the region's domain",
            form: Form::OneOf(&["com", "com.au", "com.cn", "eu", "in", "jp", "sa"]),
        },
    ],
    authorization_endpoint: Some("https://accounts.zoho.{region}/oauth/v2/auth"),
    authorization_parameters: &[("access_type", "offline"), ("prompt", "consent")],
    token_endpoint: "https://accounts.zoho.{region}/oauth/v2/token",
    revocation_endpoint: Some("https://accounts.zoho.{region}/oauth/v2/token/revoke"),
    scope_separator: ',',
    rotates: Rotates::No,
    upstreams: &["https://www.zohoapis.{region}"],
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
