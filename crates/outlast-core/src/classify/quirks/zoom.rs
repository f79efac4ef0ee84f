//! Zoom: 124 for a bad token, 4711 for missing scopes.

use super::rule::Sign::{Code, Says, Under};
use super::rule::{Table, resource, token};
use crate::classify::meaning::Meaning::{
    AccessTokenExpired, AccessTokenInvalid, ClientMisconfigured, GrantDead, InsufficientScope, PermissionDenied,
    RateLimited,
};

const API: &str = "https://developers.zoom.us/docs/api/errors/";
const OAUTH: &str = "https://developers.zoom.us/docs/integrations/oauth-error-messages/";

pub(super) static TABLE: Table = Table {
    name: "zoom",
    also_named: &[],
    errors_on_success: false,
    recognised_by: &[],
    rules: &[
        resource(&[Under("code", "124"), Says("expired")], AccessTokenExpired, API),
        resource(&[Under("code", "124")], AccessTokenInvalid, API),
        resource(&[Under("code", "4711")], InsufficientScope, API),
        resource(&[Under("code", "200")], PermissionDenied, API),
        resource(&[Under("code", "429")], RateLimited, API),
        token(&[Says("Invalid Token!")], GrantDead, OAUTH),
        token(&[Code("4735")], GrantDead, OAUTH),
        token(&[Code("4709")], ClientMisconfigured, OAUTH),
    ],
};
