//! Atlassian cloud: every use of a refresh token replaces it.

use super::{BLANK, Preset, Rotates, days, minutes};

pub(super) const PRESET: Preset = Preset {
    name: "atlassian",
    display_name: "Atlassian cloud",
    authorization_endpoint: Some("https://auth.atlassian.com/authorize"),
    authorization_parameters: &[("audience", "api.atlassian.com"), ("prompt", "consent")],
    token_endpoint: "https://auth.atlassian.com/oauth/token",
    rotates: Rotates::Yes,
    grace: minutes(10),
    idle_life: days(90),
    absolute_life: days(365),
    upstreams: &["https://api.atlassian.com"],
    quirks: &[
        "Only the scope `offline_access` brings a refresh token.",
        "Reuse of a replaced refresh token after the grace invalidates every refresh token of the grant.",
    ],
    documentation: "https://developer.atlassian.com/cloud/oauth/getting-started/refresh-tokens/",
    documents: &[
        ("authorization", "https://developer.atlassian.com/cloud/jira/platform/oauth-2-3lo-apps/"),
        (
            "grace and lifetimes",
            "https://community.developer.atlassian.com/t/updated-31-january-2022-action-required-deprecating-persistent-refresh-tokens/54172",
        ),
    ],
    ..BLANK
};
