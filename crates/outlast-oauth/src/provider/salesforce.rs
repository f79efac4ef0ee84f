//! Salesforce production orgs. An org may have its refresh tokens rotated; a sandbox or a domain of one's own is
//! configured by its token endpoint.

use super::Preset;
use crate::client_authentication::ClientAuthMethod;
use outlast_core::strategy::Rotation;

pub(super) const PRESET: Preset = Preset {
    name: "salesforce",
    token_endpoint: "https://login.salesforce.com/services/oauth2/token",
    authorization_endpoint: Some("https://login.salesforce.com/services/oauth2/authorize"),
    device_endpoint: None,
    issuer: Some("https://login.salesforce.com"),
    usual_grant_type: "authorization_code",
    client_auth: ClientAuthMethod::Post,
    scope_separator: ' ',
    rotates: Rotation::Possible,
    documentation: "https://help.salesforce.com/apex/HTViewHelpDoc?id=remoteaccess_oauth_refresh_token_flow.htm&language=en_US",
};
