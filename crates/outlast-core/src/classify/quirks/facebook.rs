//! Facebook, Instagram and the other Graph APIs of Meta: a number, and a number below it.

use super::rule::Sign::{Between, Code, Says, Under};
use super::rule::{Table, resource};
use crate::classify::meaning::Meaning::{
    AccessTokenExpired, AccessTokenInvalid, InsufficientScope, PermissionDenied, RateLimited, StepUpRequired, Transient,
};

const ERRORS: &str = "https://developers.facebook.com/docs/graph-api/guides/error-handling";
const DEBUG: &str = "https://developers.facebook.com/docs/facebook-login/guides/access-tokens/debugging";

pub(super) static TABLE: Table = Table {
    name: "facebook",
    also_named: &["meta", "instagram", "meta-graph", "facebook-graph", "whatsapp", "threads", "meta-ads"],
    errors_on_success: false,
    recognised_by: &[Code("OAuthException")],
    rules: &[
        resource(&[Under("code", "190"), Under("errorsubcode", "463")], AccessTokenExpired, ERRORS),
        resource(&[Under("code", "190"), Under("errorsubcode", "459")], StepUpRequired, ERRORS),
        resource(&[Under("code", "190"), Under("errorsubcode", "464")], StepUpRequired, ERRORS),
        resource(&[Under("code", "190"), Under("errorsubcode", "460")], AccessTokenInvalid, ERRORS),
        resource(&[Under("code", "190"), Under("errorsubcode", "458")], AccessTokenInvalid, ERRORS),
        resource(&[Under("code", "190"), Says("Session has expired")], AccessTokenExpired, DEBUG),
        resource(&[Under("code", "190")], AccessTokenInvalid, ERRORS),
        resource(&[Under("code", "102"), Under("errorsubcode", "463")], AccessTokenExpired, ERRORS),
        resource(&[Under("code", "102"), Code("OAuthException")], AccessTokenInvalid, ERRORS),
        resource(&[Under("code", "10"), Code("OAuthException")], InsufficientScope, ERRORS),
        resource(&[Between("code", 200, 299), Code("OAuthException")], InsufficientScope, ERRORS),
        resource(&[Under("code", "4"), Code("OAuthException")], RateLimited, ERRORS),
        resource(&[Under("code", "17"), Code("OAuthException")], RateLimited, ERRORS),
        resource(&[Under("code", "32"), Code("OAuthException")], RateLimited, ERRORS),
        resource(&[Under("code", "613"), Code("OAuthException")], RateLimited, ERRORS),
        resource(&[Under("code", "341"), Code("OAuthException")], RateLimited, ERRORS),
        resource(&[Under("code", "1"), Code("OAuthException")], Transient, ERRORS),
        resource(&[Under("code", "2"), Code("OAuthException")], Transient, ERRORS),
        resource(&[Under("code", "368"), Code("OAuthException")], PermissionDenied, ERRORS),
    ],
};
