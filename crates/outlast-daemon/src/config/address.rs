//! Which addresses a grant may name.

use super::ConfigError;
use super::document::{Document, Located};
use http::Uri;
use outlast::Code;
use url::{Host, Url};

/// Checks an address that secrets are sent to: https, or http on loopback; no user name, no fragment.
pub(crate) fn secure(document: Document<'_>, key: &str, address: &Located<String>) -> Result<Url, ConfigError> {
    let refuse = |code, detail: String, mend: &str| document.coded(code, &address.span, detail, mend);
    let Ok(url) = Url::parse(&address.value) else {
        let detail = format!("`{key}` is not an absolute address");
        return Err(refuse(Code::ConfigurationInvalid, detail, "write it as https://host/path"));
    };
    if !(url.scheme() == "https" || url.scheme() == "http" && is_loopback(&url)) {
        let detail = format!("`{key}` is neither https nor http on loopback");
        return Err(refuse(Code::InsecureAddress, detail, "use the server's https address"));
    }
    if !url.username().is_empty() || url.password().is_some() {
        let detail = format!("`{key}` has a user name or password in it");
        return Err(refuse(Code::InsecureAddress, detail, "remove it from the address"));
    }
    if url.fragment().is_some() {
        let detail = format!("`{key}` has a fragment");
        return Err(refuse(Code::ConfigurationInvalid, detail, "remove the part from '#' on"));
    }
    Ok(url)
}

/// The one origin that receives a grant's token, with an optional path that all requests begin with.
pub(crate) fn upstream(document: Document<'_>, address: &Located<String>) -> Result<Uri, ConfigError> {
    let url = secure(document, "upstream", address)?;
    let invalid = |detail: &str, mend: &str| document.error(&address.span, detail, mend);
    if url.query().is_some() {
        return Err(invalid("`upstream` has a query", "remove the part from '?' on"));
    }
    // What the address library tidies away would make another path than the one that was written.
    let path = url.path().trim_end_matches('/');
    let written = address.value.split_once("://").map_or("", |(_, rest)| rest);
    let tidied = written.contains(['\\', '%']) || written.split('/').any(|segment| matches!(segment, "." | ".."));
    if tidied || path.contains("//") {
        return Err(invalid("`upstream` has a path that is not plain", "write it without '.', '..', '%' and '//'"));
    }
    let mut parts = http::uri::Parts::default();
    parts.scheme = url.scheme().parse().ok();
    parts.authority = url[url::Position::BeforeHost..url::Position::AfterPort].parse().ok();
    parts.path_and_query = if path.is_empty() { "/".parse().ok() } else { path.parse().ok() };
    Uri::from_parts(parts).map_err(|_| invalid("`upstream` is not an address", "write it as https://host/path"))
}

/// Checks a resource indicator: an absolute address without a fragment (RFC 8707 2).
pub(crate) fn resource(document: Document<'_>, address: &Located<String>) -> Result<(), ConfigError> {
    match Url::parse(&address.value) {
        Ok(url) if url.fragment().is_none() => Ok(()),
        Ok(_) => Err(document.error(&address.span, "`resource` has a fragment", "remove the part from '#' on")),
        Err(_) => {
            let mend = "write it as https://host/path (RFC 8707)";
            Err(document.error(&address.span, "`resource` is not an absolute address", mend))
        }
    }
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}
