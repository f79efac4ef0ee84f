//! A client whose identifier is the https address of a document about it, which the server fetches
//! (draft-ietf-oauth-client-id-metadata-document; MCP authorization, 2025-11-25). Nothing is
//! registered, and nothing secret is shared.

use outlast_core::grant::{ClientAuth, Registration};
use outlast_core::wire::Provider;
use url::Url;

/// Longest address of a document, in bytes.
const ADDRESS_BYTES_MAX: usize = 2048;

/// Whether `address` can be a client's identifier; what is against it, as the end of a sentence that
/// begins with its name. The rules of the draft are of the text as it is: the server compares it
/// character for character.
///
/// # Errors
/// If it is not https, has no path, or has what such an address must not have.
pub fn check(address: &str) -> Result<(), &'static str> {
    let Ok(url) = Url::parse(address) else { return Err("is not an absolute address") };
    let Some(rest) = address.strip_prefix("https://") else { return Err("is not https") };
    let path = rest.split_once('/').map_or("", |(_, path)| path);
    let path = path.split(['?', '#']).next().unwrap_or_default();
    let is_dots = |segment: &str| matches!(segment.to_ascii_lowercase().replace("%2e", ".").as_str(), "." | "..");
    if address.len() > ADDRESS_BYTES_MAX {
        Err("is longer than 2048 bytes")
    } else if !address.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\') {
        Err("has characters that no address has")
    } else if rest.split('/').next().is_some_and(|authority| authority.contains('@')) || !url.username().is_empty() {
        Err("has a user name or password in it")
    } else if address.contains('#') {
        Err("has a fragment")
    } else if path.is_empty() {
        Err("has no path: the address of a whole site is not that of a document")
    } else if path.split('/').any(is_dots) {
        Err("has a path with '.' or '..' in it")
    } else {
        Ok(())
    }
}

/// The client that `document` describes, at a server that takes such documents and at no other (N48).
pub fn client(document: &str, provider: &Provider, authorization_server: &str) -> Option<Registration> {
    let usable = provider.takes_client_documents && check(document).is_ok();
    usable.then(|| Registration {
        authorization_server: authorization_server.to_owned(),
        client_id: document.to_owned(),
        client_auth: ClientAuth::None,
        secret_ends_at: None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn n51_an_identifier_is_an_https_address_with_a_plain_path() {
        for good in [
            "https://client.example.com/outlast.json",
            "https://client.example.com:8443/a/b",
            "https://client.example.com/c?v=2",
        ] {
            assert_eq!(check(good), Ok(()), "{good}");
        }
        for bad in [
            "",
            "outlast",
            "http://127.0.0.1/client.json",
            "http://client.example.com/client.json",
            "HTTPS://client.example.com/client.json",
            "https://client.example.com",
            "https://client.example.com/",
            "https://client.example.com/?x=/a",
            "https://user@client.example.com/c.json",
            "https://user:CANARY@client.example.com/c.json",
            "https://client.example.com/a/../c.json",
            "https://client.example.com/a/%2E%2e/c.json",
            "https://client.example.com/./c.json",
            "https://client.example.com/c.json#x",
            "https://client.example.com/c json",
            "https://client.example.com\\c.json",
            "https://client.example.com/\u{1b}[2J",
            "javascript:alert(1)//x/y",
        ] {
            assert!(check(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn n48_n51_the_document_is_the_client_only_where_the_server_says_that_it_takes_one() {
        let document = "https://client.example.com/outlast.json";
        let takes = Provider { takes_client_documents: true, ..Provider::default() };
        let client = client(document, &takes, "https://as.example");
        assert!(client.is_some_and(|client| client.client_id == document && client.client_auth == ClientAuth::None));
        assert_eq!(super::client(document, &Provider::default(), "https://as.example"), None);
        assert_eq!(super::client("http://client.example.com/x", &takes, "https://as.example"), None);
    }
}
