//! Salesforce production orgs. An org may have its refresh tokens rotated; a sandbox or a domain of one's own is
//! `salesforce-domain`.

use super::{BLANK, Pkce, Preset, Rotates};

pub(super) const PRESET: Preset = Preset {
    name: "salesforce",
    display_name: "Salesforce",
    issuer: Some("https://login.salesforce.com"),
    authorization_endpoint: Some("https://login.salesforce.com/services/oauth2/authorize"),
    token_endpoint: "https://login.salesforce.com/services/oauth2/token",
    revocation_endpoint: Some("https://login.salesforce.com/services/oauth2/revoke"),
    introspection_endpoint: Some("https://login.salesforce.com/services/oauth2/introspect"),
    pkce: Pkce::Supported,
    rotates: Rotates::Yes,
    quirks: &[
        "The API's origin is the `instance_url` of the token response.",
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
