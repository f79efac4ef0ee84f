//! Plaid: 400 for everything, with a code.

use super::rule::Sign::Code;
use super::rule::{Table, resource};
use crate::classify::meaning::Meaning::{
    AccessTokenInvalid, ClientMisconfigured, NotAuth, RateLimited, StepUpRequired,
};

const ITEM: &str = "https://plaid.com/docs/errors/item/";
const INPUT: &str = "https://plaid.com/docs/errors/invalid-input/";
const RATE: &str = "https://plaid.com/docs/errors/rate-limit-exceeded/";

pub(super) static TABLE: Table = Table {
    name: "plaid",
    also_named: &[],
    errors_on_success: false,
    recognised_by: &[Code("ITEM_LOGIN_REQUIRED"), Code("INVALID_PUBLIC_TOKEN"), Code("INVALID_API_KEYS")],
    rules: &[
        resource(&[Code("ITEM_LOGIN_REQUIRED")], StepUpRequired, ITEM),
        resource(&[Code("INVALID_ACCESS_TOKEN")], AccessTokenInvalid, INPUT),
        resource(&[Code("INVALID_PUBLIC_TOKEN")], NotAuth, INPUT),
        resource(&[Code("INVALID_API_KEYS")], ClientMisconfigured, INPUT),
        resource(&[Code("RATE_LIMIT_EXCEEDED")], RateLimited, RATE),
    ],
};
