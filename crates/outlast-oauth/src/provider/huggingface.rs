//! Hugging Face.

use super::{BLANK, ClientAuthMethod, Pkce, Preset};

pub(super) const PRESET: Preset = Preset {
    name: "huggingface",
    display_name: "Hugging Face",
    issuer: Some("https://huggingface.co"),
    authorization_endpoint: Some("https://huggingface.co/oauth/authorize"),
    token_endpoint: "https://huggingface.co/oauth/token",
    device_endpoint: Some("https://huggingface.co/oauth/device"),
    client_auth: ClientAuthMethod::Basic,
    pkce: Pkce::Supported,
    upstreams: &["https://huggingface.co", "https://router.huggingface.co"],
    documentation: "https://huggingface.co/docs/hub/oauth",
    ..BLANK
};
