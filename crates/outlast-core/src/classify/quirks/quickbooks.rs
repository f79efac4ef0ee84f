//! Intuit QuickBooks: a fault with a number.

use super::rule::Sign::{Code, Says};
use super::rule::{Table, resource, token};
use crate::classify::meaning::Meaning::{
    AccessTokenExpired, AccessTokenInvalid, GrantDead, PermissionDenied, RateLimited,
};

const ERRORS: &str = "https://developer.intuit.com/app/developer/qbo/docs/develop/troubleshooting/error-codes";
const AUTH: &str = "https://developer.intuit.com/app/developer/qbo/docs/develop/authentication-and-authorization/faq";

pub(super) static TABLE: Table = Table {
    name: "quickbooks",
    also_named: &["intuit", "qbo", "quickbooks-online"],
    errors_on_success: false,
    recognised_by: &[],
    rules: &[
        resource(&[Code("3200"), Says("Token expired")], AccessTokenExpired, ERRORS),
        resource(&[Code("3200")], AccessTokenInvalid, ERRORS),
        resource(&[Code("3100")], PermissionDenied, ERRORS),
        resource(&[Code("3001")], RateLimited, ERRORS),
        token(&[Code("invalid_grant"), Says("Incorrect or invalid refresh token")], GrantDead, AUTH),
    ],
};
