//! Reads one `[[step]]`.

use super::{command, fan_out, request, text};
use crate::config::ConfigError;
use crate::config::document::{Located, Table, shown};
use outlast::GrantId;
use outlast::task::Effect;
use outlast::task_plan::{Need, PlanStep, RETRIES_MAX, Work};
use std::time::Duration;

/// The keys of every step.
const KEYS: &[&str] = &["for_each", "id", "idempotent", "key", "needs", "retries", "timeout"];
/// Longest time that a step may be given.
const TIMEOUT_MAX: Duration = Duration::from_secs(24 * 3600);

/// All steps, in the order of the file.
pub(super) fn read_all(root: Table<'_>) -> Result<Vec<PlanStep>, ConfigError> {
    let tables = text::members(root, "step", "a [[step]] table for each step")?;
    let read = |value: &toml::Spanned<toml::de::DeValue<'_>>| match value.get_ref().as_table() {
        Some(entries) => {
            let named = entries.get("key").and_then(|key| key.get_ref().as_str());
            let name = named.map_or_else(|| "[[step]]".to_owned(), |key| format!("step `{}`", shown(key)));
            read_one(Table { document: root.document, name: &name, entries }, value.span())
        }
        None => Err(root.wrong_type("step", &value.span(), "a [[step]] table for each step")),
    };
    tables.iter().map(read).collect()
}

fn read_one(table: Table<'_>, span: std::ops::Range<usize>) -> Result<PlanStep, ConfigError> {
    let work = match (table.get("command"), table.get("request")) {
        (Some(_), None) => {
            table.expect_only(&[KEYS, command::KEYS].concat())?;
            Work::Command(command::read(table)?)
        }
        (None, Some(_)) => {
            table.expect_only(&[KEYS, request::KEYS].concat())?;
            Work::Request(request::read(table)?)
        }
        (None, None) => {
            table.expect_only(&[KEYS, command::KEYS, request::KEYS].concat())?;
            let mend = "add command = [\"program\", …], or request = { grant = \"crm\", path = \"/…\" }";
            return Err(table.document.error(&span, format!("{} has nothing to do", table.name), mend));
        }
        (Some(_), Some(second)) => {
            let detail = format!("{} has a command and a request", table.name);
            return Err(table.document.error(&second.span(), detail, "make two steps of it"));
        }
    };
    let Some(key) = table.text("key")? else {
        let mend = "add key = \"list\": its progress is kept under it";
        return Err(table.document.error(&span, "a step has no key", mend));
    };
    let retries = text::number(table, "retries", 0..=u64::from(RETRIES_MAX))?;
    Ok(PlanStep {
        fan_out: fan_out::read(table)?,
        needs: needs(table)?,
        effect: effect(table, &work)?,
        retries: retries.and_then(|number| u32::try_from(number).ok()).unwrap_or(RETRIES_MAX),
        timeout: timeout(table)?,
        work,
        key: key.value,
        span: key.span,
    })
}

fn needs(table: Table<'_>) -> Result<Vec<Need>, ConfigError> {
    let wanted = "a list of keys, such as [\"list\"]";
    let need = |member: &toml::Spanned<toml::de::DeValue<'_>>| match member.get_ref().as_str() {
        Some(key) => Ok(Need { key: key.to_owned(), span: member.span() }),
        None => Err(table.wrong_type("needs", &member.span(), wanted)),
    };
    text::members(table, "needs", wanted)?.iter().map(need).collect()
}

/// What running it twice would do: RFC 9110 9.2.2 says it of requests, unless the plan does.
fn effect(table: Table<'_>, work: &Work) -> Result<Effect, ConfigError> {
    let idempotent = match (table.flag("idempotent")?, work) {
        (Some(said), _) => said,
        (None, Work::Command(_)) => false,
        (None, Work::Request(request)) => request.method.is_idempotent(),
    };
    Ok(if idempotent { Effect::Idempotent } else { Effect::Once })
}

fn timeout(table: Table<'_>) -> Result<Option<Duration>, ConfigError> {
    let timeout = table.duration("timeout")?;
    match timeout {
        Some(timeout) if timeout.is_zero() || timeout > TIMEOUT_MAX => {
            let span = table.get("timeout").map_or(0..0, toml::Spanned::span);
            Err(table.wrong_type("timeout", &span, "a length of time up to a day"))
        }
        Some(_) | None => Ok(timeout),
    }
}

/// A grant's name.
pub(super) fn grant(table: Table<'_>, name: &Located<String>) -> Result<GrantId, ConfigError> {
    GrantId::parse(&name.value).map_err(|why| {
        let mend = "use the name of a grant of the configuration, such as crm";
        table.document.error(&name.span, format!("`{}` is no grant: {why}", shown(&name.value)), mend)
    })
}
