//! Intuit QuickBooks Online: the refresh token changes about daily.

use super::{BLANK, ClientAuthMethod, Preset, Rotates, days};

pub(super) const PRESET: Preset = Preset {
    name: "quickbooks",
    display_name: "Intuit QuickBooks",
    issuer: Some("https://oauth.platform.intuit.com/op/v1"),
    authorization_endpoint: Some("https://appcenter.intuit.com/connect/oauth2"),
    token_endpoint: "https://oauth.platform.intuit.com/oauth2/v1/tokens/bearer",
    revocation_endpoint: Some("https://developer.api.intuit.com/v2/oauth2/tokens/revoke"),
    client_auth: ClientAuthMethod::Basic,
    rotates: Rotates::Yes,
    idle_life: days(100),
    upstreams: &["https://quickbooks.api.intuit.com"],
    documentation: "https://developer.intuit.com/app/developer/qbo/docs/develop/authentication-and-authorization/oauth-2.0",
    documents: &[
        (
            "lifetimes",
            "https://developer.intuit.com/app/developer/qbo/docs/develop/authentication-and-authorization/faq",
        ),
    ],
    ..BLANK
};
