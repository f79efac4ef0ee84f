//! Okta's custom authorization servers, such as `default`.

use super::{BLANK, ClientAuthMethod, Form, Parameter, Pkce, Preset, Rotates};

pub(super) const PRESET: Preset = Preset {
    name: "okta-server",
    display_name: "Okta, custom server",
    parameters: &[
        Parameter { name: "domain", meaning: "the org's domain, such as example.okta.com", form: Form::Host },
        Parameter {
            name: "server",
            meaning: "the authorization server's identifier, such as default",
            form: Form::Name,
        },
    ],
    issuer: Some("https://{domain}/oauth2/{server}"),
    authorization_endpoint: Some("https://{domain}/oauth2/{server}/v1/authorize"),
    token_endpoint: "https://{domain}/oauth2/{server}/v1/token",
    device_endpoint: Some("https://{domain}/oauth2/{server}/v1/device/authorize"),
    revocation_endpoint: Some("https://{domain}/oauth2/{server}/v1/revoke"),
    introspection_endpoint: Some("https://{domain}/oauth2/{server}/v1/introspect"),
    client_auth: ClientAuthMethod::Basic,
    pkce: Pkce::Supported,
    rotates: Rotates::Yes,
    quirks: &[
        "Protects APIs of one's own: the upstream is configured.",
        "Rotation and its grace are settings of each application; where rotation is on, reuse after the grace ends \
         every token since the login.",
        "Only the scope `offline_access` brings a refresh token.",
    ],
    documentation: "https://developer.okta.com/docs/api/openapi/okta-oauth/guides/overview/",
    documents: &[("rotation", "https://developer.okta.com/docs/guides/refresh-tokens/main/")],
    ..BLANK
};
