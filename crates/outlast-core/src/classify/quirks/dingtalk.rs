//! DingTalk: numbers with 200 in the old interface, names with 400 and 403 in the new.

use super::rule::Sign::{Begins, Code, Under};
use super::rule::{Table, resource};
use crate::classify::meaning::Meaning::{
    AccessTokenExpired, AccessTokenInvalid, ClientMisconfigured, InsufficientScope, RateLimited,
};

const OLD: &str = "https://open.dingtalk.com/document/orgapp/server-api-error-codes-1";
const NEW: &str = "https://open.dingtalk.com/document/orgapp/error-code";

pub(super) static TABLE: Table = Table {
    name: "dingtalk",
    also_named: &[],
    errors_on_success: true,
    recognised_by: &[
        Code("Forbidden.AccessDenied.AccessTokenPermissionDenied"),
        Code("Forbidden.AccessDenied.QpsLimitForApi"),
        Begins("不合法的access_token"),
    ],
    rules: &[
        resource(&[Under("errcode", "40014")], AccessTokenInvalid, OLD),
        resource(&[Under("errcode", "42001")], AccessTokenExpired, OLD),
        resource(&[Under("errcode", "40001")], ClientMisconfigured, OLD),
        resource(&[Under("errcode", "88"), Under("subcode", "40014")], AccessTokenInvalid, OLD),
        resource(&[Under("errcode", "60011")], InsufficientScope, OLD),
        resource(&[Under("errcode", "90018")], RateLimited, OLD),
        resource(&[Code("InvalidAuthentication")], AccessTokenInvalid, NEW),
        resource(&[Code("Forbidden.AccessDenied.AccessTokenPermissionDenied")], InsufficientScope, NEW),
        resource(&[Code("Forbidden.AccessDenied.QpsLimitForApi")], RateLimited, NEW),
    ],
};
