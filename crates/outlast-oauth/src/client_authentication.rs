//! How a client proves who it is at the token endpoint (RFC 6749 2.3): the one place that does so
//! for all grant types.

use crate::server_clock::TOLERATED;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use outlast_core::grant::ClientAuth;
use outlast_core::wire::{Assertion, AssertionPlace, Content, SigningKey, TokenRequest};
use outlast_core::{Provider, Secret, Terms};
use std::time::Duration;
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
    /// `private_key_jwt` (RFC 7523 2.2).
    PrivateKeyJwt,
    /// `self_signed_tls_client_auth` (RFC 8705 2.2).
    SelfSignedTls,
    /// `tls_client_auth` (RFC 8705 2.1).
    Tls,
}

impl ClientAuthMethod {
    /// Every method.
    pub const ALL: &'static [Self] =
        &[Self::Basic, Self::None, Self::Post, Self::PrivateKeyJwt, Self::SelfSignedTls, Self::Tls];

    /// The registered name, as configuration and metadata write it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Basic => "client_secret_basic",
            Self::None => "none",
            Self::Post => "client_secret_post",
            Self::PrivateKeyJwt => "private_key_jwt",
            Self::SelfSignedTls => "self_signed_tls_client_auth",
            Self::Tls => "tls_client_auth",
        }
    }

    /// The method of that registered name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|method| method.as_str() == name)
    }

    /// This method with what proves it: a secret, a private key or a certificate with its key;
    /// `none` has no use for it.
    pub fn with_secret(self, secret: Secret) -> ClientAuth {
        match self {
            Self::Basic => ClientAuth::Basic(secret),
            Self::None => ClientAuth::None,
            Self::Post => ClientAuth::Post(secret),
            Self::PrivateKeyJwt => {
                ClientAuth::PrivateKeyJwt(SigningKey { material: secret, algorithm: None, key_id: None })
            }
            Self::SelfSignedTls | Self::Tls => ClientAuth::TlsClient(secret),
        }
    }
}

/// What an assertion of the client is (RFC 7523 2.2).
const JWT_BEARER: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
/// How long such an assertion is good for: for one request, and for a clock that is somewhat off.
const ASSERTION_LIFE: Duration = Duration::from_secs(60);

/// Puts the client's authentication into a request. A client that is named in the Authorization
/// field is not named in the form as well: some servers take that for two methods at once, which
/// RFC 6749 2.3 forbids.
pub(crate) fn authenticate(terms: &Terms, provider: &Provider, request: &mut TokenRequest) {
    let client_id = ("client_id", Secret::new(terms.client_id.as_str()));
    let members = match &terms.client_auth {
        ClientAuth::Basic(secret) => {
            request.authorization = Some(basic(&terms.client_id, secret));
            return;
        }
        ClientAuth::None => vec![client_id],
        ClientAuth::Post(secret) => vec![client_id, ("client_secret", secret.clone())],
        ClientAuth::PrivateKeyJwt(key) => {
            request.assertions.push(assertion(&terms.client_id, provider, key.clone()));
            vec![client_id, ("client_assertion_type", Secret::new(JWT_BEARER))]
        }
        ClientAuth::TlsClient(certificate) => {
            request.certificate = Some(certificate.clone());
            vec![client_id]
        }
    };
    if let Content::Form(form) = &mut request.content {
        form.extend(members);
    }
}

/// What a client says of itself (RFC 7523 3). Its audience is the issuer, where that is known: the
/// address of an endpoint could be made to be another server's.
fn assertion(client_id: &str, provider: &Provider, key: SigningKey) -> Assertion {
    let audience = provider.issuer.as_deref().unwrap_or(&provider.token_endpoint);
    let claims = [("iss", client_id), ("sub", client_id), ("aud", audience)];
    Assertion {
        place: AssertionPlace::Form("client_assertion"),
        claims: claims.into_iter().map(|(name, value)| (name.to_owned(), value.into())).collect(),
        life: ASSERTION_LIFE,
        // A clock that is behind by as much as is not corrected must not find it in the future.
        backdated: TOLERATED,
        key,
    }
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
        assert_eq!(ClientAuthMethod::parse("client_secret_jwt"), None);
    }
}
