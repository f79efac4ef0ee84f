//! Google: a refresh token stays the same when it is used.

use super::Preset;
use crate::client_authentication::ClientAuthMethod;
use outlast_core::strategy::Rotation;

pub(super) const PRESET: Preset = Preset {
    name: "google",
    token_endpoint: "https://oauth2.googleapis.com/token",
    authorization_endpoint: Some("https://accounts.google.com/o/oauth2/v2/auth"),
    device_endpoint: Some("https://oauth2.googleapis.com/device/code"),
    issuer: Some("https://accounts.google.com"),
    usual_grant_type: "authorization_code",
    client_auth: ClientAuthMethod::Post,
    scope_separator: ' ',
    rotates: Rotation::None,
    documentation: "https://developers.google.com/identity/protocols/oauth2/web-server",
};
