//! Heroku.

use super::{BLANK, Preset};

pub(super) const PRESET: Preset = Preset {
    name: "heroku",
    display_name: "Heroku",
    authorization_endpoint: Some("https://id.heroku.com/oauth/authorize"),
    token_endpoint: "https://id.heroku.com/oauth/token",
    upstreams: &["https://api.heroku.com"],
    documentation: "https://devcenter.heroku.com/articles/oauth",
    ..BLANK
};
