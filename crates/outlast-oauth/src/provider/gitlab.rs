//! GitLab.com. A GitLab of one's own is configured by its issuer.

use super::Preset;
use crate::client_authentication::ClientAuthMethod;
use outlast_core::strategy::Rotation;

pub(super) const PRESET: Preset = Preset {
    name: "gitlab",
    token_endpoint: "https://gitlab.com/oauth/token",
    authorization_endpoint: Some("https://gitlab.com/oauth/authorize"),
    device_endpoint: Some("https://gitlab.com/oauth/authorize_device"),
    issuer: Some("https://gitlab.com"),
    usual_grant_type: "authorization_code",
    client_auth: ClientAuthMethod::Post,
    scope_separator: ' ',
    rotates: Rotation::Possible,
    documentation: "https://docs.gitlab.com/api/oauth2/",
};
