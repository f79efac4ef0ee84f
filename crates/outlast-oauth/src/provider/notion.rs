//! Notion. Its documentation shows the parameters as a JSON object; we send a form, as RFC 6749 says.

use super::Preset;
use crate::client_authentication::ClientAuthMethod;
use outlast_core::strategy::Rotation;

pub(super) const PRESET: Preset = Preset {
    name: "notion",
    token_endpoint: "https://api.notion.com/v1/oauth/token",
    authorization_endpoint: Some("https://api.notion.com/v1/oauth/authorize"),
    device_endpoint: None,
    issuer: None,
    usual_grant_type: "authorization_code",
    client_auth: ClientAuthMethod::Basic,
    scope_separator: ' ',
    rotates: Rotation::Possible,
    documentation: "https://developers.notion.com/reference/refresh-a-token",
};
