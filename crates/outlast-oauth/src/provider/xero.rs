//! Xero: a replaced refresh token still serves for 30 minutes, for those who lost the answer.

use super::{BLANK, ClientAuthMethod, Pkce, Preset, Rotates, days, minutes};

pub(super) const PRESET: Preset = Preset {
    name: "xero",
    display_name: "Xero",
    issuer: Some("https://identity.xero.com"),
    authorization_endpoint: Some("https://login.xero.com/identity/connect/authorize"),
    token_endpoint: "https://identity.xero.com/connect/token",
    revocation_endpoint: Some("https://identity.xero.com/connect/revocation"),
    client_auth: ClientAuthMethod::Basic,
    pkce: Pkce::Supported,
    rotates: Rotates::Yes,
    grace: minutes(30),
    idle_life: days(60),
    upstreams: &["https://api.xero.com"],
    quirks: &[
        "Only the scope `offline_access` brings a refresh token.",
        "API requests also name the organisation, in the `Xero-Tenant-Id` field.",
    ],
    documentation: "https://developer.xero.com/documentation/guides/oauth2/auth-flow",
    documents: &[
        ("grace, lifetimes and PKCE", "https://developer.xero.com/faq/oauth2"),
        ("issuer", "https://identity.xero.com/.well-known/openid-configuration"),
    ],
    ..BLANK
};
