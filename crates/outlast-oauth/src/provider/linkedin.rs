//! LinkedIn: the grant ends a year after the login, however often it is renewed.

use super::{BLANK, Preset, days};

pub(super) const PRESET: Preset = Preset {
    name: "linkedin",
    display_name: "LinkedIn",
    authorization_endpoint: Some("https://www.linkedin.com/oauth/v2/authorization"),
    token_endpoint: "https://www.linkedin.com/oauth/v2/accessToken",
    introspection_endpoint: Some("https://www.linkedin.com/oauth/v2/introspectToken"),
    absolute_life: days(365),
    upstreams: &["https://api.linkedin.com"],
    quirks: &["Refresh tokens are issued to approved partners only."],
    documentation: "https://learn.microsoft.com/en-us/linkedin/shared/authentication/authorization-code-flow",
    documents: &[
        ("introspection", "https://learn.microsoft.com/en-us/linkedin/shared/authentication/token-introspection"),
        (
            "lifetimes",
            "https://learn.microsoft.com/en-us/linkedin/shared/authentication/programmatic-refresh-tokens",
        ),
    ],
    ..BLANK
};
