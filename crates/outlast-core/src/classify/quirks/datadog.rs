//! Datadog: keys, not tokens; 403 means a bad key.

use super::rule::Sign::{Says, Status};
use super::rule::{Table, resource};
use crate::classify::meaning::Meaning::{ClientMisconfigured, PermissionDenied};

const ERRORS: &str = "https://docs.datadoghq.com/api/latest/";

pub(super) static TABLE: Table = Table {
    name: "datadog",
    also_named: &[],
    errors_on_success: false,
    recognised_by: &[],
    rules: &[
        resource(&[Status(403), Says("Forbidden")], ClientMisconfigured, ERRORS),
        resource(&[Status(403), Says("Failed permission authorization checks")], PermissionDenied, ERRORS),
    ],
};
