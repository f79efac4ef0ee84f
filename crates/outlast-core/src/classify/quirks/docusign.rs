//! DocuSign.

use super::rule::Sign::Code;
use super::rule::{Table, resource, token};
use crate::classify::meaning::Meaning::{AccessTokenInvalid, PermissionDenied, RateLimited, StepUpRequired};

const ERRORS: &str = "https://developers.docusign.com/docs/esign-rest-api/esign101/error-codes/";
const CONSENT: &str = "https://developers.docusign.com/platform/auth/consent/";

pub(super) static TABLE: Table = Table {
    name: "docusign",
    also_named: &[],
    errors_on_success: false,
    recognised_by: &[],
    rules: &[
        token(&[Code("consent_required")], StepUpRequired, CONSENT),
        resource(&[Code("AUTHORIZATION_INVALID_TOKEN")], AccessTokenInvalid, ERRORS),
        resource(&[Code("USER_AUTHENTICATION_FAILED")], AccessTokenInvalid, ERRORS),
        resource(&[Code("USER_LACKS_PERMISSIONS")], PermissionDenied, ERRORS),
        resource(&[Code("HOURLY_APIINVOCATION_LIMIT_EXCEEDED")], RateLimited, ERRORS),
    ],
};
