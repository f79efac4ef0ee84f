//! Google: reasons under `errors`, ErrorInfo under `details`, sub-types at the token endpoint.

use super::rule::Sign::{Code, Says};
use super::rule::{Table, resource, token};
use crate::classify::meaning::Meaning::{
    AccessTokenExpired, ClientMisconfigured, InsufficientScope, NotAuth, PermissionDenied, RateLimited, StepUpRequired,
};

const REASONS: &str = "https://github.com/googleapis/googleapis/blob/master/google/api/error_reason.proto";
const OAUTH: &str = "https://developers.google.com/identity/protocols/oauth2/web-server#handlingresponse";
const RAPT: &str = "https://support.google.com/a/answer/9368756";
const DRIVE: &str = "https://developers.google.com/workspace/drive/api/guides/handle-errors";

pub(super) static TABLE: Table = Table {
    name: "google",
    also_named: &["gmail", "youtube", "gcp", "google-cloud", "google-workspace", "gemini"],
    errors_on_success: false,
    recognised_by: &[
        Code("SERVICE_DISABLED"),
        Code("admin_policy_enforced"),
        Code("ACCESS_TOKEN_SCOPE_INSUFFICIENT"),
        Code("API_KEY_INVALID"),
        Code("invalid_rapt"),
        Code("rapt_required"),
    ],
    rules: &[
        token(&[Code("invalid_rapt")], StepUpRequired, RAPT),
        token(&[Code("rapt_required")], StepUpRequired, RAPT),
        token(&[Code("admin_policy_enforced")], StepUpRequired, OAUTH),
        token(&[Code("org_internal")], ClientMisconfigured, OAUTH),
        token(&[Code("deleted_client")], ClientMisconfigured, OAUTH),
        token(&[Code("invalid_grant"), Says("Invalid JWT")], ClientMisconfigured, OAUTH),
        resource(&[Code("ACCESS_TOKEN_EXPIRED")], AccessTokenExpired, REASONS),
        resource(&[Code("ACCESS_TOKEN_SCOPE_INSUFFICIENT")], InsufficientScope, REASONS),
        resource(&[Code("insufficientPermissions"), Says("Insufficient Permission")], InsufficientScope, DRIVE),
        resource(&[Code("API_KEY_INVALID")], ClientMisconfigured, REASONS),
        resource(&[Code("API_KEY_SERVICE_BLOCKED")], ClientMisconfigured, REASONS),
        resource(&[Code("SERVICE_DISABLED")], PermissionDenied, REASONS),
        resource(&[Code("accessNotConfigured")], PermissionDenied, DRIVE),
        resource(&[Code("RATE_LIMIT_EXCEEDED")], RateLimited, REASONS),
        resource(&[Code("userRateLimitExceeded")], RateLimited, DRIVE),
        resource(&[Code("rateLimitExceeded")], RateLimited, DRIVE),
        resource(&[Code("dailyLimitExceeded")], RateLimited, DRIVE),
        resource(&[Code("quotaExceeded")], RateLimited, DRIVE),
        resource(&[Code("SECURITY_POLICY_VIOLATED")], PermissionDenied, REASONS),
        resource(&[Code("domainPolicy")], PermissionDenied, DRIVE),
        resource(&[Code("invalidPageToken")], NotAuth, DRIVE),
    ],
};
