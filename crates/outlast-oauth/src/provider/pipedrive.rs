//! Pipedrive.

use super::{BLANK, ClientAuthMethod, Preset, days};

pub(super) const PRESET: Preset = Preset {
    name: "pipedrive",
    display_name: "Pipedrive",
    authorization_endpoint: Some("https://oauth.pipedrive.com/oauth/authorize"),
    token_endpoint: "https://oauth.pipedrive.com/oauth/token",
    revocation_endpoint: Some("https://oauth.pipedrive.com/oauth/revoke"),
    client_auth: ClientAuthMethod::Basic,
    idle_life: days(60),
    upstreams: &["https://api.pipedrive.com"],
    quirks: &["Scopes are chosen in the app's settings."],
    documentation: "https://pipedrive.readme.io/docs/marketplace-oauth-authorization",
    documents: &[("revocation", "https://pipedrive.readme.io/docs/app-uninstallation")],
    ..BLANK
};
