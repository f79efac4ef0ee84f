//! GitHub Apps acting for a user; both tokens are replaced by a renewal. OAuth apps of GitHub get tokens that do not end.

use super::Preset;
use crate::client_authentication::ClientAuthMethod;
use outlast_core::strategy::Rotation;

pub(super) const PRESET: Preset = Preset {
    name: "github",
    token_endpoint: "https://github.com/login/oauth/access_token",
    authorization_endpoint: Some("https://github.com/login/oauth/authorize"),
    device_endpoint: Some("https://github.com/login/device/code"),
    issuer: None,
    usual_grant_type: "authorization_code",
    client_auth: ClientAuthMethod::Post,
    scope_separator: ' ',
    rotates: Rotation::Possible,
    documentation: "https://docs.github.com/en/apps/creating-github-apps/authenticating-with-a-github-app/refreshing-user-access-tokens",
};
