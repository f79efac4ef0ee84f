//! Azure Storage: `AuthenticationFailed` for a signature that ran out, and for one that is wrong.

use super::rule::Sign::{Code, Field, Says};
use super::rule::{Table, resource};
use crate::classify::meaning::Meaning::{
    AccessTokenExpired, AccessTokenInvalid, ClientMisconfigured, PermissionDenied, Transient,
};

const ERRORS: &str = "https://learn.microsoft.com/en-us/rest/api/storageservices/common-rest-api-error-codes";
const SAS: &str = "https://learn.microsoft.com/en-us/rest/api/storageservices/create-service-sas";

pub(super) static TABLE: Table = Table {
    name: "azure-storage",
    also_named: &["azure-blob"],
    errors_on_success: false,
    recognised_by: &[Field("x-ms-error-code", "")],
    rules: &[
        resource(
            &[Code("AuthenticationFailed"), Says("Signature not valid in the specified time frame")],
            AccessTokenExpired,
            SAS,
        ),
        resource(&[Code("AuthenticationFailed"), Says("Signature did not match")], ClientMisconfigured, SAS),
        resource(&[Code("InvalidAuthenticationInfo")], AccessTokenInvalid, ERRORS),
        resource(&[Code("AuthorizationPermissionMismatch")], PermissionDenied, ERRORS),
        resource(&[Code("InsufficientAccountPermissions")], PermissionDenied, ERRORS),
        resource(&[Code("ServerBusy")], Transient, ERRORS),
    ],
};
