//! Feishu and Lark: a number under `code`.

use super::rule::Sign::Under;
use super::rule::{Table, resource, token};
use crate::classify::meaning::Meaning::{
    AccessTokenExpired, AccessTokenInvalid, GrantDead, InsufficientScope, RateLimited,
};

const ERRORS: &str = "https://open.feishu.cn/document/server-docs/api-call-guide/generic-error-code";

pub(super) static TABLE: Table = Table {
    name: "feishu",
    also_named: &["lark", "larksuite"],
    errors_on_success: true,
    recognised_by: &[],
    rules: &[
        resource(&[Under("code", "99991661")], AccessTokenInvalid, ERRORS),
        resource(&[Under("code", "99991663")], AccessTokenInvalid, ERRORS),
        resource(&[Under("code", "99991664")], AccessTokenInvalid, ERRORS),
        resource(&[Under("code", "99991668")], AccessTokenInvalid, ERRORS),
        resource(&[Under("code", "99991677")], AccessTokenExpired, ERRORS),
        resource(&[Under("code", "99991672")], InsufficientScope, ERRORS),
        resource(&[Under("code", "99991679")], InsufficientScope, ERRORS),
        resource(&[Under("code", "99991400")], RateLimited, ERRORS),
        token(&[Under("code", "20037")], GrantDead, ERRORS),
        token(&[Under("code", "20026")], GrantDead, ERRORS),
        token(&[Under("code", "20064")], GrantDead, ERRORS),
    ],
};
