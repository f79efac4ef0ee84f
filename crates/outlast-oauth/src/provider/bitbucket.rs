//! Bitbucket Cloud. Idle life: three months are at least 89 days.

use super::{BLANK, ClientAuthMethod, Preset, Rotates, days};

pub(super) const PRESET: Preset = Preset {
    name: "bitbucket",
    display_name: "Bitbucket Cloud",
    authorization_endpoint: Some("https://bitbucket.org/site/oauth2/authorize"),
    token_endpoint: "https://bitbucket.org/site/oauth2/access_token",
    client_auth: ClientAuthMethod::Basic,
    rotates: Rotates::Yes,
    idle_life: days(89),
    upstreams: &["https://api.bitbucket.org"],
    quirks: &[
        "Refresh tokens that are not used for three months end.",
        "The client credentials grant brings no refresh token.",
    ],
    documentation: "https://support.atlassian.com/bitbucket-cloud/docs/use-oauth-on-bitbucket-cloud/",
    documents: &[
        (
            "rotation and lifetimes",
            "https://community.developer.atlassian.com/t/oauth-2-0-and-api-authentication-changes-for-bitbucket-cloud/99003",
        ),
    ],
    ..BLANK
};
