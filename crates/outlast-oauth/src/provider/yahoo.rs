//! Yahoo: the refresh token may change, and then the new one is to be used.

use super::{BLANK, ClientAuthMethod, Preset, Rotates};

pub(super) const PRESET: Preset = Preset {
    name: "yahoo",
    display_name: "Yahoo",
    authorization_endpoint: Some("https://api.login.yahoo.com/oauth2/request_auth"),
    token_endpoint: "https://api.login.yahoo.com/oauth2/get_token",
    client_auth: ClientAuthMethod::Basic,
    rotates: Rotates::Yes,
    quirks: &["The API's origin differs by product: the upstream is configured."],
    documentation: "https://developer.yahoo.com/oauth2/guide/flows_authcode/",
    documents: &[
        ("refresh tokens", "https://developer.yahooinc.com/dsp/api/docs/authentication/refresh-token.html"),
    ],
    ..BLANK
};
