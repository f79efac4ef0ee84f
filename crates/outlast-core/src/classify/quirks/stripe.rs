//! Stripe.

use super::rule::Sign::{Code, Says};
use super::rule::{Table, resource, token};
use crate::classify::meaning::Meaning::{ClientMisconfigured, GrantDead, NotAuth, PermissionDenied, RateLimited};

const CODES: &str = "https://docs.stripe.com/error-codes";
const CONNECT: &str = "https://docs.stripe.com/connect/oauth-reference";

pub(super) static TABLE: Table = Table {
    name: "stripe",
    also_named: &[],
    errors_on_success: false,
    recognised_by: &[],
    rules: &[
        resource(&[Code("api_key_expired")], ClientMisconfigured, CODES),
        resource(&[Says("Invalid API Key provided")], ClientMisconfigured, CODES),
        resource(&[Code("rate_limit")], RateLimited, CODES),
        resource(&[Code("expired_card")], NotAuth, CODES),
        resource(&[Code("account_invalid")], PermissionDenied, CODES),
        token(&[Code("invalid_grant")], GrantDead, CONNECT),
    ],
};
