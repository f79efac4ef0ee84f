//! Webex integrations.

use super::{BLANK, Pkce, Preset};

pub(super) const PRESET: Preset = Preset {
    name: "webex",
    display_name: "Webex",
    authorization_endpoint: Some("https://webexapis.com/v1/authorize"),
    token_endpoint: "https://webexapis.com/v1/access_token",
    pkce: Pkce::Supported,
    upstreams: &["https://webexapis.com"],
    quirks: &[
        "Its device flow polls an endpoint of its own, not the token endpoint; no device endpoint is given here \
         for that reason.",
    ],
    documentation: "https://developer.webex.com/create/docs/integrations",
    documents: &[("device flow", "https://developer.webex.com/create/docs/login-with-webex")],
    ..BLANK
};
