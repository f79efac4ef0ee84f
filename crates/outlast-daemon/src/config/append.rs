//! Adds a grant to a configuration and keeps the rest of it byte for byte.

use super::secret_source::SecretSource;
use super::{Config, ConfigError};
use outlast::{Code, Reach};
use std::fmt::Write;
use std::path::Path;

/// A grant to be written into the configuration; what is `None` or empty is left out.
#[derive(Clone, Debug, Default)]
pub struct NewGrant {
    /// Name of a preset.
    pub provider: Option<String>,
    /// What fills that preset's addresses in, by name.
    pub parameters: Vec<(String, String)>,
    /// An issuer.
    pub issuer: Option<String>,
    /// A token endpoint.
    pub token_endpoint: Option<String>,
    /// RFC name of the grant type.
    pub grant_type: Option<String>,
    /// The client's identifier.
    pub client_id: Option<String>,
    /// The address of a document about the client.
    pub client_document: Option<String>,
    /// Where the client's secret comes from; never the secret itself.
    pub client_secret: Option<SecretSource>,
    /// How the client authenticates.
    pub client_auth: Option<String>,
    /// Where the private key that signs comes from; never the key itself.
    pub private_key: Option<SecretSource>,
    /// The private key's name at the server.
    pub key_id: Option<String>,
    /// Where a service account's file is.
    pub service_account: Option<SecretSource>,
    /// The scope asked for.
    pub scope: Vec<String>,
    /// Whether the server was found through its resource.
    pub mcp: bool,
    /// How far that server may lead, where it was found so.
    pub reach: Option<Reach>,
    /// Whether tokens are to be bound to a key.
    pub dpop: bool,
    /// RFC 8707 resource indicator.
    pub resource: Option<String>,
    /// The one origin that receives the token.
    pub upstream: Option<String>,
}

impl Config {
    /// `existing` with the table `[grant.NAME]` at its end. The result is checked as a whole: what
    /// this returns can be read back.
    pub fn add_grant_text(existing: &str, name: &str, grant: &NewGrant, path: &Path) -> Result<String, ConfigError> {
        let sources = [&grant.client_secret, &grant.private_key, &grant.service_account];
        if sources.iter().any(|source| matches!(source, Some(SecretSource::Plain(_)))) {
            return Err(ConfigError {
                code: Code::ConfigurationInvalid,
                path: path.to_owned(),
                place: None,
                detail: "a secret is not written into the configuration".to_owned(),
                mend: "name its source: { env = … }, { file = … }, { command = […] } or { keyring = … }".to_owned(),
            });
        }
        let mut text = existing.to_owned();
        if !text.is_empty() && !text.ends_with('\n') {
            text.push('\n');
        }
        if !text.is_empty() && !text.ends_with("\n\n") {
            text.push('\n');
        }
        text.push_str(&table(name, grant));
        let read = Config::parse(&text, path)?;
        match read.entries().iter().find(|entry| entry.id.as_str() == name).and_then(|entry| entry.fault.clone()) {
            Some(fault) => Err(fault),
            None => Ok(text),
        }
    }
}

fn table(name: &str, grant: &NewGrant) -> String {
    let mut text = format!("[grant.{}]\n", key(name));
    let mut line = |key: &str, value: Option<String>| {
        if let Some(value) = value {
            // Writing to a string does not fail.
            let _ = writeln!(text, "{key} = {value}");
        }
    };
    let plain = |value: &Option<String>| value.as_deref().map(quoted);
    line("provider", plain(&grant.provider));
    line("parameters", (!grant.parameters.is_empty()).then(|| pairs(&grant.parameters)));
    line("issuer", plain(&grant.issuer));
    line("token_endpoint", plain(&grant.token_endpoint));
    line("grant_type", plain(&grant.grant_type));
    line("client_id", plain(&grant.client_id));
    line("client_document", plain(&grant.client_document));
    line("client_secret", grant.client_secret.as_ref().map(source));
    line("client_auth", plain(&grant.client_auth));
    line("private_key", grant.private_key.as_ref().map(source));
    line("key_id", plain(&grant.key_id));
    line("service_account", grant.service_account.as_ref().map(source));
    line("scope", (!grant.scope.is_empty()).then(|| list(&grant.scope)));
    line("resource", plain(&grant.resource));
    line("upstream", plain(&grant.upstream));
    line("dpop", grant.dpop.then(|| "true".to_owned()));
    line("mcp", grant.mcp.then(|| "true".to_owned()));
    line("reach", grant.reach.map(|reach| quoted(reach.as_str())));
    text
}

fn source(source: &SecretSource) -> String {
    match source {
        SecretSource::Command(argv) => format!("{{ command = {} }}", list(argv)),
        SecretSource::Environment(name) => format!("{{ env = {} }}", quoted(name)),
        SecretSource::File(path) => format!("{{ file = {} }}", quoted(&path.to_string_lossy())),
        SecretSource::Keyring { service, user } => format!("{{ keyring = {} }}", quoted(&format!("{service}/{user}"))),
        // Refused above.
        SecretSource::Plain(_) => quoted(""),
    }
}

fn list(members: &[String]) -> String {
    let quoted: Vec<String> = members.iter().map(|member| quoted(member)).collect();
    format!("[{}]", quoted.join(", "))
}

fn pairs(members: &[(String, String)]) -> String {
    let written: Vec<String> =
        members.iter().map(|(name, value)| format!("{} = {}", key(name), quoted(value))).collect();
    format!("{{ {} }}", written.join(", "))
}

/// A TOML key: bare where it can be.
fn key(name: &str) -> String {
    let bare = !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_'));
    if bare { name.to_owned() } else { quoted(name) }
}

/// A TOML basic string.
fn quoted(value: &str) -> String {
    let mut text = String::from("\"");
    for c in value.chars() {
        match c {
            '"' => text.push_str("\\\""),
            '\\' => text.push_str("\\\\"),
            c if c.is_control() => {
                let _ = write!(text, "\\u{:04X}", u32::from(c));
            }
            c => text.push(c),
        }
    }
    text.push('"');
    text
}
