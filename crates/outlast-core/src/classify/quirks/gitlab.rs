//! GitLab.

use super::rule::Sign::{Code, Says};
use super::rule::{Table, resource, token};
use crate::classify::meaning::Meaning::{AccessTokenExpired, AccessTokenInvalid, GrantDead, InsufficientScope};

const REST: &str = "https://docs.gitlab.com/api/rest/authentication/";
const OAUTH: &str = "https://docs.gitlab.com/api/oauth2/";

pub(super) static TABLE: Table = Table {
    name: "gitlab",
    also_named: &[],
    errors_on_success: false,
    recognised_by: &[],
    rules: &[
        resource(&[Code("insufficient_scope")], InsufficientScope, REST),
        resource(&[Code("invalid_token"), Says("Token is expired")], AccessTokenExpired, REST),
        resource(&[Code("invalid_token"), Says("Token was revoked")], AccessTokenInvalid, REST),
        token(&[Code("invalid_grant")], GrantDead, OAUTH),
    ],
};
