//! Reddit: only a permanent grant brings a refresh token.

use super::{BLANK, ClientAuthMethod, Preset};

pub(super) const PRESET: Preset = Preset {
    name: "reddit",
    display_name: "Reddit",
    authorization_endpoint: Some("https://www.reddit.com/api/v1/authorize"),
    authorization_parameters: &[("duration", "permanent")],
    token_endpoint: "https://www.reddit.com/api/v1/access_token",
    revocation_endpoint: Some("https://www.reddit.com/api/v1/revoke_token"),
    client_auth: ClientAuthMethod::Basic,
    upstreams: &["https://oauth.reddit.com"],
    quirks: &["Requests without a user agent of their own are limited or refused."],
    documentation: "https://github.com/reddit-archive/reddit/wiki/OAuth2",
    ..BLANK
};
