//! Shopify.

use super::rule::Sign::{Code, Says, Status};
use super::rule::{Table, resource};
use crate::classify::meaning::Meaning::{AccessTokenInvalid, InsufficientScope, PermissionDenied, RateLimited};

const ERRORS: &str = "https://shopify.dev/docs/api/usage/response-codes";
const GRAPHQL: &str = "https://shopify.dev/docs/api/admin-graphql/latest#status-and-error-codes";

pub(super) static TABLE: Table = Table {
    name: "shopify",
    also_named: &[],
    errors_on_success: true,
    recognised_by: &[],
    rules: &[
        resource(&[Says("Invalid API key or access token")], AccessTokenInvalid, ERRORS),
        resource(&[Says("requires merchant approval")], InsufficientScope, ERRORS),
        resource(&[Code("ACCESS_DENIED")], InsufficientScope, GRAPHQL),
        resource(&[Code("THROTTLED")], RateLimited, GRAPHQL),
        resource(&[Code("SHOP_INACTIVE")], PermissionDenied, GRAPHQL),
        resource(&[Status(430)], RateLimited, ERRORS),
    ],
};
