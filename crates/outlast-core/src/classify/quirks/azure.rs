//! Azure Resource Manager: 403 by role, in a sentence that speaks of scopes and means folders.

use super::rule::Sign::{Code, Says};
use super::rule::{Table, resource};
use crate::classify::meaning::Meaning::{AccessTokenExpired, AccessTokenInvalid, PermissionDenied};

const ERRORS: &str =
    "https://learn.microsoft.com/en-us/azure/azure-resource-manager/troubleshooting/common-deployment-errors";
const ROLES: &str = "https://learn.microsoft.com/en-us/azure/role-based-access-control/troubleshooting";

pub(super) static TABLE: Table = Table {
    name: "azure-resource-manager",
    also_named: &["arm"],
    errors_on_success: false,
    recognised_by: &[
        Code("AuthorizationFailed"),
        Code("LinkedAuthorizationFailed"),
        Code("ExpiredAuthenticationToken"),
    ],
    rules: &[
        resource(&[Code("AuthorizationFailed")], PermissionDenied, ROLES),
        resource(&[Code("LinkedAuthorizationFailed")], PermissionDenied, ERRORS),
        resource(&[Code("ExpiredAuthenticationToken")], AccessTokenExpired, ERRORS),
        resource(&[Code("InvalidAuthenticationToken"), Says("expired")], AccessTokenExpired, ERRORS),
        resource(&[Code("InvalidAuthenticationTokenTenant")], AccessTokenInvalid, ERRORS),
    ],
};
