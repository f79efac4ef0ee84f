//! HubSpot: a category, and dead grants under a name of its own.

use super::rule::Sign::Code;
use super::rule::{Table, resource, token};
use crate::classify::meaning::Meaning::{
    AccessTokenExpired, AccessTokenInvalid, ClientMisconfigured, GrantDead, InsufficientScope, RateLimited,
};

const ERRORS: &str = "https://developers.hubspot.com/docs/api/error-handling";
const OAUTH: &str = "https://developers.hubspot.com/docs/api/oauth-quickstart-guide";

pub(super) static TABLE: Table = Table {
    name: "hubspot",
    also_named: &[],
    errors_on_success: false,
    recognised_by: &[Code("BAD_REFRESH_TOKEN"), Code("EXPIRED_AUTHENTICATION")],
    rules: &[
        token(&[Code("BAD_REFRESH_TOKEN")], GrantDead, OAUTH),
        token(&[Code("BAD_CLIENT_ID")], ClientMisconfigured, OAUTH),
        token(&[Code("BAD_CLIENT_SECRET")], ClientMisconfigured, OAUTH),
        token(&[Code("BAD_AUTH_CODE")], GrantDead, OAUTH),
        resource(&[Code("EXPIRED_AUTHENTICATION")], AccessTokenExpired, ERRORS),
        resource(&[Code("INVALID_AUTHENTICATION")], AccessTokenInvalid, ERRORS),
        resource(&[Code("MISSING_SCOPES")], InsufficientScope, ERRORS),
        resource(&[Code("RATE_LIMITS")], RateLimited, ERRORS),
    ],
};
