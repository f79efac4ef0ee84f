//! Keycloak.

use super::rule::Sign::{Begins, Code, Says};
use super::rule::{Table, resource, token};
use crate::classify::meaning::Meaning::{AccessTokenExpired, GrantDead, StepUpRequired};

const SOURCE: &str = "https://github.com/keycloak/keycloak/blob/main/services/src/main/java/org/keycloak/protocol/oidc/TokenManager.java";
const DOCS: &str = "https://www.keycloak.org/docs/latest/server_admin/";

pub(super) static TABLE: Table = Table {
    name: "keycloak",
    also_named: &["red-hat-sso", "rhsso"],
    errors_on_success: false,
    recognised_by: &[Begins("Account is not fully set up")],
    rules: &[
        resource(&[Code("invalid_token"), Says("Token is not active")], AccessTokenExpired, SOURCE),
        token(&[Code("invalid_grant"), Says("Account is not fully set up")], StepUpRequired, DOCS),
        token(&[Code("invalid_grant"), Says("Token is not active")], GrantDead, SOURCE),
        token(&[Code("invalid_grant"), Says("Session not active")], GrantDead, SOURCE),
        token(&[Code("invalid_grant"), Says("Maximum allowed refresh token reuse exceeded")], GrantDead, SOURCE),
    ],
};
