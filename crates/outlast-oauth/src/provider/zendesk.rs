//! Zendesk accounts.

use super::{BLANK, Form, Parameter, Preset, Rotates, days};

pub(super) const PRESET: Preset = Preset {
    name: "zendesk",
    display_name: "Zendesk",
    parameters: &[
        Parameter {
            name: "subdomain",
            meaning: "the account's subdomain, the first part of its zendesk.com domain",
            form: Form::Name,
        },
    ],
    authorization_endpoint: Some("https://{subdomain}.zendesk.com/oauth/authorizations/new"),
    token_endpoint: "https://{subdomain}.zendesk.com/oauth/tokens",
    rotates: Rotates::Yes,
    idle_life: days(30),
    upstreams: &["https://{subdomain}.zendesk.com"],
    quirks: &[
        "The 30 days are the default of clients made after 30 April 2026; a token request may ask for another life.",
    ],
    documentation: "https://developer.zendesk.com/documentation/api-basics/authentication/refresh-token/",
    documents: &[
        ("rotation and lifetimes", "https://support.zendesk.com/hc/en-us/articles/9182123625370"),
    ],
    ..BLANK
};
