//! The keys by which the configuration knows better than the server or its documents: how requests
//! carry the token, how long it lives, how soon the grant would end if nobody renewed it, and whether a
//! replaced refresh token still serves whoever lost the answer.

use super::ConfigError;
use super::document::Table;
use outlast::{GrantType, Presentation, Renewal, Rotation};
use std::time::Duration;

pub(super) const KEYS: &[&str] = &["dpop", "grace", "header", "header_format", "keep_alive", "token_life"];

/// What says that a grant is not to be kept alive.
const OFF: &str = "off";

/// What the keys say.
pub(super) struct Habit {
    pub(super) dpop: bool,
    pub(super) grace: Option<Duration>,
    pub(super) presentation: Presentation,
    pub(super) renew_within: Option<Duration>,
    pub(super) token_life: Option<Duration>,
}

/// Reads them; `documented` is within what time the provider's documents ask for a renewal.
pub(super) fn read(table: Table<'_>, row: &dyn GrantType, documented: Option<Duration>) -> Result<Habit, ConfigError> {
    Ok(Habit {
        dpop: dpop(table, row)?,
        grace: grace(table, row)?,
        presentation: presentation(table)?,
        renew_within: keep_alive(table, row, documented)?,
        token_life: some_time(table, "token_life")?,
    })
}

/// Whether tokens are to be bound to a key of the grant's own: a matter of grants that ask an
/// authorization server.
fn dpop(table: Table<'_>, row: &dyn GrantType) -> Result<bool, ConfigError> {
    let wanted = table.flag("dpop")?.unwrap_or(false);
    if wanted && !row.has_server() {
        let span = table.get("dpop").map_or(0..0, toml::Spanned::span);
        let detail = format!("{} has `dpop`, and no authorization server to bind tokens", table.name);
        return Err(table.document.error(&span, detail, "remove the line"));
    }
    Ok(wanted)
}

/// A matter of grants whose refresh token may be replaced when it is used.
fn grace(table: Table<'_>, row: &dyn GrantType) -> Result<Option<Duration>, ConfigError> {
    let Some(grace) = table.duration("grace")? else { return Ok(None) };
    if row.strategy().rotation == Rotation::Possible {
        return Ok(Some(grace));
    }
    let span = table.get("grace").map_or(0..0, toml::Spanned::span);
    let detail = format!("{} has `grace`, and grant type {}", table.name, row.strategy().grant_type);
    Err(table.document.error(&span, detail, "remove it: no refresh token of this grant is replaced"))
}

fn presentation(table: Table<'_>) -> Result<Presentation, ConfigError> {
    let (header, format) = (table.text("header")?, table.text("header_format")?);
    let name = |text: &Option<super::document::Located<String>>| text.as_ref().map(|text| text.value.clone());
    Presentation::new(name(&header).as_deref(), name(&format).as_deref()).map_err(|why| {
        // The header's name is looked at first; what is wrong after that is the format's.
        let of_header = format.is_none() || Presentation::new(name(&header).as_deref(), None).is_err();
        let (key, place) = if of_header { ("header", header) } else { ("header_format", format) };
        let span = place.map_or(0..0, |text| text.span);
        let mend = "such as header = \"X-Api-Key\" and header_format = \"Bearer {token}\"";
        table.document.error(&span, format!("`{key}` in {}: {why}", table.name), mend)
    })
}

fn keep_alive(
    table: Table<'_>,
    row: &dyn GrantType,
    documented: Option<Duration>,
) -> Result<Option<Duration>, ConfigError> {
    // Only a refresh token ends by being left alone.
    let spends = row.strategy().renewal == Renewal::Refresh;
    let Some(value) = table.get("keep_alive") else { return Ok(documented.filter(|_| spends)) };
    if !spends {
        let detail = format!("{} has `keep_alive`, and grant type {}", table.name, row.strategy().grant_type);
        return Err(table.document.error(&value.span(), detail, "remove it: this grant does not end by being idle"));
    }
    match value.get_ref().as_str() {
        Some(OFF) => Ok(None),
        Some(_) | None => some_time(table, "keep_alive"),
    }
}

/// A length of time that is not nothing: what is due at once is due for ever.
fn some_time(table: Table<'_>, key: &str) -> Result<Option<Duration>, ConfigError> {
    let given = table.duration(key)?;
    if given != Some(Duration::ZERO) {
        return Ok(given);
    }
    let span = table.get(key).map_or(0..0, toml::Spanned::span);
    Err(table.document.error(&span, format!("`{key}` in {} is nothing", table.name), "give a length of time"))
}
