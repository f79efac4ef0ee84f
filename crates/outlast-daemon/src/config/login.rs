//! The keys that only a login needs: where the browser comes back to, how the account is found out, and
//! whether the rules of the Model Context Protocol hold.

use super::ConfigError;
use super::address;
use super::document::{Located, Table};
use outlast::{GrantType, LoginSettings, Recovery, client_document};

pub(super) const KEYS: &[&str] = &["client_document", "mcp", "redirect_uri", "subject_pointer", "subject_url"];

/// Reads them; a grant that no person signs in to has none.
pub(super) fn read(table: Table<'_>, row: &dyn GrantType) -> Result<LoginSettings, ConfigError> {
    let set = KEYS.iter().find_map(|key| table.get(key).map(|value| (*key, value.span())));
    if let Some((key, span)) = set.filter(|_| row.strategy().recovery != Recovery::User) {
        let detail = format!("{} has `{key}`, and nobody signs in to a grant of its type", table.name);
        return Err(table.document.error(&span, detail, "remove the line"));
    }
    let document = table.text("client_document")?;
    if let Some(document) = &document {
        check_document(table, document)?;
    }
    let subject_url = table.text("subject_url")?;
    subject_url.iter().try_for_each(|url| address::secure(table.document, "subject_url", url).map(drop))?;
    let pointer = table.text("subject_pointer")?;
    if let Some(pointer) = pointer.as_ref().filter(|pointer| !pointer.value.starts_with('/')) {
        let detail = format!("`subject_pointer` in {} is no JSON pointer (RFC 6901)", table.name);
        return Err(table.document.error(&pointer.span, detail, "write it as \"/user/id\""));
    }
    Ok(LoginSettings {
        client_document: document.map(|document| document.value),
        mcp: table.flag("mcp")?.unwrap_or(false),
        redirect_uri: table.text("redirect_uri")?.map(|uri| uri.value),
        subject_pointer: pointer.map(|pointer| pointer.value),
        subject_url: subject_url.map(|url| url.value),
    })
}

/// An address that can be a client's identifier, and nothing else that says who the client is.
fn check_document(table: Table<'_>, document: &Located<String>) -> Result<(), ConfigError> {
    if let Err(why) = client_document::check(&document.value) {
        let detail = format!("`client_document` in {} {why}", table.name);
        return Err(table.document.error(&document.span, detail, "write it as https://host/path/client.json"));
    }
    let rivals = ["client_id", "client_secret", "private_key", "client_certificate"];
    let Some(rival) = rivals.into_iter().find(|rival| table.get(rival).is_some()) else { return Ok(()) };
    let detail = format!("{} has client_document and {rival}", table.name);
    let mend = "remove one of the two; for a document whose client proves who it is, set client_id to its address";
    Err(table.document.error(&document.span, detail, mend))
}
