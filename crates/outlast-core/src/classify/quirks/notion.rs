//! Notion.

use super::rule::Sign::{Code, Status};
use super::rule::{Table, resource};
use crate::classify::meaning::Meaning::{AccessTokenInvalid, PermissionDenied, RateLimited, Transient};

const ERRORS: &str = "https://developers.notion.com/reference/status-codes";

pub(super) static TABLE: Table = Table {
    name: "notion",
    also_named: &[],
    errors_on_success: false,
    recognised_by: &[],
    rules: &[
        resource(&[Code("unauthorized"), Status(401)], AccessTokenInvalid, ERRORS),
        resource(&[Code("restricted_resource")], PermissionDenied, ERRORS),
        resource(&[Code("rate_limited")], RateLimited, ERRORS),
        resource(&[Code("service_unavailable")], Transient, ERRORS),
    ],
};
