//! Spotify.

use super::rule::Sign::{Code, Says};
use super::rule::{Table, resource, token};
use crate::classify::meaning::Meaning::{AccessTokenExpired, GrantDead, InsufficientScope, PermissionDenied};

const CONCEPTS: &str = "https://developer.spotify.com/documentation/web-api/concepts/api-calls";

pub(super) static TABLE: Table = Table {
    name: "spotify",
    also_named: &[],
    errors_on_success: false,
    recognised_by: &[],
    rules: &[
        resource(&[Says("The access token expired")], AccessTokenExpired, CONCEPTS),
        resource(&[Says("Insufficient client scope")], InsufficientScope, CONCEPTS),
        resource(&[Says("Bad OAuth request")], PermissionDenied, CONCEPTS),
        token(&[Code("invalid_grant"), Says("Refresh token revoked")], GrantDead, CONCEPTS),
    ],
};
