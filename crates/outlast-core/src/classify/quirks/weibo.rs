//! Weibo: five digits.

use super::rule::Sign::Under;
use super::rule::{Table, resource};
use crate::classify::meaning::Meaning::{AccessTokenExpired, AccessTokenInvalid, PermissionDenied, RateLimited};

const ERRORS: &str = "https://open.weibo.com/wiki/Error_code";

pub(super) static TABLE: Table = Table {
    name: "weibo",
    also_named: &[],
    errors_on_success: false,
    recognised_by: &[],
    rules: &[
        resource(&[Under("errorcode", "21327")], AccessTokenExpired, ERRORS),
        resource(&[Under("errorcode", "21315")], AccessTokenExpired, ERRORS),
        resource(&[Under("errorcode", "21332")], AccessTokenInvalid, ERRORS),
        resource(&[Under("errorcode", "21317")], AccessTokenInvalid, ERRORS),
        resource(&[Under("errorcode", "10014")], PermissionDenied, ERRORS),
        resource(&[Under("errorcode", "10023")], RateLimited, ERRORS),
    ],
};
