//! GitLab.com. A GitLab of one's own is configured by its issuer.

use super::{BLANK, Pkce, Preset, Rotates};

pub(super) const PRESET: Preset = Preset {
    name: "gitlab",
    display_name: "GitLab.com",
    issuer: Some("https://gitlab.com"),
    authorization_endpoint: Some("https://gitlab.com/oauth/authorize"),
    token_endpoint: "https://gitlab.com/oauth/token",
    device_endpoint: Some("https://gitlab.com/oauth/authorize_device"),
    revocation_endpoint: Some("https://gitlab.com/oauth/revoke"),
    introspection_endpoint: Some("https://gitlab.com/oauth/introspect"),
    pkce: Pkce::Supported,
    rotates: Rotates::Yes,
    upstreams: &["https://gitlab.com"],
    documentation: "https://docs.gitlab.com/api/oauth2/",
    documents: &[("issuer and introspection", "https://gitlab.com/.well-known/openid-configuration")],
    ..BLANK
};
