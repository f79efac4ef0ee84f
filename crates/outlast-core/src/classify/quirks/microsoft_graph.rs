//! Microsoft Graph.

use super::rule::Sign::{Code, Field, Says};
use super::rule::{Table, resource};
use crate::classify::meaning::Meaning::{
    AccessTokenExpired, AccessTokenInvalid, NotAuth, PermissionDenied, RateLimited, StepUpRequired,
};

const ERRORS: &str = "https://learn.microsoft.com/en-us/graph/errors";
const CAE: &str = "https://learn.microsoft.com/en-us/entra/identity-platform/claims-challenge";
const DELTA: &str = "https://learn.microsoft.com/en-us/graph/delta-query-overview";

pub(super) static TABLE: Table = Table {
    name: "microsoft-graph",
    also_named: &[
        "msgraph",
        "outlook",
        "office365",
        "microsoft-365",
        "onedrive",
        "sharepoint",
        "microsoft-teams",
        "azure-ad-graph",
    ],
    errors_on_success: false,
    recognised_by: &[Code("InvalidAuthenticationToken")],
    rules: &[
        resource(&[Field("www-authenticate", "insufficient_claims")], StepUpRequired, CAE),
        resource(
            &[Code("InvalidAuthenticationToken"), Says("Access token has expired or is not yet valid")],
            AccessTokenExpired,
            ERRORS,
        ),
        resource(
            &[Code("InvalidAuthenticationToken"), Says("Lifetime validation failed, the token is expired")],
            AccessTokenExpired,
            ERRORS,
        ),
        resource(&[Code("InvalidAuthenticationToken"), Says("token has expired")], AccessTokenExpired, ERRORS),
        resource(&[Code("InvalidAuthenticationToken")], AccessTokenInvalid, ERRORS),
        resource(&[Code("Authorization_RequestDenied")], PermissionDenied, ERRORS),
        resource(&[Code("TooManyRequests")], RateLimited, ERRORS),
        resource(&[Code("activityLimitReached")], RateLimited, ERRORS),
        resource(&[Code("resyncRequired")], NotAuth, DELTA),
        resource(&[Code("syncStateNotFound")], NotAuth, DELTA),
    ],
};
