//! Reads the list that a step is run for.

use super::text;
use crate::config::ConfigError;
use crate::config::document::Table;
use outlast::task_plan::{FanOut, Items};
use toml::de::DeValue;

pub(super) fn read(table: Table<'_>) -> Result<Option<FanOut>, ConfigError> {
    let id = text::template(table, "id")?;
    let Some(value) = table.get("for_each") else {
        return match table.get("id") {
            Some(id) => {
                let detail = format!("{} has an id and no for_each", table.name);
                Err(table.document.error(&id.span(), detail, "remove the id, or add a for_each"))
            }
            None => Ok(None),
        };
    };
    let wanted = "one list, such as \"{{ list.items }}\" or [1, 2, 3]";
    let items = match value.get_ref() {
        DeValue::Array(members) => {
            Items::Fixed(members.iter().map(|member| text::json_of(table, member)).collect::<Result<_, _>>()?)
        }
        DeValue::String(_) => match text::template_of(table, "for_each", value)?.as_reference() {
            Some(reference) => Items::Output(reference.clone()),
            None => return Err(table.wrong_type("for_each", &value.span(), wanted)),
        },
        _ => return Err(table.wrong_type("for_each", &value.span(), wanted)),
    };
    Ok(Some(FanOut { items, id, span: value.span() }))
}
