//! X, formerly Twitter: a bad refresh token is an `invalid_request`.

use super::rule::Sign::{Begins, Code, Says, Under};
use super::rule::{Table, resource, token};
use crate::classify::meaning::Meaning::{
    AccessTokenInvalid, ClientMisconfigured, GrantDead, RateLimited, StepUpRequired,
};

const ERRORS: &str = "https://docs.x.com/x-api/fundamentals/response-codes-and-errors";
const OAUTH: &str = "https://docs.x.com/fundamentals/authentication/oauth-2-0/authorization-code";

pub(super) static TABLE: Table = Table {
    name: "x",
    also_named: &["twitter", "x-twitter"],
    errors_on_success: false,
    recognised_by: &[
        Begins("Value passed for the token was invalid"),
        Begins("Value passed for the authorization code was invalid"),
        Code("client-not-enrolled"),
    ],
    rules: &[
        token(&[Code("invalid_request"), Says("Value passed for the token was invalid")], GrantDead, OAUTH),
        token(
            &[Code("invalid_request"), Says("Value passed for the authorization code was invalid")],
            GrantDead,
            OAUTH,
        ),
        token(&[Code("unauthorized_client")], ClientMisconfigured, OAUTH),
        resource(&[Code("client-not-enrolled")], ClientMisconfigured, ERRORS),
        resource(&[Under("code", "89")], AccessTokenInvalid, ERRORS),
        resource(&[Under("code", "88")], RateLimited, ERRORS),
        resource(&[Under("code", "326")], StepUpRequired, ERRORS),
        resource(&[Under("code", "32")], ClientMisconfigured, ERRORS),
    ],
};
