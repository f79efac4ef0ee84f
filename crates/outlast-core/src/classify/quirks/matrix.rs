//! Matrix: codes that begin with `M_`.

use super::rule::Sign::Code;
use super::rule::{Table, resource, token};
use crate::classify::meaning::Meaning::{AccessTokenInvalid, GrantDead, PermissionDenied, RateLimited};

const SPEC: &str = "https://spec.matrix.org/latest/client-server-api/#standard-error-response";
const SOFT: &str = "https://spec.matrix.org/latest/client-server-api/#soft-logout";

pub(super) static TABLE: Table = Table {
    name: "matrix",
    also_named: &["element", "synapse"],
    errors_on_success: false,
    recognised_by: &[Code("M_UNKNOWN_TOKEN"), Code("M_MISSING_TOKEN"), Code("M_LIMIT_EXCEEDED"), Code("M_FORBIDDEN")],
    rules: &[
        resource(&[Code("M_UNKNOWN_TOKEN")], AccessTokenInvalid, SOFT),
        resource(&[Code("M_MISSING_TOKEN")], AccessTokenInvalid, SPEC),
        resource(&[Code("M_FORBIDDEN")], PermissionDenied, SPEC),
        resource(&[Code("M_LIMIT_EXCEEDED")], RateLimited, SPEC),
        resource(&[Code("M_USER_DEACTIVATED")], PermissionDenied, SPEC),
        token(&[Code("M_UNKNOWN_TOKEN")], GrantDead, SOFT),
    ],
};
