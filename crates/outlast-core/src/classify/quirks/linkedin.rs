//! LinkedIn: a dead grant is an `invalid_request`.

use super::rule::Sign::{Code, Says, Under};
use super::rule::{Table, resource, token};
use crate::classify::meaning::Meaning::{AccessTokenExpired, AccessTokenInvalid, GrantDead, PermissionDenied};

const REFRESH: &str = "https://learn.microsoft.com/en-us/linkedin/shared/authentication/programmatic-refresh-tokens";
const ERRORS: &str = "https://learn.microsoft.com/en-us/linkedin/shared/api-guide/concepts/error-handling";

pub(super) static TABLE: Table = Table {
    name: "linkedin",
    also_named: &[],
    errors_on_success: false,
    recognised_by: &[],
    rules: &[
        token(&[Code("invalid_request"), Says("refresh token is invalid, expired or revoked")], GrantDead, REFRESH),
        token(&[Code("invalid_request"), Says("authorization grant or refresh token is invalid")], GrantDead, REFRESH),
        resource(&[Under("serviceerrorcode", "65600")], AccessTokenInvalid, ERRORS),
        resource(&[Under("serviceerrorcode", "65601")], AccessTokenInvalid, ERRORS),
        resource(&[Under("serviceerrorcode", "65602")], AccessTokenExpired, ERRORS),
        resource(&[Code("EXPIRED_ACCESS_TOKEN")], AccessTokenExpired, ERRORS),
        resource(&[Code("REVOKED_ACCESS_TOKEN")], AccessTokenInvalid, ERRORS),
        resource(&[Under("serviceerrorcode", "100")], PermissionDenied, ERRORS),
    ],
};
