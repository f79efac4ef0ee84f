//! X: PKCE always.

use super::{BLANK, ClientAuthMethod, Pkce, Preset};

pub(super) const PRESET: Preset = Preset {
    name: "x",
    display_name: "X",
    authorization_endpoint: Some("https://x.com/i/oauth2/authorize"),
    token_endpoint: "https://api.x.com/2/oauth2/token",
    revocation_endpoint: Some("https://api.x.com/2/oauth2/revoke"),
    client_auth: ClientAuthMethod::Basic,
    pkce: Pkce::Required,
    upstreams: &["https://api.x.com"],
    quirks: &["Only the scope `offline.access` brings a refresh token."],
    documentation: "https://docs.x.com/fundamentals/authentication/oauth-2-0/user-access-token",
    documents: &[
        ("refresh tokens", "https://docs.x.com/fundamentals/authentication/oauth-2-0/authorization-code"),
    ],
    ..BLANK
};
