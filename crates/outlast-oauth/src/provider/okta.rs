//! Okta's org authorization server, whose tokens are for Okta's own APIs.

use super::{BLANK, ClientAuthMethod, Form, Parameter, Pkce, Preset, Rotates};

pub(super) const PRESET: Preset = Preset {
    name: "okta",
    display_name: "Okta, org server",
    parameters: &[
        Parameter { name: "domain", meaning: "the org's domain, such as example.okta.com", form: Form::Host },
    ],
    issuer: Some("https://{domain}"),
    authorization_endpoint: Some("https://{domain}/oauth2/v1/authorize"),
    token_endpoint: "https://{domain}/oauth2/v1/token",
    device_endpoint: Some("https://{domain}/oauth2/v1/device/authorize"),
    revocation_endpoint: Some("https://{domain}/oauth2/v1/revoke"),
    introspection_endpoint: Some("https://{domain}/oauth2/v1/introspect"),
    client_auth: ClientAuthMethod::Basic,
    pkce: Pkce::Supported,
    rotates: Rotates::Yes,
    upstreams: &["https://{domain}"],
    quirks: &[
        "Its access tokens are for Okta's APIs; for APIs of one's own there is `okta-server`.",
        "Rotation and its grace are settings of each application; where rotation is on, reuse after the grace ends \
         every token since the login.",
        "Only the scope `offline_access` brings a refresh token.",
    ],
    documentation: "https://developer.okta.com/docs/api/openapi/okta-oauth/guides/overview/",
    documents: &[("rotation", "https://developer.okta.com/docs/guides/refresh-tokens/main/")],
    ..BLANK
};
