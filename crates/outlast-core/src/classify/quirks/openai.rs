//! OpenAI.

use super::rule::Sign::{Code, Says};
use super::rule::{Table, resource};
use crate::classify::meaning::Meaning::{
    AccessTokenExpired, ClientMisconfigured, InsufficientScope, PermissionDenied, RateLimited,
};

const ERRORS: &str = "https://platform.openai.com/docs/guides/error-codes/api-errors";

pub(super) static TABLE: Table = Table {
    name: "openai",
    also_named: &["chatgpt"],
    errors_on_success: false,
    recognised_by: &[],
    rules: &[
        resource(&[Code("invalid_api_key")], ClientMisconfigured, ERRORS),
        resource(&[Code("token_expired")], AccessTokenExpired, ERRORS),
        resource(&[Code("insufficient_quota")], RateLimited, ERRORS),
        resource(&[Says("Missing scopes")], InsufficientScope, ERRORS),
        resource(&[Says("must be a member of an organization")], PermissionDenied, ERRORS),
        resource(&[Code("unsupported_country_region_territory")], PermissionDenied, ERRORS),
    ],
};
