//! Where a server that a stranger named may lead: `outlast add --resource` writes it down, once, for
//! whoever owns the names could have it decided otherwise later.

use super::ConfigError;
use super::document::{Table, shown};
use super::nearest::nearest;
use outlast::Reach;

/// How far the server of a grant may lead. One that was found through its resource leads to the open
/// internet, unless it is said; one that a person named leads anywhere.
pub(super) fn read(table: Table<'_>) -> Result<Reach, ConfigError> {
    let Some(named) = table.text("reach")? else {
        let found = table.flag("mcp")?.unwrap_or(false);
        return Ok(if found { Reach::Public } else { Reach::Anywhere });
    };
    if table.get("issuer").is_none() {
        let detail = format!("{} has `reach`, and no `issuer` that it is about", table.name);
        return Err(table.document.error(&named.span, detail, "remove the line"));
    }
    Reach::named(&named.value).ok_or_else(|| {
        let known = Reach::ALL.map(Reach::as_str);
        let mend = match nearest(&named.value, &known) {
            Some(meant) => format!("did you mean `{meant}`?"),
            None => format!("known are {}", known.join(", ")),
        };
        table.document.error(&named.span, format!("unknown reach `{}`", shown(&named.value)), mend)
    })
}
