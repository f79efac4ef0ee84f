//! The keys that only a login needs: where the browser comes back to, how the account is found out, and
//! whether the rules of the Model Context Protocol hold.

use super::ConfigError;
use super::address;
use super::document::Table;
use outlast::{GrantType, LoginSettings, Recovery};

pub(super) const KEYS: &[&str] = &["mcp", "redirect_uri", "subject_pointer", "subject_url"];

/// Reads them; a grant that no person signs in to has none.
pub(super) fn read(table: Table<'_>, row: &dyn GrantType) -> Result<LoginSettings, ConfigError> {
    let set = KEYS.iter().find_map(|key| table.get(key).map(|value| (*key, value.span())));
    if let Some((key, span)) = set.filter(|_| row.strategy().recovery != Recovery::User) {
        let detail = format!("{} has `{key}`, and nobody signs in to a grant of its type", table.name);
        return Err(table.document.error(&span, detail, "remove the line"));
    }
    let subject_url = table.text("subject_url")?;
    subject_url.iter().try_for_each(|url| address::secure(table.document, "subject_url", url).map(drop))?;
    let pointer = table.text("subject_pointer")?;
    if let Some(pointer) = pointer.as_ref().filter(|pointer| !pointer.value.starts_with('/')) {
        let detail = format!("`subject_pointer` in {} is no JSON pointer (RFC 6901)", table.name);
        return Err(table.document.error(&pointer.span, detail, "write it as \"/user/id\""));
    }
    Ok(LoginSettings {
        mcp: table.flag("mcp")?.unwrap_or(false),
        redirect_uri: table.text("redirect_uri")?.map(|uri| uri.value),
        subject_pointer: pointer.map(|pointer| pointer.value),
        subject_url: subject_url.map(|url| url.value),
    })
}
