//! Zendesk.

use super::rule::Sign::{Code, Says};
use super::rule::{Table, resource, token};
use crate::classify::meaning::Meaning::{AccessTokenInvalid, GrantDead, InsufficientScope};

const API: &str = "https://developer.zendesk.com/api-reference/introduction/security-and-auth/";
const OAUTH: &str = "https://developer.zendesk.com/api-reference/ticketing/oauth/grant_type_tokens/";

pub(super) static TABLE: Table = Table {
    name: "zendesk",
    also_named: &[],
    errors_on_success: false,
    recognised_by: &[],
    rules: &[
        resource(&[Says("missing the following required scopes")], InsufficientScope, API),
        resource(&[Says("Couldn't authenticate you")], AccessTokenInvalid, API),
        token(&[Code("invalid_grant")], GrantDead, OAUTH),
    ],
};
