//! Shopify shops: offline access tokens that expire.

use super::{BLANK, Form, Parameter, Preset, Rotates, days};

pub(super) const PRESET: Preset = Preset {
    name: "shopify",
    display_name: "Shopify",
    parameters: &[
        Parameter {
            name: "shop",
            meaning: "the shop's name, the first part of its myshopify.com domain",
            form: Form::Name,
        },
    ],
    authorization_endpoint: Some("https://{shop}.myshopify.com/admin/oauth/authorize"),
    token_endpoint: "https://{shop}.myshopify.com/admin/oauth/access_token",
    scope_separator: ',',
    rotates: Rotates::Yes,
    idle_life: days(90),
    upstreams: &["https://{shop}.myshopify.com"],
    quirks: &[
        "Only a code exchange with `expiring=1` brings a refresh token.",
        "A new expiring token revokes the earlier ones of that app and shop.",
    ],
    documentation: "https://shopify.dev/docs/apps/build/authentication-authorization/access-tokens/offline-access-tokens",
    documents: &[
        ("refresh tokens", "https://shopify.dev/changelog/offline-access-tokens-now-support-expiry-and-refresh"),
    ],
    ..BLANK
};
