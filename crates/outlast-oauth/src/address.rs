//! Which addresses a secret may be sent to, and how an address is shown.

use outlast_core::Code;
use std::fmt;
use url::{Host, Url};

/// Longest piece of text from elsewhere that is repeated in an error, in characters.
const SHOWN_CHARS_MAX: usize = 200;

/// Why an address is not used. The text holds no query, no fragment and no user name or password.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AddressError {
    /// It has a user name or password in it (RFC 6749 2.3.1: credentials never stand in an address).
    Credentials {
        /// The address, as [`shown`].
        address: String,
    },
    /// It has a fragment (RFC 6749 3.2, RFC 8707 2).
    Fragment {
        /// The address, as [`shown`].
        address: String,
    },
    /// It is neither https nor http on loopback.
    Insecure {
        /// The address, as [`shown`].
        address: String,
    },
    /// It cannot be read as an absolute address.
    Unreadable,
}

impl AddressError {
    /// Its code.
    pub fn code(&self) -> Code {
        match self {
            Self::Credentials { .. } | Self::Insecure { .. } => Code::InsecureAddress,
            Self::Fragment { .. } | Self::Unreadable => Code::ConfigurationInvalid,
        }
    }
}

impl fmt::Display for AddressError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Credentials { address } => {
                write!(f, "the address {address} has a user name or password in it: remove it from the address")
            }
            Self::Fragment { address } => {
                write!(f, "the address {address} has a fragment: remove the part from '#' on")
            }
            Self::Insecure { address } => {
                write!(f, "the address {address} is neither https nor on loopback: use the server's https address")
            }
            Self::Unreadable => {
                f.write_str("the address is not an absolute URL such as https://login.example.com/token")
            }
        }
    }
}

impl std::error::Error for AddressError {}

/// Reads an address that secrets are sent to: https, or http on loopback (127.0.0.0/8, `::1`,
/// `localhost`), without credentials or a fragment in it.
pub fn check(address: &str) -> Result<Url, AddressError> {
    let url = read(address)?;
    let refuse = || shown(address);
    if !(url.scheme() == "https" || url.scheme() == "http" && is_loopback(&url)) {
        Err(AddressError::Insecure { address: refuse() })
    } else if !url.username().is_empty() || url.password().is_some() {
        Err(AddressError::Credentials { address: refuse() })
    } else if url.fragment().is_some() {
        Err(AddressError::Fragment { address: refuse() })
    } else {
        Ok(url)
    }
}

/// Checks a resource indicator: an absolute address without a fragment (RFC 8707 2).
pub fn check_resource(resource: &str) -> Result<(), AddressError> {
    let url = read(resource)?;
    match url.fragment() {
        Some(_) => Err(AddressError::Fragment { address: shown(resource) }),
        None => Ok(()),
    }
}

/// Reads an address in which every character can be seen. The parser drops tabs and line ends and encodes
/// what else no address has (RFC 3986 2): the text that people are shown would be another address than the one
/// that is asked, or a command to their terminal.
fn read(address: &str) -> Result<Url, AddressError> {
    let is_seen = |character: char| character.is_ascii_graphic() || character.is_alphanumeric();
    let url = address.chars().all(is_seen).then(|| Url::parse(address).ok());
    url.flatten().ok_or(AddressError::Unreadable)
}

/// An address as errors show it: without user name, password, query and fragment, for those may
/// be secret; shortened, and with control characters escaped.
pub fn shown(address: &str) -> String {
    let path_end = address.find(['?', '#']).unwrap_or(address.len());
    let plain = &address[..path_end];
    let (scheme, rest) = plain.split_once("://").map_or(("", plain), |(scheme, rest)| (scheme, rest));
    let host_end = rest.find(['/', '\\']).unwrap_or(rest.len());
    let host_start = rest[..host_end].rfind('@').map_or(0, |at| at + 1);
    let separator = if scheme.is_empty() { "" } else { "://" };
    escaped(&format!("{scheme}{separator}{}", &rest[host_start..]))
}

/// Text from elsewhere as errors show it: shortened, and with every character escaped that could
/// move a terminal's cursor or hide what follows.
pub fn escaped(text: &str) -> String {
    let mut kept: String = text.chars().take(SHOWN_CHARS_MAX).flat_map(char::escape_debug).collect();
    if text.chars().nth(SHOWN_CHARS_MAX).is_some() {
        kept.push('…');
    }
    kept
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn https_and_loopback_addresses_are_taken() {
        for address in [
            "https://login.example.com/token",
            "https://10.0.0.1:8443/token?tenant=a",
            "HTTPS://LOGIN.EXAMPLE.COM",
            "http://127.0.0.1:9000/token",
            "http://127.8.9.1/token",
            "http://[::1]:9000/token",
            "http://localhost:9000/token",
            "http://LOCALHOST/token",
        ] {
            assert!(check(address).is_ok(), "{address}");
        }
    }

    #[test]
    fn plain_http_beyond_loopback_is_refused_however_it_is_dressed() {
        for address in [
            "http://login.example.com/token",
            "http://10.0.0.1/token",
            "http://0.0.0.0/token",
            "http://localhost.example.com/token",
            "http://127.0.0.1.example.com/token",
            "http://127.0.0.1@login.example.com/token",
            "http://localhost@login.example.com/token",
            "http://[::ffff:10.0.0.1]/token",
            "http://[::]/token",
            "ftp://localhost/token",
            "ws://localhost/token",
            "file:///etc/passwd",
            "data:text/plain,x",
        ] {
            assert!(matches!(check(address), Err(AddressError::Insecure { .. })), "{address}");
        }
    }

    #[test]
    fn what_is_no_address_is_refused() {
        for address in ["", "token", "/token", "//host/token", "https://", "http://[::1/token", "https://a b/"] {
            assert_eq!(check(address), Err(AddressError::Unreadable), "{address}");
        }
    }

    #[test]
    fn t9_an_address_with_something_unseen_in_it_is_refused() {
        for unseen in
            ["\0", "\t", "\n", "\r\n", " ", "\u{1b}[2J", "\u{7f}", "\u{a0}", "\u{200b}", "\u{202e}", "\u{feff}"]
        {
            for address in [
                format!("https://login.exam{unseen}ple.com/token"),
                format!("https://login.example.com/to{unseen}ken"),
                format!("{unseen}https://login.example.com/token"),
                format!("https://login.example.com/token{unseen}"),
            ] {
                assert_eq!(check(&address), Err(AddressError::Unreadable), "{address:?}");
                assert_eq!(check_resource(&address), Err(AddressError::Unreadable), "{address:?}");
            }
        }
        assert!(check("https://b\u{fc}cher.example/\u{4e66}").is_ok());
    }

    #[test]
    fn n02_credentials_in_an_address_are_refused_and_not_shown() {
        let error = check("https://client:CANARY@login.example.com/token?code=CANARY#CANARY").unwrap_err();
        assert!(matches!(error, AddressError::Credentials { .. }));
        assert_eq!(error.code(), Code::InsecureAddress);
        let text = format!("{error} {error:?}");
        assert!(text.contains("https://login.example.com/token"), "{text}");
        assert!(!text.contains("CANARY") && !text.contains("client"), "{text}");
    }

    #[test]
    fn n41_a_resource_is_an_absolute_address_without_fragment() {
        assert!(check_resource("https://api.example.com/v1?x=1").is_ok());
        assert!(check_resource("urn:example:api").is_ok());
        assert!(check_resource("/v1").is_err());
        assert!(check_resource("https://api.example.com/#top").is_err());
    }

    #[test]
    fn shown_addresses_are_short_and_move_no_cursor() {
        let nasty = format!("https://x.example/\u{1b}[2J\r\n\u{202e}{}", "a".repeat(5_000));
        let text = shown(&nasty);
        assert!(text.chars().all(|c| !c.is_control() && c != '\u{202e}'), "{text}");
        assert!(text.chars().count() < 300);
    }
}
