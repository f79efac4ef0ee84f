//! Discord.

use super::rule::Sign::{Status, Under};
use super::rule::{Table, resource};
use crate::classify::meaning::Meaning::{
    AccessTokenInvalid, InsufficientScope, PermissionDenied, RateLimited, StepUpRequired,
};

const CODES: &str = "https://discord.com/developers/docs/topics/opcodes-and-status-codes#json";
const RATE: &str = "https://discord.com/developers/docs/topics/rate-limits";

pub(super) static TABLE: Table = Table {
    name: "discord",
    also_named: &[],
    errors_on_success: false,
    recognised_by: &[],
    rules: &[
        resource(&[Under("code", "50025")], AccessTokenInvalid, CODES),
        resource(&[Under("code", "50014")], AccessTokenInvalid, CODES),
        resource(&[Under("code", "50026")], InsufficientScope, CODES),
        resource(&[Under("code", "50013")], PermissionDenied, CODES),
        resource(&[Under("code", "50001")], PermissionDenied, CODES),
        resource(&[Under("code", "60003")], StepUpRequired, CODES),
        resource(&[Under("code", "40001")], AccessTokenInvalid, CODES),
        resource(&[Status(429)], RateLimited, RATE),
    ],
};
