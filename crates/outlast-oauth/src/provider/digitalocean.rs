//! DigitalOcean: tokens are renewed at an endpoint of their own, and a refresh token serves exactly once.

use super::{BLANK, Preset, Rotates};

pub(super) const PRESET: Preset = Preset {
    name: "digitalocean",
    display_name: "DigitalOcean",
    authorization_endpoint: Some("https://cloud.digitalocean.com/v1/oauth/authorize"),
    exchange_endpoint: Some("https://cloud.digitalocean.com/v1/oauth/token"),
    token_endpoint: "https://cloud.digitalocean.com/v1/oauth/refresh",
    rotates: Rotates::Yes,
    upstreams: &["https://api.digitalocean.com"],
    quirks: &[
        "Revocation asks for a bearer token in the request, which RFC 7009 does not; no revocation endpoint is \
         given here for that reason.",
    ],
    documentation: "https://docs.digitalocean.com/reference/api/oauth/",
    ..BLANK
};
