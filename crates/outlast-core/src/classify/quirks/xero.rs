//! Xero: titles and details.

use super::rule::Sign::{Code, Says, Status};
use super::rule::{Table, resource, token};
use crate::classify::meaning::Meaning::{
    AccessTokenExpired, AccessTokenInvalid, GrantDead, InsufficientScope, PermissionDenied,
};

const ERRORS: &str = "https://developer.xero.com/documentation/api/accounting/responsecodes";
const OAUTH: &str = "https://developer.xero.com/documentation/guides/oauth2/troubleshooting";

pub(super) static TABLE: Table = Table {
    name: "xero",
    also_named: &[],
    errors_on_success: false,
    recognised_by: &[],
    rules: &[
        resource(&[Says("TokenExpired")], AccessTokenExpired, ERRORS),
        resource(&[Says("TokenInvalidSignature")], AccessTokenInvalid, ERRORS),
        resource(&[Status(403), Says("AuthenticationUnsuccessful")], PermissionDenied, ERRORS),
        resource(&[Status(401), Says("AuthorizationUnsuccessful")], InsufficientScope, ERRORS),
        token(&[Code("invalid_grant")], GrantDead, OAUTH),
    ],
};
