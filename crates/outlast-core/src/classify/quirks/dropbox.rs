//! Dropbox: the tag of the error is the code.

use super::rule::Sign::{Says, Under};
use super::rule::{Table, resource};
use crate::classify::meaning::Meaning::{
    AccessTokenExpired, AccessTokenInvalid, ClientMisconfigured, InsufficientScope, PermissionDenied, RateLimited,
};

const ERRORS: &str = "https://www.dropbox.com/developers/documentation/http/documentation#error-handling";

pub(super) static TABLE: Table = Table {
    name: "dropbox",
    also_named: &[],
    errors_on_success: false,
    recognised_by: &[],
    rules: &[
        resource(&[Under("tag", "expired_access_token")], AccessTokenExpired, ERRORS),
        resource(&[Under("tag", "invalid_access_token")], AccessTokenInvalid, ERRORS),
        resource(&[Under("tag", "missing_scope")], InsufficientScope, ERRORS),
        resource(&[Under("tag", "user_suspended")], PermissionDenied, ERRORS),
        resource(&[Under("tag", "route_access_denied")], PermissionDenied, ERRORS),
        resource(&[Says("OAuth 2 access token is malformed")], ClientMisconfigured, ERRORS),
        resource(&[Under("tag", "too_many_requests")], RateLimited, ERRORS),
    ],
};
