//! `outlast providers [NAME]`: which authorization servers are known, and what of each.

use super::Done;
use crate::env;
use crate::exit::Fault;
use crate::{output, words};
use outlast::Code;
use outlast::provider::{self, Form, Parameter, Preset};
use outlast_daemon::config::{ConfigError, OwnPresets, nearest};
use serde_json::{Value, json};
use std::path::Path;
use std::time::Duration;

/// What `providers` is told.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  outlast providers
  outlast providers okta              its addresses, its habits, and a table for the configuration
  outlast providers --json | jq -r '.[] | select(.rotates == \"yes\") | .name'
Only what a provider documents is stated; what is left out is not known.
Your own are files named NAME.toml in the folder providers beside the configuration: docs/providers/your-own.md.")]
pub(crate) struct Arguments {
    /// The provider; all of them if left out
    name: Option<String>,
    /// Print JSON: an array, or one object if a provider is named
    #[arg(long)]
    pub(crate) json: bool,
}

/// A preset, and where it comes from.
#[derive(Clone, Copy)]
struct Known<'a> {
    preset: Preset<'a>,
    /// The file, if it is one of the user's own.
    file: Option<&'a Path>,
}

/// Lists the presets, or shows one in full. Reads no network, and nothing of the configuration but the user's own presets.
pub(crate) fn run(arguments: &Arguments) -> Done {
    // Whoever has no home has no presets of their own either.
    let own = env::places().ok().map(|places| OwnPresets::beside(&places.config));
    match (&arguments.name, arguments.json) {
        (Some(name), true) => output::json(&find(own.as_ref(), name, as_json)?)?,
        (Some(name), false) => output::data(&find(own.as_ref(), name, in_full)?)?,
        (None, true) => output::json(&Value::Array(each(own.as_ref(), as_json)))?,
        (None, false) => output::data(&list(each(own.as_ref(), row)))?,
    }
    Ok(0)
}

fn find<R>(own: Option<&OwnPresets>, name: &str, judge: fn(Known<'_>) -> R) -> Result<R, Fault> {
    if let Some(read) = own.and_then(|own| of_file(own, name, judge)) {
        return Ok(read?);
    }
    let found = provider::find(name).or_else(|| provider::find_template(name));
    found.map(|preset| judge(Known { preset, file: None })).ok_or_else(|| {
        let own = own.map(OwnPresets::names).unwrap_or_default();
        let mut known: Vec<&str> = provider::all().iter().map(|preset| preset.name).collect();
        known.extend(own.iter().map(String::as_str));
        let mend = match nearest(name, &known) {
            Some(meant) => format!("did you mean `{meant}`? outlast providers lists them all"),
            None => "outlast providers lists those that are known; any other is named by its issuer or token_endpoint"
                .to_owned(),
        };
        // Debug: what was typed may move a cursor.
        Fault::new(Code::ConfigurationInvalid, format!("no provider is called {name:?}")).mend(mend)
    })
}

fn of_file<R>(own: &OwnPresets, name: &str, judge: fn(Known<'_>) -> R) -> Option<Result<R, ConfigError>> {
    let file = own.file(name);
    own.with(name, |preset| judge(Known { preset: *preset, file: Some(&file) }))
}

/// What `judge` makes of each preset, the user's own in the place of built-in ones of the same name. What is wrong with
/// a file is told, and the others are listed.
fn each<R>(own: Option<&OwnPresets>, judge: fn(Known<'_>) -> R) -> Vec<R> {
    let mut judged: Vec<(String, R)> = Vec::new();
    let names = own.map(OwnPresets::names).unwrap_or_default();
    for name in &names {
        match own.and_then(|own| of_file(own, name, judge)) {
            Some(Ok(seen)) => judged.push((name.clone(), seen)),
            Some(Err(error)) => output::talk(&format!("not listed: {error}")),
            None => {}
        }
    }
    let built_in = provider::all().into_iter().filter(|preset| names.iter().all(|name| name != preset.name));
    judged.extend(built_in.map(|preset| (preset.name.to_owned(), judge(Known { preset, file: None }))));
    judged.sort_by(|(one, _), (other, _)| one.cmp(other));
    judged.into_iter().map(|(_, seen)| seen).collect()
}

fn list(rows: Vec<Vec<String>>) -> String {
    let head = [
        "name",
        "provider",
        "grant type",
        "PKCE",
        "rotates",
        "grace",
        "idle life",
        "absolute life",
        "parameters",
        "own",
    ];
    output::table(&head, rows)
}

fn row(Known { preset, file }: Known<'_>) -> Vec<String> {
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
        if file.is_some() { "own".to_owned() } else { output::NOTHING.to_owned() },
    ]
}

fn in_full(Known { preset, file }: Known<'_>) -> String {
    let preset = &preset;
    let parts = [
        preset.display_name.to_owned(),
        file.map_or_else(String::new, |file| whose(preset, file)),
        provider::snippet(preset).trim_end().to_owned(),
        aligned(&preset.parameters.iter().map(described).collect::<Vec<_>>()),
        aligned(&facts(preset)),
        preset.quirks.iter().map(|quirk| format!("- {quirk}")).collect::<Vec<_>>().join("\n"),
        aligned(&documents(preset)),
    ];
    let told: Vec<String> = parts.into_iter().filter(|part| !part.is_empty()).collect();
    told.join("\n\n")
}

/// Says of a preset that it is the user's own.
fn whose(preset: &Preset<'_>, file: &Path) -> String {
    let replaced = provider::find(preset.name).or_else(|| provider::find_template(preset.name));
    let replaces = if replaced.is_some() { ", in the place of the built-in one of that name" } else { "" };
    format!("your own, from {}{replaces}", file.display())
}

fn described(parameter: &Parameter<'_>) -> (String, String) {
    (format!("parameter {}", parameter.name), format!("{} ({})", parameter.meaning, parameter.form))
}

fn facts(preset: &Preset<'_>) -> Vec<(String, String)> {
    let text = |value: &str| Some(value.to_owned());
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

fn documents(preset: &Preset<'_>) -> Vec<(String, String)> {
    let told = |(facts, address): (&str, &str)| (format!("document on {facts}"), address.to_owned());
    all_documents(preset).into_iter().map(told).collect()
}

/// Which facts stand where; one's own preset may name no document.
fn all_documents<'a>(preset: &Preset<'a>) -> Vec<(&'a str, &'a str)> {
    let endpoints = Some(("endpoints", preset.documentation)).filter(|(_, address)| !address.is_empty());
    endpoints.into_iter().chain(preset.documents.iter().copied()).collect()
}

/// One pair a line, the second halves below each other.
fn aligned(pairs: &[(String, String)]) -> String {
    let width = pairs.iter().map(|(name, _)| name.chars().count()).max().unwrap_or_default();
    let lines: Vec<String> = pairs.iter().map(|(name, value)| format!("{name:width$}  {value}")).collect();
    lines.join("\n")
}

fn as_json(Known { preset, file }: Known<'_>) -> Value {
    let preset = &preset;
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
        "own": file.is_some(),
        "file": file.map(|file| file.display().to_string()),
    })
}

fn parameter_as_json(parameter: &Parameter<'_>) -> Value {
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

fn documents_as_json(preset: &Preset<'_>) -> Value {
    let all = all_documents(preset).into_iter();
    all.map(|(facts, address)| json!({ "facts": facts, "address": address })).collect()
}
