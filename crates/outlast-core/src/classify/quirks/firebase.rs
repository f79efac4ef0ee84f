//! Firebase: the code stands where the sentence belongs.

use super::rule::Sign::Says;
use super::rule::{Table, token};
use crate::classify::meaning::Meaning::{ClientMisconfigured, GrantDead};

const ERRORS: &str = "https://firebase.google.com/docs/reference/rest/auth#section-refresh-token";

pub(super) static TABLE: Table = Table {
    name: "firebase",
    also_named: &["google-identity-toolkit", "securetoken"],
    errors_on_success: false,
    recognised_by: &[],
    rules: &[
        token(&[Says("TOKEN_EXPIRED")], GrantDead, ERRORS),
        token(&[Says("INVALID_REFRESH_TOKEN")], GrantDead, ERRORS),
        token(&[Says("USER_DISABLED")], GrantDead, ERRORS),
        token(&[Says("USER_NOT_FOUND")], GrantDead, ERRORS),
        token(&[Says("PROJECT_NUMBER_MISMATCH")], ClientMisconfigured, ERRORS),
        token(&[Says("INVALID_GRANT_TYPE")], ClientMisconfigured, ERRORS),
        token(&[Says("MISSING_REFRESH_TOKEN")], ClientMisconfigured, ERRORS),
    ],
};
