//! How a client proves who it is at the token endpoint (RFC 6749 2.3): the one place that does so
//! for all grant types.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use outlast_core::grant::ClientAuth;
use outlast_core::{Secret, Terms};
use url::form_urlencoded::byte_serialize;

/// A method of client authentication, without the secret it takes (OpenID Connect Core 9).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClientAuthMethod {
    /// `client_secret_basic`.
    Basic,
    /// `none`: a public client.
    None,
    /// `client_secret_post`.
    Post,
}

impl ClientAuthMethod {
    /// Every method.
    pub const ALL: &'static [Self] = &[Self::Basic, Self::None, Self::Post];

    /// The registered name, as configuration and metadata write it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Basic => "client_secret_basic",
            Self::None => "none",
            Self::Post => "client_secret_post",
        }
    }

    /// The method of that registered name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|method| method.as_str() == name)
    }

    /// This method with `secret`; `none` has no use for it.
    pub fn with_secret(self, secret: Secret) -> ClientAuth {
        match self {
            Self::Basic => ClientAuth::Basic(secret),
            Self::None => ClientAuth::None,
            Self::Post => ClientAuth::Post(secret),
        }
    }
}

/// Adds to `form` what the client's authentication puts there, and returns what goes into the
/// Authorization field. A client that is named in the field is not named in the form as well: some
/// servers take that for two methods at once, which RFC 6749 2.3 forbids.
pub(crate) fn authenticate(terms: &Terms, form: &mut Vec<(&'static str, Secret)>) -> Option<Secret> {
    let client_id = || ("client_id", Secret::new(terms.client_id.as_str()));
    match &terms.client_auth {
        ClientAuth::Basic(secret) => return Some(basic(&terms.client_id, secret)),
        ClientAuth::None => form.push(client_id()),
        ClientAuth::Post(secret) => form.extend([client_id(), ("client_secret", secret.clone())]),
    }
    None
}

/// Id and secret are form-encoded each, before they are joined (RFC 6749 2.3.1): a colon, `+` or
/// `%` in either would otherwise be read as something else.
fn basic(client_id: &str, secret: &Secret) -> Secret {
    let mut pair: String = byte_serialize(client_id.as_bytes()).collect();
    pair.push(':');
    pair.extend(byte_serialize(secret.expose().as_bytes()));
    let encoded = format!("Basic {}", STANDARD.encode(&pair));
    // Dropped as a Secret, so that this copy is wiped too.
    drop(Secret::new(pair));
    Secret::new(encoded)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn n02_basic_form_encodes_id_and_secret_before_joining_them() {
        let value = basic("odd:client+1", &Secret::new("s3cr+t/with=odd%25 &?:chars"));
        let encoded = value.expose().strip_prefix("Basic ").unwrap();
        let pair = String::from_utf8(STANDARD.decode(encoded).unwrap()).unwrap();
        assert_eq!(pair, "odd%3Aclient%2B1:s3cr%2Bt%2Fwith%3Dodd%2525+%26%3F%3Achars");
    }

    #[test]
    fn n02_basic_encodes_what_is_not_ascii_as_utf_8() {
        let value = basic("ü", &Secret::new(":%+ü"));
        let encoded = value.expose().strip_prefix("Basic ").unwrap();
        assert_eq!(STANDARD.decode(encoded).unwrap(), b"%C3%BC:%3A%25%2B%C3%BC");
    }

    #[test]
    fn methods_parse_back_from_their_registered_names() {
        for method in ClientAuthMethod::ALL {
            assert_eq!(ClientAuthMethod::parse(method.as_str()), Some(*method));
        }
        assert_eq!(ClientAuthMethod::parse("private_key_jwt"), None);
    }
}
