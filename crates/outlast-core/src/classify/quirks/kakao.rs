//! Kakao: negative numbers.

use super::rule::Sign::{Code, Says, Under};
use super::rule::{Table, resource, token};
use crate::classify::meaning::Meaning::{
    AccessTokenExpired, AccessTokenInvalid, ClientMisconfigured, GrantDead, InsufficientScope, RateLimited,
};

const ERRORS: &str = "https://developers.kakao.com/docs/latest/en/rest-api/reference#error-code";

pub(super) static TABLE: Table = Table {
    name: "kakao",
    also_named: &[],
    errors_on_success: false,
    recognised_by: &[],
    rules: &[
        resource(&[Under("code", "-401"), Says("expired")], AccessTokenExpired, ERRORS),
        resource(&[Under("code", "-401")], AccessTokenInvalid, ERRORS),
        resource(&[Under("code", "-402")], InsufficientScope, ERRORS),
        resource(&[Under("code", "-10")], RateLimited, ERRORS),
        token(&[Code("KOE322")], GrantDead, ERRORS),
        token(&[Code("KOE010")], ClientMisconfigured, ERRORS),
    ],
};
