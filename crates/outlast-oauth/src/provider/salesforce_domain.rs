//! Salesforce orgs by their own domain, sandboxes too.

use super::{BLANK, Form, Parameter, Pkce, Preset, Rotates};

pub(super) const PRESET: Preset = Preset {
    name: "salesforce-domain",
    display_name: "Salesforce, own domain",
    parameters: &[
        Parameter {
            name: "domain",
            meaning: "the org's domain, such as example.my.salesforce.com",
            form: Form::Host,
        },
    ],
    issuer: Some("https://{domain}"),
    authorization_endpoint: Some("https://{domain}/services/oauth2/authorize"),
    token_endpoint: "https://{domain}/services/oauth2/token",
    revocation_endpoint: Some("https://{domain}/services/oauth2/revoke"),
    introspection_endpoint: Some("https://{domain}/services/oauth2/introspect"),
    pkce: Pkce::Supported,
    rotates: Rotates::Yes,
    upstreams: &["https://{domain}"],
    quirks: &[
        "Rotation, and the idle and absolute life of refresh tokens, are settings of each app.",
        "Only the scope `refresh_token` brings a refresh token.",
        "The device flow begins at the token endpoint, not as RFC 8628 says.",
    ],
    documentation: "https://help.salesforce.com/apex/HTViewHelpDoc?id=remoteaccess_oauth_refresh_token_flow.htm&language=en_US",
    documents: &[
        (
            "revocation",
            "https://developer.salesforce.com/docs/platform/mobile-sdk/guide/oauth-revoking-tokens.html",
        ),
    ],
    ..BLANK
};
