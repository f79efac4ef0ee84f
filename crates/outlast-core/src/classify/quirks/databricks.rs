//! Databricks: a bad token comes with 403 too.

use super::rule::Sign::{Code, Says};
use super::rule::{Table, resource};
use crate::classify::meaning::Meaning::{
    AccessTokenExpired, AccessTokenInvalid, PermissionDenied, RateLimited, Transient,
};

const ERRORS: &str = "https://docs.databricks.com/api/workspace/introduction";

pub(super) static TABLE: Table = Table {
    name: "databricks",
    also_named: &[],
    errors_on_success: false,
    recognised_by: &[],
    rules: &[
        resource(&[Says("Invalid access token")], AccessTokenInvalid, ERRORS),
        resource(&[Says("Token is expired")], AccessTokenExpired, ERRORS),
        resource(&[Code("PERMISSION_DENIED")], PermissionDenied, ERRORS),
        resource(&[Code("REQUEST_LIMIT_EXCEEDED")], RateLimited, ERRORS),
        resource(&[Code("TEMPORARILY_UNAVAILABLE")], Transient, ERRORS),
    ],
};
