//! PayPal REST APIs, live: the client's own account, by client credentials.

use super::{BLANK, ClientAuthMethod, Preset};

pub(super) const PRESET: Preset = Preset {
    name: "paypal",
    display_name: "PayPal",
    token_endpoint: "https://api-m.paypal.com/v1/oauth2/token",
    usual_grant_type: "client_credentials",
    client_auth: ClientAuthMethod::Basic,
    upstreams: &["https://api-m.paypal.com"],
    documentation: "https://developer.paypal.com/api/rest/authentication/",
    ..BLANK
};
