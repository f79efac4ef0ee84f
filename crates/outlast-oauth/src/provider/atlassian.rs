//! Atlassian cloud: every use of a refresh token replaces it.

use super::Preset;
use crate::client_authentication::ClientAuthMethod;
use outlast_core::strategy::Rotation;

pub(super) const PRESET: Preset = Preset {
    name: "atlassian",
    token_endpoint: "https://auth.atlassian.com/oauth/token",
    authorization_endpoint: Some("https://auth.atlassian.com/authorize"),
    device_endpoint: None,
    issuer: None,
    usual_grant_type: "authorization_code",
    client_auth: ClientAuthMethod::Post,
    scope_separator: ' ',
    rotates: Rotation::Possible,
    documentation: "https://developer.atlassian.com/cloud/oauth/getting-started/refresh-tokens/",
};
