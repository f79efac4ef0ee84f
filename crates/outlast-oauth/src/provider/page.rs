//! A preset as a page of the documentation.

use super::{Preset, Rotates};
use std::fmt::Write;
use std::time::Duration;

const MADE: &str = "<!-- Made from the presets by `cargo run -p outlast-oauth --example provider_pages`. -->";
const SECONDS_PER_DAY: u64 = 24 * 60 * 60;

/// The page of `preset`, as Markdown.
pub fn page(preset: &Preset<'_>) -> String {
    let mut text = format!("{MADE}\n\n# {}\n\n{}\n", preset.display_name, usage(preset));
    text.push_str("\n| fact | value |\n|---|---|\n");
    for (fact, value) in endpoints(preset).into_iter().chain(habits(preset)) {
        line(&mut text, &format!("| {fact} | {value} |"));
    }
    text.push_str("\nWhat is not in the table is not documented by the provider, or does not follow the standard.\n");
    if !preset.quirks.is_empty() {
        text.push_str("\n## Worth knowing\n\n");
        preset.quirks.iter().for_each(|quirk| line(&mut text, &format!("- {quirk}")));
    }
    text.push_str("\n## Documents\n\n");
    line(&mut text, &format!("- endpoints: <{}>", preset.documentation));
    preset.documents.iter().for_each(|(facts, address)| line(&mut text, &format!("- {facts}: <{address}>")));
    text
}

/// The page that lists `presets`, as Markdown.
pub fn index(presets: &[Preset<'_>]) -> String {
    let mut text = format!("{MADE}\n\n# Providers\n\n");
    text.push_str("What Outlast knows of each, from the provider's own documents. Rotation: whether the use of a\n");
    text.push_str("refresh token may replace it. Lives are those of the grant, not of the access token.\n");
    text.push_str("Any other is named by its issuer or token endpoint, or [by a file of your own](your-own.md).\n\n");
    text.push_str("| provider | name | needs | PKCE | rotation | idle life | absolute life |\n");
    text.push_str("|---|---|---|---|---|---|---|\n");
    for preset in presets {
        let needs: Vec<&str> = preset.parameters.iter().map(|parameter| parameter.name).collect();
        let cells = [
            format!("[{}]({}.md)", preset.display_name, preset.name),
            format!("`{}`", preset.name),
            needs.join(", "),
            preset.pkce.as_str().to_owned(),
            preset.rotates.as_str().to_owned(),
            preset.idle_life.map(span).unwrap_or_default(),
            preset.absolute_life.map(span).unwrap_or_default(),
        ];
        line(&mut text, &format!("| {} |", cells.join(" | ")));
    }
    text
}

/// A `[grant.NAME]` table for `preset`; what stands as `…` in it is for its reader to fill in.
pub fn snippet(preset: &Preset<'_>) -> String {
    let mut text = format!("[grant.{}]\nprovider = \"{}\"\n", preset.name, preset.name);
    if !preset.parameters.is_empty() {
        let each: Vec<String> =
            preset.parameters.iter().map(|parameter| format!("{} = \"…\"", parameter.name)).collect();
        line(&mut text, &format!("parameters = {{ {} }}", each.join(", ")));
    }
    text.push_str("client_id = \"…\"\n");
    // This one has no grant but its client's secret (RFC 6749 4.4).
    if preset.usual_grant_type == "client_credentials" {
        text.push_str("client_secret = { env = \"…\" }\n");
    }
    // The one that is documented is taken where none is named.
    if preset.upstreams.len() != 1 {
        text.push_str("upstream = \"…\"\n");
    }
    text
}

fn usage(preset: &Preset<'_>) -> String {
    let mut text = format!("```toml\n{}```", snippet(preset));
    if !preset.parameters.is_empty() {
        text.push_str("\n\nIts addresses differ by customer. The parameters:\n\n");
        let each = preset.parameters.iter();
        let lines: Vec<String> =
            each.map(|each| format!("- `{}`: {} ({})", each.name, each.meaning, each.form)).collect();
        text.push_str(&lines.join("\n"));
    }
    if let [only] = preset.upstreams {
        text.push_str(&format!("\n\nIts `upstream` is `{only}` unless the configuration names another."));
    }
    text
}

fn endpoints(preset: &Preset<'_>) -> Vec<(&'static str, String)> {
    let found = [
        ("issuer", preset.issuer),
        ("authorization endpoint", preset.authorization_endpoint),
        ("code exchange endpoint", preset.exchange_endpoint),
        ("token endpoint", Some(preset.token_endpoint)),
        ("device authorization endpoint", preset.device_endpoint),
        ("revocation endpoint", preset.revocation_endpoint),
        ("introspection endpoint", preset.introspection_endpoint),
    ];
    found.into_iter().filter_map(|(fact, address)| address.map(|address| (fact, format!("`{address}`")))).collect()
}

fn habits(preset: &Preset<'_>) -> Vec<(&'static str, String)> {
    let mut found = vec![
        ("usual grant type", format!("`{}`", preset.usual_grant_type)),
        ("client authentication", format!("`{}`", preset.client_auth.as_str())),
        ("scopes are separated by", separator(preset.scope_separator)),
        ("PKCE", preset.pkce.as_str().to_owned()),
        ("a renewal replaces the refresh token", rotation(preset.rotates).to_owned()),
    ];
    let lives = [
        ("grace for a replaced refresh token", preset.grace),
        ("idle life of the grant", preset.idle_life),
        ("absolute life of the grant", preset.absolute_life),
    ];
    found.extend(lives.into_iter().filter_map(|(fact, life)| life.map(|life| (fact, span(life)))));
    let sent: Vec<String> =
        preset.authorization_parameters.iter().map(|(name, value)| format!("`{name}={value}`")).collect();
    let upstreams: Vec<String> = preset.upstreams.iter().map(|upstream| format!("`{upstream}`")).collect();
    let lists = [("sent with authorization requests", sent), ("upstreams", upstreams)];
    found.extend(lists.into_iter().filter(|(_, list)| !list.is_empty()).map(|(fact, list)| (fact, list.join(", "))));
    found
}

fn separator(separator: char) -> String {
    match separator {
        ' ' => "a space".to_owned(),
        other => format!("`{other}`"),
    }
}

fn rotation(rotates: Rotates) -> &'static str {
    match rotates {
        Rotates::No => "no",
        Rotates::Undocumented => "undocumented: reckoned with",
        Rotates::Yes => "yes, or where so configured",
    }
}

/// A duration in the largest unit that divides it.
fn span(duration: Duration) -> String {
    let seconds = duration.as_secs();
    if seconds.is_multiple_of(SECONDS_PER_DAY) {
        format!("{} days", seconds / SECONDS_PER_DAY)
    } else if seconds.is_multiple_of(60) {
        format!("{} minutes", seconds / 60)
    } else {
        format!("{seconds} seconds")
    }
}

fn line(text: &mut String, line: &str) {
    // Writing to a String does not fail.
    let _ = writeln!(text, "{line}");
}
