//! Snowflake: six digits.

use super::rule::Sign::Code;
use super::rule::{Table, resource};
use crate::classify::meaning::Meaning::{
    AccessTokenExpired, AccessTokenInvalid, ClientMisconfigured, PermissionDenied,
};

const OAUTH: &str = "https://docs.snowflake.com/en/user-guide/oauth-ext-overview#error-codes";
const SQL: &str = "https://docs.snowflake.com/en/developer-guide/sql-api/authenticating";

pub(super) static TABLE: Table = Table {
    name: "snowflake",
    also_named: &[],
    errors_on_success: false,
    recognised_by: &[],
    rules: &[
        resource(&[Code("390318")], AccessTokenExpired, OAUTH),
        resource(&[Code("390303")], AccessTokenInvalid, OAUTH),
        resource(&[Code("390144")], ClientMisconfigured, SQL),
        resource(&[Code("390114")], AccessTokenExpired, SQL),
        resource(&[Code("390112")], AccessTokenExpired, SQL),
        resource(&[Code("390422")], PermissionDenied, SQL),
        resource(&[Code("390317")], PermissionDenied, OAUTH),
    ],
};
