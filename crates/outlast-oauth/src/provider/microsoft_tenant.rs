//! Microsoft Entra, for accounts of one tenant.

use super::{BLANK, Form, Parameter, Pkce, Preset, Rotates, days};

pub(super) const PRESET: Preset = Preset {
    name: "microsoft-tenant",
    display_name: "Microsoft Entra, one tenant",
    parameters: &[Parameter { name: "tenant", meaning: "the tenant's identifier", form: Form::Name }],
    issuer: Some("https://login.microsoftonline.com/{tenant}/v2.0"),
    authorization_endpoint: Some("https://login.microsoftonline.com/{tenant}/oauth2/v2.0/authorize"),
    token_endpoint: "https://login.microsoftonline.com/{tenant}/oauth2/v2.0/token",
    device_endpoint: Some("https://login.microsoftonline.com/{tenant}/oauth2/v2.0/devicecode"),
    pkce: Pkce::Supported,
    rotates: Rotates::Yes,
    idle_life: days(90),
    upstreams: &["https://graph.microsoft.com"],
    quirks: &[
        "Only the scope `offline_access` brings a refresh token.",
        "A used refresh token is not revoked: the new one replaces it and the old one should be deleted.",
        "Refresh tokens of single-page apps end after 24 hours.",
        "The issuer has the tenant's identifier, even where the tenant is given by a domain name.",
    ],
    documentation: "https://learn.microsoft.com/en-us/entra/identity-platform/v2-oauth2-auth-code-flow",
    documents: &[
        ("device flow", "https://learn.microsoft.com/en-us/entra/identity-platform/v2-oauth2-device-code"),
        ("lifetimes", "https://learn.microsoft.com/en-us/entra/identity-platform/refresh-tokens"),
    ],
    ..BLANK
};
