//! `outlast providers [NAME]`: which authorization servers are known, and what of each.

use super::Done;
use crate::exit::Fault;
use crate::{output, words};
use outlast::Code;
use outlast::provider::{self, Form, Parameter, Preset};
use outlast_daemon::config::nearest;
use serde_json::{Value, json};
use std::time::Duration;

/// What `providers` is told.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  outlast providers
  outlast providers okta              its addresses, its habits, and a table for the configuration
  outlast providers --json | jq -r '.[] | select(.rotates == \"yes\") | .name'
Only what a provider documents is stated; what is left out is not known.")]
pub(crate) struct Arguments {
    /// The provider; all of them if left out
    name: Option<String>,
    /// Print JSON: an array, or one object if a provider is named
    #[arg(long)]
    pub(crate) json: bool,
}

/// Lists the presets, or shows one in full. Reads no configuration and no network.
pub(crate) fn run(arguments: &Arguments) -> Done {
    match (&arguments.name, arguments.json) {
        (Some(name), true) => output::json(&as_json(&find(name)?))?,
        (Some(name), false) => output::data(&in_full(&find(name)?))?,
        (None, true) => output::json(&provider::all().iter().map(as_json).collect())?,
        (None, false) => output::data(&list(&provider::all()))?,
    }
    Ok(0)
}

fn find(name: &str) -> Result<Preset, Fault> {
    let found = provider::find(name).or_else(|| provider::find_template(name));
    found.ok_or_else(|| {
        let known: Vec<&str> = provider::all().iter().map(|preset| preset.name).collect();
        let mend = match nearest(name, &known) {
            Some(meant) => format!("did you mean `{meant}`? outlast providers lists them all"),
            None => "outlast providers lists those that are known; any other is named by its issuer or token_endpoint"
                .to_owned(),
        };
        // Debug: what was typed may move a cursor.
        Fault::new(Code::ConfigurationInvalid, format!("no provider is called {name:?}")).mend(mend)
    })
}

fn list(presets: &[Preset]) -> String {
    let head =
        ["name", "provider", "grant type", "PKCE", "rotates", "grace", "idle life", "absolute life", "parameters"];
    output::table(&head, presets.iter().map(row).collect())
}

fn row(preset: &Preset) -> Vec<String> {
    let life = |life: Option<Duration>| life.map_or_else(|| output::NOTHING.to_owned(), words::duration);
    let names: Vec<&str> = preset.parameters.iter().map(|parameter| parameter.name).collect();
    vec![
        preset.name.to_owned(),
        preset.display_name.to_owned(),
        preset.usual_grant_type.to_owned(),
        preset.pkce.as_str().to_owned(),
        preset.rotates.as_str().to_owned(),
        life(preset.grace),
        life(preset.idle_life),
        life(preset.absolute_life),
        if names.is_empty() { output::NOTHING.to_owned() } else { names.join(", ") },
    ]
}

fn in_full(preset: &Preset) -> String {
    let parts = [
        preset.display_name.to_owned(),
        provider::snippet(preset).trim_end().to_owned(),
        aligned(&preset.parameters.iter().map(described).collect::<Vec<_>>()),
        aligned(&facts(preset)),
        preset.quirks.iter().map(|quirk| format!("- {quirk}")).collect::<Vec<_>>().join("\n"),
        aligned(&documents(preset)),
    ];
    let told: Vec<String> = parts.into_iter().filter(|part| !part.is_empty()).collect();
    told.join("\n\n")
}

fn described(parameter: &Parameter) -> (String, String) {
    (format!("parameter {}", parameter.name), format!("{} ({})", parameter.meaning, parameter.form))
}

fn facts(preset: &Preset) -> Vec<(String, String)> {
    let text = |value: &'static str| Some(value.to_owned());
    let separator = if preset.scope_separator == ' ' { "a space".to_owned() } else { preset.scope_separator.into() };
    let sent: Vec<String> =
        preset.authorization_parameters.iter().map(|(name, value)| format!("{name}={value}")).collect();
    let found = [
        ("issuer", preset.issuer.and_then(text)),
        ("authorization endpoint", preset.authorization_endpoint.and_then(text)),
        ("code exchange endpoint", preset.exchange_endpoint.and_then(text)),
        ("token endpoint", text(preset.token_endpoint)),
        ("device authorization endpoint", preset.device_endpoint.and_then(text)),
        ("revocation endpoint", preset.revocation_endpoint.and_then(text)),
        ("introspection endpoint", preset.introspection_endpoint.and_then(text)),
        ("usual grant type", text(preset.usual_grant_type)),
        ("client authentication", text(preset.client_auth.as_str())),
        ("scopes are separated by", Some(separator)),
        ("PKCE", text(preset.pkce.as_str())),
        ("refresh token rotates", text(preset.rotates.as_str())),
        ("grace for a replaced one", preset.grace.map(words::duration)),
        ("idle life of the grant", preset.idle_life.map(words::duration)),
        ("absolute life of the grant", preset.absolute_life.map(words::duration)),
        ("sent with authorization", Some(sent.join("&")).filter(|sent| !sent.is_empty())),
        ("upstreams", Some(preset.upstreams.join(" ")).filter(|all| !all.is_empty())),
    ];
    found.into_iter().filter_map(|(fact, value)| value.map(|value| (fact.to_owned(), value))).collect()
}

fn documents(preset: &Preset) -> Vec<(String, String)> {
    let endpoints = ("endpoints", preset.documentation);
    let all = std::iter::once(&endpoints).chain(preset.documents);
    all.map(|(facts, address)| (format!("document on {facts}"), (*address).to_owned())).collect()
}

/// One pair a line, the second halves below each other.
fn aligned(pairs: &[(String, String)]) -> String {
    let width = pairs.iter().map(|(name, _)| name.chars().count()).max().unwrap_or_default();
    let lines: Vec<String> = pairs.iter().map(|(name, value)| format!("{name:width$}  {value}")).collect();
    lines.join("\n")
}

fn as_json(preset: &Preset) -> Value {
    let seconds = |life: Option<Duration>| life.map(|life| life.as_secs());
    let sent: serde_json::Map<String, Value> =
        preset.authorization_parameters.iter().map(|(name, value)| ((*name).to_owned(), json!(value))).collect();
    let documents = documents_as_json(preset);
    json!({
        "name": preset.name,
        "display_name": preset.display_name,
        "parameters": preset.parameters.iter().map(parameter_as_json).collect::<Vec<_>>(),
        "issuer": preset.issuer,
        "authorization_endpoint": preset.authorization_endpoint,
        "authorization_parameters": sent,
        "exchange_endpoint": preset.exchange_endpoint,
        "token_endpoint": preset.token_endpoint,
        "device_endpoint": preset.device_endpoint,
        "revocation_endpoint": preset.revocation_endpoint,
        "introspection_endpoint": preset.introspection_endpoint,
        "usual_grant_type": preset.usual_grant_type,
        "client_auth": preset.client_auth.as_str(),
        "scope_separator": preset.scope_separator,
        "pkce": preset.pkce.as_str(),
        "rotates": preset.rotates.as_str(),
        "grace_seconds": seconds(preset.grace),
        "idle_life_seconds": seconds(preset.idle_life),
        "absolute_life_seconds": seconds(preset.absolute_life),
        "upstreams": preset.upstreams,
        "quirks": preset.quirks,
        "documents": documents,
        "configuration": provider::snippet(preset),
    })
}

fn parameter_as_json(parameter: &Parameter) -> Value {
    let values = match parameter.form {
        Form::Host | Form::Name => None,
        Form::OneOf(values) => Some(values),
    };
    json!({
        "name": parameter.name,
        "meaning": parameter.meaning,
        "form": parameter.form.to_string(),
        "one_of": values,
    })
}

fn documents_as_json(preset: &Preset) -> Value {
    let endpoints = ("endpoints", preset.documentation);
    let all = std::iter::once(&endpoints).chain(preset.documents);
    all.map(|(facts, address)| json!({ "facts": facts, "address": address })).collect()
}
