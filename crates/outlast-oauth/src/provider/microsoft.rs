//! Microsoft Entra, for accounts of any tenant. It has no one issuer: each tenant has its own.

use super::Preset;
use crate::client_authentication::ClientAuthMethod;
use outlast_core::strategy::Rotation;

pub(super) const PRESET: Preset = Preset {
    name: "microsoft",
    token_endpoint: "https://login.microsoftonline.com/common/oauth2/v2.0/token",
    authorization_endpoint: Some("https://login.microsoftonline.com/common/oauth2/v2.0/authorize"),
    device_endpoint: Some("https://login.microsoftonline.com/common/oauth2/v2.0/devicecode"),
    issuer: None,
    usual_grant_type: "authorization_code",
    client_auth: ClientAuthMethod::Post,
    scope_separator: ' ',
    rotates: Rotation::Possible,
    documentation: "https://learn.microsoft.com/en-us/entra/identity-platform/v2-oauth2-auth-code-flow",
};
