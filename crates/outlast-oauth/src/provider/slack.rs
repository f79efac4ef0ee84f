//! Slack apps with token rotation; without it their tokens do not end.

use super::Preset;
use crate::client_authentication::ClientAuthMethod;
use outlast_core::strategy::Rotation;

pub(super) const PRESET: Preset = Preset {
    name: "slack",
    token_endpoint: "https://slack.com/api/oauth.v2.access",
    authorization_endpoint: Some("https://slack.com/oauth/v2/authorize"),
    device_endpoint: None,
    issuer: None,
    usual_grant_type: "authorization_code",
    client_auth: ClientAuthMethod::Post,
    scope_separator: ',',
    rotates: Rotation::Possible,
    documentation: "https://docs.slack.dev/authentication/using-token-rotation",
};
