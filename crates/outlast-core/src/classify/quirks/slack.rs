//! Slack: every answer comes with 200 and says `ok`.

use super::rule::Sign::Code;
use super::rule::{Table, resource, token};
use crate::classify::meaning::Meaning::{
    AccessTokenExpired, AccessTokenInvalid, ClientMisconfigured, GrantDead, InsufficientScope, PermissionDenied,
    RateLimited, StepUpRequired, Transient,
};

const ERRORS: &str = "https://docs.slack.dev/reference/methods/auth.test";
const ROTATION: &str = "https://docs.slack.dev/authentication/using-token-rotation";
const RATE: &str = "https://docs.slack.dev/apis/web-api/rate-limits";

pub(super) static TABLE: Table = Table {
    name: "slack",
    also_named: &[],
    errors_on_success: true,
    recognised_by: &[],
    rules: &[
        resource(&[Code("token_expired")], AccessTokenExpired, ERRORS),
        resource(&[Code("invalid_auth")], AccessTokenInvalid, ERRORS),
        resource(&[Code("not_authed")], AccessTokenInvalid, ERRORS),
        resource(&[Code("token_revoked")], AccessTokenInvalid, ERRORS),
        resource(&[Code("account_inactive")], AccessTokenInvalid, ERRORS),
        resource(&[Code("missing_scope")], InsufficientScope, ERRORS),
        resource(&[Code("two_factor_setup_required")], StepUpRequired, ERRORS),
        resource(&[Code("not_allowed_token_type")], ClientMisconfigured, ERRORS),
        resource(&[Code("no_permission")], PermissionDenied, ERRORS),
        resource(&[Code("access_denied")], PermissionDenied, ERRORS),
        resource(&[Code("org_login_required")], Transient, ERRORS),
        resource(&[Code("ratelimited")], RateLimited, RATE),
        resource(&[Code("internal_error")], Transient, ERRORS),
        resource(&[Code("fatal_error")], Transient, ERRORS),
        token(&[Code("invalid_refresh_token")], GrantDead, ROTATION),
        token(&[Code("bad_client_secret")], ClientMisconfigured, ROTATION),
        token(&[Code("invalid_client_id")], ClientMisconfigured, ROTATION),
    ],
};
