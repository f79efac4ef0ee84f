//! Microsoft Entra, for accounts of any tenant. It has no one issuer: each tenant has its own.

use super::{BLANK, Pkce, Preset, Rotates, days};

pub(super) const PRESET: Preset = Preset {
    name: "microsoft",
    display_name: "Microsoft Entra",
    authorization_endpoint: Some("https://login.microsoftonline.com/common/oauth2/v2.0/authorize"),
    token_endpoint: "https://login.microsoftonline.com/common/oauth2/v2.0/token",
    device_endpoint: Some("https://login.microsoftonline.com/common/oauth2/v2.0/devicecode"),
    pkce: Pkce::Supported,
    rotates: Rotates::Yes,
    idle_life: days(90),
    upstreams: &["https://graph.microsoft.com"],
    quirks: &[
        "Only the scope `offline_access` brings a refresh token.",
        "A used refresh token is not revoked: the new one replaces it and the old one should be deleted.",
        "Refresh tokens of single-page apps end after 24 hours.",
        "Client credentials need a tenant: that is the preset `microsoft-tenant`.",
    ],
    documentation: "https://learn.microsoft.com/en-us/entra/identity-platform/v2-oauth2-auth-code-flow",
    documents: &[
        ("device flow", "https://learn.microsoft.com/en-us/entra/identity-platform/v2-oauth2-device-code"),
        ("lifetimes", "https://learn.microsoft.com/en-us/entra/identity-platform/refresh-tokens"),
    ],
    ..BLANK
};
