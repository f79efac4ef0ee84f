//! Slack: every answer comes with 200 and says `ok`.

use super::rule::{Endpoints::{Resource, Token}, Rule, Sign::Code, Table};
use crate::classify::meaning::Meaning;

const ERRORS: &str = "https://docs.slack.dev/reference/methods/auth.test";

pub(super) static TABLE: Table = Table {
    name: "slack",
    also_named: &[],
    errors_on_success: true,
    recognised_by: &[],
    rules: &[
        Rule { at: Resource, signs: &[Code("token_expired")], meaning: Meaning::AccessTokenExpired, source: ERRORS },
        Rule { at: Token, signs: &[Code("invalid_refresh_token")], meaning: Meaning::GrantDead, source: ERRORS },
    ],
};
