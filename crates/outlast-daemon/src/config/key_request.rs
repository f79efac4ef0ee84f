//! Reads a request that makes or retires an API key, such as `{ post = "https://…", read = "/data/key" }`.

use super::ConfigError;
use super::address;
use super::document::{Located, Table};
use http::Method;
use outlast::KeyRequest;

/// The methods, each the key that its address stands at.
const METHODS: [(&str, Method); 3] = [("delete", Method::DELETE), ("post", Method::POST), ("put", Method::PUT)];

/// Reads the table at `key`.
pub(super) fn read(table: Table<'_>, key: &str) -> Result<KeyRequest, ConfigError> {
    let (document, title) = (table.document, format!("`{key}`"));
    let span = table.get(key).map_or(0..0, toml::Spanned::span);
    let mend = "write { post = \"https://…\" }, { put = … } or { delete = … }";
    let Some(entries) = table.get(key).and_then(|value| value.get_ref().as_table()) else {
        return Err(table.wrong_type(key, &span, "a command or a request"));
    };
    let inner = Table { document, name: &title, entries };
    inner.expect_only(&["body", "delete", "post", "put", "read"])?;
    let mut found: Option<(Method, Located<String>)> = None;
    for (name, method) in METHODS {
        let Some(written) = inner.text(name)? else { continue };
        if found.replace((method, written)).is_some() {
            return Err(document.error(&span, format!("{title} has more than one address"), mend));
        }
    }
    let Some((method, written)) = found else {
        return Err(document.error(&span, format!("{title} has no address"), mend));
    };
    address::secure(document, key, &written)?;
    Ok(KeyRequest { method, address: written.value, body: body(inner)?, read: pointer(inner)? })
}

/// JSON, so that a key stands in it whole.
fn body(inner: Table<'_>) -> Result<Option<serde_json::Value>, ConfigError> {
    let Some(written) = inner.text("body")? else { return Ok(None) };
    let mend = "write it as JSON, such as '{\"name\":\"agent\"}'; a text \"{key}\" in it stands for the key";
    let read = serde_json::from_str(&written.value);
    read.map(Some)
        .map_err(|_| inner.document.error(&written.span, format!("`body` in {} is no JSON", inner.name), mend))
}

fn pointer(inner: Table<'_>) -> Result<Option<String>, ConfigError> {
    match inner.text("read")? {
        Some(written) if !written.value.starts_with('/') => {
            let detail = format!("`read` in {} is no JSON pointer (RFC 6901)", inner.name);
            Err(inner.document.error(&written.span, detail, "write it as \"/data/key\""))
        }
        read => Ok(read.map(|read| read.value)),
    }
}
