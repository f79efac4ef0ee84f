//! Baidu: errors come with 200 and a number.

use super::rule::Sign::Under;
use super::rule::{Table, resource};
use crate::classify::meaning::Meaning::{AccessTokenExpired, AccessTokenInvalid, PermissionDenied, RateLimited};

const ERRORS: &str = "https://ai.baidu.com/ai-doc/REFERENCE/Ck3dwjhhu";

pub(super) static TABLE: Table = Table {
    name: "baidu",
    also_named: &[],
    errors_on_success: true,
    recognised_by: &[],
    rules: &[
        resource(&[Under("errorcode", "111")], AccessTokenExpired, ERRORS),
        resource(&[Under("errorcode", "110")], AccessTokenInvalid, ERRORS),
        resource(&[Under("errorcode", "6")], PermissionDenied, ERRORS),
        resource(&[Under("errorcode", "4")], RateLimited, ERRORS),
        resource(&[Under("errorcode", "17")], RateLimited, ERRORS),
        resource(&[Under("errorcode", "18")], RateLimited, ERRORS),
    ],
};
