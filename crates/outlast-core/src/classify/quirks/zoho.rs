//! Zoho: 200 and short codes at the token endpoint.

use super::rule::Sign::{Code, Says};
use super::rule::{Table, resource, token};
use crate::classify::meaning::Meaning::{
    AccessTokenInvalid, ClientMisconfigured, GrantDead, InsufficientScope, PermissionDenied, RateLimited,
};

const REFRESH: &str = "https://www.zoho.com/accounts/protocol/oauth/web-apps/access-token-expiry.html";
const API: &str = "https://www.zoho.com/crm/developer/docs/api/v7/status-codes.html";

pub(super) static TABLE: Table = Table {
    name: "zoho",
    also_named: &[],
    errors_on_success: false,
    recognised_by: &[Code("OAUTH_SCOPE_MISMATCH")],
    rules: &[
        token(&[Code("invalid_code")], GrantDead, REFRESH),
        token(&[Code("invalid_client_secret")], ClientMisconfigured, REFRESH),
        token(&[Says("too many requests continuously")], RateLimited, REFRESH),
        resource(&[Code("INVALID_TOKEN")], AccessTokenInvalid, API),
        resource(&[Code("OAUTH_SCOPE_MISMATCH")], InsufficientScope, API),
        resource(&[Code("NO_PERMISSION")], PermissionDenied, API),
        resource(&[Code("TOO_MANY_REQUESTS")], RateLimited, API),
    ],
};
