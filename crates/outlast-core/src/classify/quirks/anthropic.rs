//! Anthropic: the type of the error names the family, the sentence the case.

use super::rule::Sign::{Code, Says};
use super::rule::{Table, resource};
use crate::classify::meaning::Meaning::{
    AccessTokenInvalid, ClientMisconfigured, NotAuth, PermissionDenied, RateLimited, Transient,
};

const ERRORS: &str = "https://docs.anthropic.com/en/api/errors";

pub(super) static TABLE: Table = Table {
    name: "anthropic",
    also_named: &["claude"],
    errors_on_success: false,
    recognised_by: &[],
    rules: &[
        resource(&[Code("permission_error"), Says("has been revoked")], AccessTokenInvalid, ERRORS),
        resource(&[Code("permission_error")], PermissionDenied, ERRORS),
        resource(&[Code("authentication_error"), Says("not supported")], PermissionDenied, ERRORS),
        resource(&[Code("authentication_error"), Says("x-api-key")], ClientMisconfigured, ERRORS),
        resource(&[Code("overloaded_error")], Transient, ERRORS),
        resource(&[Code("rate_limit_error")], RateLimited, ERRORS),
        resource(&[Code("billing_error")], NotAuth, ERRORS),
    ],
};
