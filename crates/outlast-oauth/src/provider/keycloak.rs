//! Keycloak realms.

use super::{BLANK, ClientAuthMethod, Form, Parameter, Pkce, Preset, Rotates};

pub(super) const PRESET: Preset = Preset {
    name: "keycloak",
    display_name: "Keycloak",
    parameters: &[
        Parameter {
            name: "host",
            meaning: "the host of the server, with its port if it has one, such as sso.example.com",
            form: Form::Host,
        },
        Parameter { name: "realm", meaning: "the realm", form: Form::Name },
    ],
    issuer: Some("https://{host}/realms/{realm}"),
    authorization_endpoint: Some("https://{host}/realms/{realm}/protocol/openid-connect/auth"),
    token_endpoint: "https://{host}/realms/{realm}/protocol/openid-connect/token",
    device_endpoint: Some("https://{host}/realms/{realm}/protocol/openid-connect/auth/device"),
    revocation_endpoint: Some("https://{host}/realms/{realm}/protocol/openid-connect/revoke"),
    introspection_endpoint: Some("https://{host}/realms/{realm}/protocol/openid-connect/token/introspect"),
    client_auth: ClientAuthMethod::Basic,
    pkce: Pkce::Supported,
    rotates: Rotates::Yes,
    quirks: &[
        "Protects APIs of one's own: the upstream is configured.",
        "Whether a used refresh token is revoked, and how long a session lasts, are settings of the realm.",
        "Servers before version 17 have `/auth` before `/realms`: configure those by their issuer.",
    ],
    documentation: "https://www.keycloak.org/securing-apps/oidc-layers",
    documents: &[
        ("rotation and lifetimes", "https://www.keycloak.org/docs/latest/server_admin/index.html"),
    ],
    ..BLANK
};
