//! Mailchimp Marketing: no scopes and no refresh tokens.

use super::{BLANK, Preset};

pub(super) const PRESET: Preset = Preset {
    name: "mailchimp",
    display_name: "Mailchimp",
    authorization_endpoint: Some("https://login.mailchimp.com/oauth2/authorize"),
    token_endpoint: "https://login.mailchimp.com/oauth2/token",
    quirks: &[
        "No refresh token is issued: access tokens last until they are revoked.",
        "The API's origin differs by account and is found at https://login.mailchimp.com/oauth2/metadata.",
    ],
    documentation: "https://mailchimp.com/developer/marketing/guides/access-user-data-oauth-2/",
    ..BLANK
};
