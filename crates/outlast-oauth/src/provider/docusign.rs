//! Docusign, production.

use super::{BLANK, ClientAuthMethod, Preset, days};

pub(super) const PRESET: Preset = Preset {
    name: "docusign",
    display_name: "Docusign",
    authorization_endpoint: Some("https://account.docusign.com/oauth/auth"),
    token_endpoint: "https://account.docusign.com/oauth/token",
    client_auth: ClientAuthMethod::Basic,
    idle_life: days(30),
    quirks: &[
        "Without the scope `extended` a renewal does not lengthen the 30 days of the refresh token.",
        "The API's origin differs by account and is found at the user information endpoint.",
    ],
    documentation: "https://developers.docusign.com/platform/auth/authcode/",
    documents: &[
        ("lifetimes", "https://www.docusign.com/blog/developers/authorization-code-grant-refresh-tokens"),
    ],
    ..BLANK
};
