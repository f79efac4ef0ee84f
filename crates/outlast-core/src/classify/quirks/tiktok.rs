//! TikTok: a code under `error`, and errors with 200.

use super::rule::Sign::{Code, Says};
use super::rule::{Table, resource, token};
use crate::classify::meaning::Meaning::{AccessTokenInvalid, GrantDead, InsufficientScope, RateLimited};

const ERRORS: &str = "https://developers.tiktok.com/doc/tiktok-api-v2-error-handling";
const OAUTH: &str = "https://developers.tiktok.com/doc/oauth-error-handling";

pub(super) static TABLE: Table = Table {
    name: "tiktok",
    also_named: &[],
    errors_on_success: true,
    recognised_by: &[Code("scope_not_authorized"), Code("scope_permission_missed")],
    rules: &[
        resource(&[Code("access_token_invalid")], AccessTokenInvalid, ERRORS),
        resource(&[Code("scope_not_authorized")], InsufficientScope, ERRORS),
        resource(&[Code("scope_permission_missed")], InsufficientScope, ERRORS),
        resource(&[Code("rate_limit_exceeded")], RateLimited, ERRORS),
        token(&[Code("invalid_grant"), Says("Refresh token is invalid or expired")], GrantDead, OAUTH),
    ],
};
