//! Twitch: sentences, without codes.

use super::rule::Sign::Says;
use super::rule::{Table, resource, token};
use crate::classify::meaning::Meaning::{
    AccessTokenInvalid, AuthorizationPending, ClientMisconfigured, GrantDead, InsufficientScope,
};

const REFRESH: &str = "https://dev.twitch.tv/docs/authentication/refresh-tokens";
const DEVICE: &str = "https://dev.twitch.tv/docs/authentication/getting-tokens-oauth/#device-code-grant-flow";
const API: &str = "https://dev.twitch.tv/docs/api/reference/";

pub(super) static TABLE: Table = Table {
    name: "twitch",
    also_named: &[],
    errors_on_success: false,
    recognised_by: &[],
    rules: &[
        token(&[Says("Invalid refresh token")], GrantDead, REFRESH),
        token(&[Says("invalid client secret")], ClientMisconfigured, REFRESH),
        token(&[Says("invalid client")], ClientMisconfigured, REFRESH),
        token(&[Says("authorization_pending")], AuthorizationPending, DEVICE),
        token(&[Says("invalid device code")], GrantDead, DEVICE),
        resource(&[Says("Missing scope")], InsufficientScope, API),
        resource(&[Says("Invalid OAuth token")], AccessTokenInvalid, API),
        resource(&[Says("Client ID and OAuth token do not match")], ClientMisconfigured, API),
    ],
};
