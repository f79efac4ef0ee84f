//! Facebook Login: no refresh tokens.

use super::{BLANK, Preset};

pub(super) const PRESET: Preset = Preset {
    name: "facebook",
    display_name: "Facebook",
    authorization_endpoint: Some("https://www.facebook.com/dialog/oauth"),
    token_endpoint: "https://graph.facebook.com/oauth/access_token",
    scope_separator: ',',
    upstreams: &["https://graph.facebook.com"],
    quirks: &[
        "No refresh token is issued: a short-lived access token is exchanged for one of about 60 days with \
         `grant_type=fb_exchange_token`, and a new login follows.",
    ],
    documentation: "https://developers.facebook.com/docs/facebook-login/guides/advanced/manual-flow",
    documents: &[
        ("lifetimes", "https://developers.facebook.com/docs/facebook-login/access-tokens/refreshing"),
    ],
    ..BLANK
};
