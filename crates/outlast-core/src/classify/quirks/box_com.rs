//! Box.

use super::rule::Sign::{Code, Says};
use super::rule::{Table, resource, token};
use crate::classify::meaning::Meaning::{
    ClientMisconfigured, GrantDead, InsufficientScope, PermissionDenied, RateLimited,
};

const ERRORS: &str = "https://developer.box.com/guides/api-calls/permissions-and-errors/common-errors/";

pub(super) static TABLE: Table = Table {
    name: "box",
    also_named: &["box-com"],
    errors_on_success: false,
    recognised_by: &[],
    rules: &[
        token(&[Code("invalid_grant"), Says("Refresh token has expired")], GrantDead, ERRORS),
        token(&[Code("invalid_grant"), Says("Please check the 'iat' claim")], ClientMisconfigured, ERRORS),
        resource(&[Code("insufficient_scope")], InsufficientScope, ERRORS),
        resource(&[Code("access_denied_insufficient_permissions")], PermissionDenied, ERRORS),
        resource(&[Code("access_denied_item_locked")], PermissionDenied, ERRORS),
        resource(&[Code("rate_limit_exceeded")], RateLimited, ERRORS),
    ],
};
