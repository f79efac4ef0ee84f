//! Okta: numbers that begin with E.

use super::rule::Sign::{Code, Says};
use super::rule::{Table, resource, token};
use crate::classify::meaning::Meaning::{AccessTokenInvalid, GrantDead, PermissionDenied, RateLimited, Transient};

const ERRORS: &str = "https://developer.okta.com/docs/reference/error-codes/";

pub(super) static TABLE: Table = Table {
    name: "okta",
    also_named: &[],
    errors_on_success: false,
    recognised_by: &[Code("E0000011"), Code("E0000006"), Code("E0000047"), Code("E0000005")],
    rules: &[
        resource(&[Code("E0000011")], AccessTokenInvalid, ERRORS),
        resource(&[Code("E0000005")], AccessTokenInvalid, ERRORS),
        resource(&[Code("E0000006")], PermissionDenied, ERRORS),
        resource(&[Code("E0000047")], RateLimited, ERRORS),
        resource(&[Code("E0000015")], PermissionDenied, ERRORS),
        resource(&[Code("E0000009")], Transient, ERRORS),
        token(&[Code("invalid_grant"), Says("refresh token is invalid or expired")], GrantDead, ERRORS),
        token(&[Code("access_denied"), Says("Policy evaluation failed")], PermissionDenied, ERRORS),
    ],
};
