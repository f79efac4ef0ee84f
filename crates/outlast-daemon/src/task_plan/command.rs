//! Reads what a step says of its command.

use super::{step, text, told};
use crate::config::ConfigError;
use crate::config::document::{Located, Table, shown};
use outlast::task_plan::{CommandWork, GrantUse};

pub(super) const KEYS: &[&str] = &["command", "grants", "input"];

pub(super) fn read(table: Table<'_>) -> Result<CommandWork, ConfigError> {
    let wanted = "a list of strings, such as [\"python3\", \"page.py\", \"{{ item.id }}\"]";
    let members = text::members(table, "command", wanted)?;
    let span = table.get("command").map_or(0..0, toml::Spanned::span);
    let words = members.iter().map(|member| text::template_of(table, "command", member)).collect::<Result<_, _>>()?;
    let mut work = CommandWork::new(words, &span).map_err(|fault| told(table.document, &fault))?;
    work.input = text::template(table, "input")?;
    work.grants = grants(table)?;
    Ok(work)
}

/// `NAME`, or `NAME=VARIABLE` where the token file is wanted under another name.
fn grants(table: Table<'_>) -> Result<Vec<GrantUse>, ConfigError> {
    let wanted = "a list of grants, such as [\"crm\"] or [\"crm=CRM_TOKEN_FILE\"]";
    let mut grants: Vec<GrantUse> = Vec::new();
    for member in text::members(table, "grants", wanted)? {
        let span = member.span();
        let text = member.get_ref().as_str().ok_or_else(|| table.wrong_type("grants", &span, wanted))?;
        let (name, variable) = text.split_once('=').map_or((text, None), |(name, variable)| (name, Some(variable)));
        let id = step::grant(table, &Located { value: name.to_owned(), span: span.clone() })?;
        if let Some(variable) = variable.filter(|variable| !is_variable(variable)) {
            let detail = format!("`{}` is no name of an environment variable", shown(variable));
            return Err(table.document.error(&span, detail, "use letters, digits and '_', such as crm=CRM_TOKEN_FILE"));
        }
        if grants.iter().any(|grant| grant.id == id) {
            let detail = format!("grant {id} is named twice");
            return Err(table.document.error(&span, detail, "name each grant once"));
        }
        grants.push(GrantUse { id, variable: variable.map(str::to_owned) });
    }
    Ok(grants)
}

fn is_variable(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}
