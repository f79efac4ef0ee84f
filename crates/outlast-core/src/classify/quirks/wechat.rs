//! WeChat: numbers under `errcode`, with 200.

use super::rule::Sign::{Begins, Says, Under};
use super::rule::{Table, anywhere, resource, token};
use crate::classify::meaning::Meaning::{
    AccessTokenExpired, AccessTokenInvalid, ClientMisconfigured, GrantDead, PermissionDenied, RateLimited, Transient,
};

const ERRORS: &str = "https://developers.weixin.qq.com/doc/offiaccount/Getting_Started/Global_Return_Code.html";
const WEB: &str = "https://developers.weixin.qq.com/doc/offiaccount/OA_Web_Apps/Wechat_webpage_authorization.html";

pub(super) static TABLE: Table = Table {
    name: "wechat",
    also_named: &["weixin", "wecom", "wechat-work"],
    errors_on_success: true,
    recognised_by: &[Begins("invalid appid"), Begins("invalid appsecret")],
    rules: &[
        resource(&[Under("errcode", "42001")], AccessTokenExpired, ERRORS),
        resource(&[Under("errcode", "40001")], AccessTokenInvalid, ERRORS),
        resource(&[Under("errcode", "40014")], AccessTokenInvalid, ERRORS),
        resource(&[Under("errcode", "41001")], AccessTokenInvalid, ERRORS),
        resource(&[Under("errcode", "48001")], PermissionDenied, ERRORS),
        resource(&[Under("errcode", "45009")], RateLimited, ERRORS),
        resource(&[Under("errcode", "-1")], Transient, ERRORS),
        anywhere(&[Under("errcode", "40013"), Says("invalid appid")], ClientMisconfigured, ERRORS),
        anywhere(&[Under("errcode", "40125")], ClientMisconfigured, ERRORS),
        token(&[Under("errcode", "40030")], GrantDead, WEB),
        token(&[Under("errcode", "42002")], GrantDead, WEB),
        token(&[Under("errcode", "40029")], GrantDead, WEB),
        token(&[Under("errcode", "40164")], ClientMisconfigured, ERRORS),
    ],
};
