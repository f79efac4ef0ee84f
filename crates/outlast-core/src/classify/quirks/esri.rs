//! Esri ArcGIS: errors come with 200 and a status of their own inside.

use super::rule::Sign::{Says, Under};
use super::rule::{Table, resource, token};
use crate::classify::meaning::Meaning::{
    AccessTokenExpired, AccessTokenInvalid, ClientMisconfigured, GrantDead, PermissionDenied,
};

const ERRORS: &str = "https://developers.arcgis.com/rest/services-reference/enterprise/error-codes/";

pub(super) static TABLE: Table = Table {
    name: "esri-arcgis",
    also_named: &["esri", "arcgis"],
    errors_on_success: true,
    recognised_by: &[],
    rules: &[
        resource(&[Under("code", "498"), Says("expired")], AccessTokenExpired, ERRORS),
        resource(&[Under("code", "498")], AccessTokenInvalid, ERRORS),
        resource(&[Under("code", "499")], AccessTokenInvalid, ERRORS),
        resource(&[Under("code", "403")], PermissionDenied, ERRORS),
        token(&[Says("Invalid refresh_token")], GrantDead, ERRORS),
        token(&[Says("Invalid client_id")], ClientMisconfigured, ERRORS),
    ],
};
