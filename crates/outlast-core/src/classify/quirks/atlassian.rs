//! Atlassian: Jira, Confluence and Bitbucket clouds behind one gateway.

use super::rule::Sign::{Code, Says};
use super::rule::{Table, resource, token};
use crate::classify::meaning::Meaning::{GrantDead, InsufficientScope, PermissionDenied};

const OAUTH: &str = "https://developer.atlassian.com/cloud/jira/platform/oauth-2-3lo-apps/";
const SCOPES: &str = "https://developer.atlassian.com/cloud/jira/platform/scopes-for-oauth-2-3LO-and-forge-apps/";
const BITBUCKET: &str = "https://developer.atlassian.com/cloud/bitbucket/rest/intro/#authentication";

pub(super) static TABLE: Table = Table {
    name: "atlassian",
    also_named: &["jira", "confluence", "bitbucket", "atlassian-jira"],
    errors_on_success: false,
    recognised_by: &[],
    rules: &[
        token(&[Says("Unknown or invalid refresh token")], GrantDead, OAUTH),
        token(&[Code("unauthorized_client"), Says("refresh_token is invalid")], GrantDead, OAUTH),
        resource(&[Says("scope does not match")], InsufficientScope, SCOPES),
        resource(&[Says("required privilege scopes")], InsufficientScope, BITBUCKET),
        resource(&[Says("PermissionException")], PermissionDenied, OAUTH),
    ],
};
