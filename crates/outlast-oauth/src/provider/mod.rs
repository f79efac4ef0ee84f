//! Authorization servers by name. A new one is a file here and a line in [`TABLE`].

pub mod generic;

mod atlassian;
mod github;
mod gitlab;
mod google;
mod microsoft;
mod notion;
mod salesforce;
mod slack;

use crate::client_authentication::ClientAuthMethod;
use outlast_core::strategy::Rotation;
use outlast_core::{Provider, Quirks};

/// The presets, sorted by name.
pub static TABLE: &[Preset] = &[
    atlassian::PRESET,
    github::PRESET,
    gitlab::PRESET,
    google::PRESET,
    microsoft::PRESET,
    notion::PRESET,
    salesforce::PRESET,
    slack::PRESET,
];

/// What a provider documents of its authorization server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Preset {
    /// The name in the configuration.
    pub name: &'static str,
    /// Where tokens are asked for (RFC 6749 3.2).
    pub token_endpoint: &'static str,
    /// Where a person is sent to consent (RFC 6749 3.1).
    pub authorization_endpoint: Option<&'static str>,
    /// Where device codes are asked for (RFC 8628 3.1).
    pub device_endpoint: Option<&'static str>,
    /// The issuer, where there is one for everybody (RFC 8414 2).
    pub issuer: Option<&'static str>,
    /// The grant type that is meant when the configuration names none.
    pub usual_grant_type: &'static str,
    /// How a client with a secret authenticates when the configuration does not say.
    pub client_auth: ClientAuthMethod,
    /// What stands between scopes where a person is asked for them.
    pub scope_separator: char,
    /// Whether a refresh token may be replaced by its use.
    pub rotates: Rotation,
    /// Address of the documentation this was taken from.
    pub documentation: &'static str,
}

impl Preset {
    /// The server as renewals need it.
    pub fn provider(&self) -> Provider {
        Provider {
            name: self.name.to_owned(),
            token_endpoint: self.token_endpoint.to_owned(),
            issuer: self.issuer.map(str::to_owned),
            quirks: Quirks::for_provider(self.name),
        }
    }
}

/// The preset of that name.
pub fn find(name: &str) -> Option<Preset> {
    TABLE.iter().copied().find(|preset| preset.name == name)
}
