//! Sign in with Vercel: PKCE always.

use super::{BLANK, Pkce, Preset};

pub(super) const PRESET: Preset = Preset {
    name: "vercel",
    display_name: "Vercel",
    issuer: Some("https://vercel.com"),
    authorization_endpoint: Some("https://vercel.com/oauth/authorize"),
    token_endpoint: "https://api.vercel.com/login/oauth/token",
    revocation_endpoint: Some("https://api.vercel.com/login/oauth/token/revoke"),
    introspection_endpoint: Some("https://api.vercel.com/login/oauth/token/introspect"),
    pkce: Pkce::Required,
    upstreams: &["https://api.vercel.com"],
    quirks: &["Only the scope `offline_access` brings a refresh token."],
    documentation: "https://vercel.com/docs/sign-in-with-vercel/authorization-server-api",
    documents: &[("tokens", "https://vercel.com/docs/sign-in-with-vercel/tokens")],
    ..BLANK
};
