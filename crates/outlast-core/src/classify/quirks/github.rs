//! GitHub: 200 at the token endpoint, 404 for what one may not see, single sign-on by header.

use super::rule::Sign::{Code, Field, Says, Status};
use super::rule::{Table, resource, token};
use crate::classify::meaning::Meaning::{
    AccessTokenInvalid, ClientMisconfigured, GrantDead, InsufficientScope, PermissionDenied, RateLimited,
    StepUpRequired,
};

const REST: &str = "https://docs.github.com/en/rest/using-the-rest-api/troubleshooting-the-rest-api";
const TOKEN: &str = "https://docs.github.com/en/apps/oauth-apps/maintaining-oauth-apps/troubleshooting-oauth-app-access-token-request-errors";
const SSO: &str = "https://docs.github.com/en/rest/authentication/authenticating-to-the-rest-api#authenticating-with-saml-single-sign-on";
const RATE: &str = "https://docs.github.com/en/rest/using-the-rest-api/rate-limits-for-the-rest-api";
const SCOPES: &str = "https://docs.github.com/en/apps/oauth-apps/building-oauth-apps/scopes-for-oauth-apps";
const DEVICE: &str =
    "https://docs.github.com/en/apps/oauth-apps/building-oauth-apps/authorizing-oauth-apps#device-flow";
const REFRESH: &str = "https://docs.github.com/en/apps/creating-github-apps/authenticating-with-a-github-app/refreshing-user-access-tokens";

pub(super) static TABLE: Table = Table {
    name: "github",
    also_named: &["github-enterprise"],
    errors_on_success: true,
    recognised_by: &[
        Field("x-github-sso", ""),
        Field("x-github-otp", ""),
        Field("x-github-request-id", ""),
        Field("x-accepted-oauth-scopes", ""),
    ],
    rules: &[
        resource(&[Field("x-github-sso", "required")], StepUpRequired, SSO),
        resource(&[Field("x-github-sso", "partial-results")], StepUpRequired, SSO),
        resource(&[Field("x-github-otp", "required")], StepUpRequired, REST),
        resource(&[Says("secondary rate limit")], RateLimited, RATE),
        resource(&[Says("API rate limit exceeded")], RateLimited, RATE),
        resource(&[Status(403), Field("x-accepted-oauth-scopes", ":")], InsufficientScope, SCOPES),
        resource(&[Says("Resource not accessible by integration")], PermissionDenied, REST),
        resource(&[Says("Resource not accessible by personal access token")], PermissionDenied, REST),
        resource(&[Says("Bad credentials")], AccessTokenInvalid, REST),
        resource(&[Code("INSUFFICIENT_SCOPES")], InsufficientScope, SCOPES),
        token(&[Code("bad_refresh_token")], GrantDead, REFRESH),
        token(&[Code("bad_verification_code")], GrantDead, TOKEN),
        token(&[Code("unverified_user_email")], PermissionDenied, TOKEN),
        token(&[Code("incorrect_client_credentials")], ClientMisconfigured, TOKEN),
        token(&[Code("redirect_uri_mismatch")], ClientMisconfigured, TOKEN),
        token(&[Code("device_flow_disabled")], ClientMisconfigured, DEVICE),
        token(&[Code("incorrect_device_code")], GrantDead, DEVICE),
    ],
};
