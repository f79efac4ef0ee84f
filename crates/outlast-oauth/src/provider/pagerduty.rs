//! PagerDuty.

use super::{BLANK, Pkce, Preset};

pub(super) const PRESET: Preset = Preset {
    name: "pagerduty",
    display_name: "PagerDuty",
    authorization_endpoint: Some("https://identity.pagerduty.com/oauth/authorize"),
    token_endpoint: "https://identity.pagerduty.com/oauth/token",
    pkce: Pkce::Supported,
    upstreams: &["https://api.pagerduty.com"],
    documentation: "https://developer.pagerduty.com/docs/oauth-functionality",
    ..BLANK
};
