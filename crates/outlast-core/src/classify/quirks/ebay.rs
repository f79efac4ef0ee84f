//! eBay: numbers under `errorId`, in domains.

use super::rule::Sign::Under;
use super::rule::{Table, resource};
use crate::classify::meaning::Meaning::{AccessTokenInvalid, InsufficientScope, RateLimited};

const ERRORS: &str = "https://developer.ebay.com/api-docs/static/handling-error-messages.html";

pub(super) static TABLE: Table = Table {
    name: "ebay",
    also_named: &[],
    errors_on_success: false,
    recognised_by: &[],
    rules: &[
        resource(&[Under("errorid", "1001")], AccessTokenInvalid, ERRORS),
        resource(&[Under("errorid", "1002")], AccessTokenInvalid, ERRORS),
        resource(&[Under("errorid", "1100")], InsufficientScope, ERRORS),
        resource(&[Under("errorid", "2001")], RateLimited, ERRORS),
    ],
};
