//! Intuit QuickBooks Online: the refresh token changes about daily. Absolute life: five years are at least 1,826
//! days.

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
    absolute_life: days(1826),
    upstreams: &["https://quickbooks.api.intuit.com"],
    quirks: &["Its metadata does not stand under its issuer."],
    documentation: "https://developer.intuit.com/app/developer/qbo/docs/develop/authentication-and-authorization/oauth-2.0",
    documents: &[
        ("absolute life", "https://blogs.a.intuit.com/2025/11/12/important-changes-to-refresh-token-policy"),
        (
            "idle life",
            "https://developer.intuit.com/app/developer/qbo/docs/develop/authentication-and-authorization/faq",
        ),
        ("issuer and revocation", "https://developer.api.intuit.com/.well-known/openid_configuration"),
    ],
    ..BLANK
};
