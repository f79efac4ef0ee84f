//! Discord.

use super::{BLANK, ClientAuthMethod, Preset};

pub(super) const PRESET: Preset = Preset {
    name: "discord",
    display_name: "Discord",
    authorization_endpoint: Some("https://discord.com/oauth2/authorize"),
    token_endpoint: "https://discord.com/api/oauth2/token",
    revocation_endpoint: Some("https://discord.com/api/oauth2/token/revoke"),
    client_auth: ClientAuthMethod::Basic,
    upstreams: &["https://discord.com"],
    quirks: &["Revoking one token ends every token the application holds for that person."],
    documentation: "https://discord.com/developers/docs/topics/oauth2",
    ..BLANK
};
