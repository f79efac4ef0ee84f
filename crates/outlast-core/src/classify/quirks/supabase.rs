//! Supabase: PostgREST and its authentication server.

use super::rule::Sign::{Code, Says};
use super::rule::{Table, resource, token};
use crate::classify::meaning::Meaning::{
    AccessTokenExpired, AccessTokenInvalid, GrantDead, PermissionDenied, RateLimited, StepUpRequired,
};

const POSTGREST: &str = "https://docs.postgrest.org/en/stable/references/errors.html";
const AUTH: &str = "https://supabase.com/docs/guides/auth/debugging/error-codes";

pub(super) static TABLE: Table = Table {
    name: "supabase",
    also_named: &["postgrest", "supabase-postgrest", "gotrue"],
    errors_on_success: false,
    recognised_by: &[],
    rules: &[
        resource(&[Code("PGRST301"), Says("JWT expired")], AccessTokenExpired, POSTGREST),
        resource(&[Code("PGRST303"), Says("JWT expired")], AccessTokenExpired, POSTGREST),
        resource(&[Code("PGRST301")], AccessTokenInvalid, POSTGREST),
        resource(&[Code("42501")], PermissionDenied, POSTGREST),
        resource(&[Code("insufficient_aal")], StepUpRequired, AUTH),
        resource(&[Code("bad_jwt")], AccessTokenInvalid, AUTH),
        token(&[Code("refresh_token_not_found")], GrantDead, AUTH),
        token(&[Code("refresh_token_already_used")], GrantDead, AUTH),
        token(&[Code("session_expired")], GrantDead, AUTH),
        token(&[Code("over_request_rate_limit")], RateLimited, AUTH),
    ],
};
