//! Adobe Commerce (Magento): 401 for what one may not do.

use super::rule::Sign::{Begins, Says};
use super::rule::{Table, resource};
use crate::classify::meaning::Meaning::PermissionDenied;

const ERRORS: &str = "https://developer.adobe.com/commerce/webapi/get-started/authentication/";

pub(super) static TABLE: Table = Table {
    name: "magento",
    also_named: &["adobe-commerce"],
    errors_on_success: false,
    recognised_by: &[Begins("The consumer isn't authorized to access %resources")],
    rules: &[resource(&[Says("The consumer isn't authorized to access %resources")], PermissionDenied, ERRORS)],
};
