//! PayPal.

use super::rule::Sign::Code;
use super::rule::{Table, resource};
use crate::classify::meaning::Meaning::{AccessTokenInvalid, PermissionDenied, RateLimited};

const ERRORS: &str = "https://developer.paypal.com/api/rest/responses/";

pub(super) static TABLE: Table = Table {
    name: "paypal",
    also_named: &[],
    errors_on_success: false,
    recognised_by: &[],
    rules: &[
        resource(&[Code("NOT_AUTHORIZED")], PermissionDenied, ERRORS),
        resource(&[Code("RATE_LIMIT_REACHED")], RateLimited, ERRORS),
        resource(&[Code("AUTHENTICATION_FAILURE")], AccessTokenInvalid, ERRORS),
    ],
};
