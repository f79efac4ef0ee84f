//! Auth0.

use super::rule::Sign::{Code, Says};
use super::rule::{Table, resource, token};
use crate::classify::meaning::Meaning::{
    AccessTokenExpired, GrantDead, InsufficientScope, RateLimited, SlowDown, StepUpRequired,
};

const API: &str = "https://auth0.com/docs/troubleshoot/basic-issues/check-error-messages";
const MFA: &str = "https://auth0.com/docs/secure/multi-factor-authentication/authenticate-using-ropg-flow-with-mfa";
const DEVICE: &str = "https://auth0.com/docs/get-started/authentication-and-authorization-flow/device-authorization-flow/call-your-api-using-the-device-authorization-flow";

pub(super) static TABLE: Table = Table {
    name: "auth0",
    also_named: &[],
    errors_on_success: false,
    recognised_by: &[],
    rules: &[
        token(&[Code("mfa_required")], StepUpRequired, MFA),
        token(&[Code("invalid_grant"), Says("Unknown or invalid refresh token")], GrantDead, API),
        token(&[Code("too_many_requests")], RateLimited, API),
        resource(&[Says("Expired token received for JSON Web Token validation")], AccessTokenExpired, API),
        resource(&[Code("insufficient_scope")], InsufficientScope, API),
        token(&[Code("slow_down")], SlowDown, DEVICE),
    ],
};
