//! Salesforce: an array of errors at the API, sentences at the token endpoint.

use super::rule::Sign::{Begins, Code, Says};
use super::rule::{Table, resource, token};
use crate::classify::meaning::Meaning::{
    AccessTokenInvalid, ClientMisconfigured, GrantDead, PermissionDenied, RateLimited, StepUpRequired, Transient,
};

const REST: &str = "https://developer.salesforce.com/docs/atlas.en-us.api_rest.meta/api_rest/errorcodes.htm";
const OAUTH: &str = "https://help.salesforce.com/s/articleView?id=sf.remoteaccess_oauth_flow_errors.htm";
const SOAP: &str =
    "https://developer.salesforce.com/docs/atlas.en-us.api.meta/api/sforce_api_calls_concepts_core_data_objects.htm";

pub(super) static TABLE: Table = Table {
    name: "salesforce",
    also_named: &[],
    errors_on_success: false,
    recognised_by: &[
        Code("INVALID_SESSION_ID"),
        Code("sf:INVALID_SESSION_ID"),
        Code("API_DISABLED_FOR_ORG"),
        Code("Bad_OAuth_Token"),
        Begins("ip restricted"),
        Begins("invalid login hours"),
        Begins("user hasn't approved this consumer"),
    ],
    rules: &[
        resource(&[Code("INVALID_SESSION_ID")], AccessTokenInvalid, REST),
        resource(&[Code("sf:INVALID_SESSION_ID")], AccessTokenInvalid, SOAP),
        resource(&[Says("Bad_OAuth_Token")], AccessTokenInvalid, OAUTH),
        resource(&[Code("INVALID_AUTH_HEADER")], AccessTokenInvalid, REST),
        resource(&[Code("REQUEST_LIMIT_EXCEEDED")], RateLimited, REST),
        resource(&[Code("API_DISABLED_FOR_ORG")], PermissionDenied, REST),
        resource(&[Code("INSUFFICIENT_ACCESS")], PermissionDenied, REST),
        resource(&[Code("SERVER_UNAVAILABLE")], Transient, REST),
        token(&[Code("invalid_grant"), Says("ip restricted")], PermissionDenied, OAUTH),
        token(&[Code("invalid_grant"), Says("invalid login hours")], PermissionDenied, OAUTH),
        token(&[Code("invalid_grant"), Says("login rate exceeded")], RateLimited, OAUTH),
        token(&[Code("invalid_grant"), Says("user hasn't approved this consumer")], StepUpRequired, OAUTH),
        token(&[Code("invalid_client_credentials")], ClientMisconfigured, OAUTH),
        token(&[Code("inactive_user")], GrantDead, OAUTH),
        token(&[Code("inactive_org")], PermissionDenied, OAUTH),
    ],
};
