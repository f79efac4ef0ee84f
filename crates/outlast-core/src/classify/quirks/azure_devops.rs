//! Azure DevOps: a sign-in page where 401 was due.

use super::rule::Sign::{Code, Field, Says, Status};
use super::rule::{Table, resource};
use crate::classify::meaning::Meaning::{AccessTokenInvalid, PermissionDenied, RateLimited};

const AUTH: &str =
    "https://learn.microsoft.com/en-us/azure/devops/integrate/get-started/authentication/authentication-guidance";
const STATUS: &str = "https://learn.microsoft.com/en-us/azure/devops/integrate/concepts/rate-limits";

pub(super) static TABLE: Table = Table {
    name: "azure-devops",
    also_named: &["azdo", "ado", "vsts", "visual-studio-team-services"],
    errors_on_success: false,
    recognised_by: &[],
    rules: &[
        resource(&[Status(203)], AccessTokenInvalid, AUTH),
        resource(&[Status(302), Field("location", "_signin")], AccessTokenInvalid, AUTH),
        resource(&[Says("TF400813"), Status(401)], AccessTokenInvalid, AUTH),
        resource(&[Says("TF400733")], RateLimited, STATUS),
        resource(&[Code("InvalidAccessException")], PermissionDenied, AUTH),
    ],
};
