//! Signs JWTs at the moment they are sent (RFC 7515, RFC 7519, RFC 7523): the one place that does
//! so, for client assertions, assertion grants, apps and proofs alike.

mod algorithm;
mod key;

pub use algorithm::Algorithm;
pub(crate) use key::PrivateKey;

use crate::exchange;
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use outlast_core::wire::{Assertion, SigningKey};
use outlast_core::{Secret, Timestamp, TokenRequest};
use serde_json::{Map, Value, json};
use std::fmt;

/// Bytes of randomness in a `jti`.
const JTI_BYTES: usize = 16;

/// Why a key does not sign. Holds nothing of the key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyError {
    /// The algorithm is none that JWTs are signed with here.
    Algorithm,
    /// It is no certificate with the key that belongs to it.
    Certificate,
    /// The key is locked with a passphrase.
    Encrypted,
    /// The algorithm is one for another kind of key.
    Mismatch {
        /// The algorithm that was asked for.
        configured: Algorithm,
        /// One that fits.
        fits: Algorithm,
    },
    /// It is the public part of a key, or a certificate.
    NotPrivate,
    /// The system gives no random numbers.
    Random,
    /// It is a whole service account file.
    ServiceAccount,
    /// It is no key in any form that is known.
    Unreadable,
    /// It is a key of a kind that is not used here.
    Unsupported,
}

impl fmt::Display for KeyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Algorithm => f.write_str(
                "the algorithm is none that is signed with here: remove `algorithm`, or set EdDSA, ES256, PS256 or \
                 RS256, as the key is",
            ),
            Self::Certificate => f.write_str(
                "this is no certificate with its private key: give both in PEM, the certificate's chain and the \
                 unlocked key that belongs to it",
            ),
            Self::Encrypted => f.write_str(
                "the private key is locked with a passphrase: write an unlocked copy, readable by its owner alone, \
                 with: openssl pkey -in KEY -out COPY",
            ),
            Self::Mismatch { configured, fits } => write!(
                f,
                "the private key does not sign with {}: remove `algorithm`, or set {}",
                configured.as_str(),
                fits.as_str()
            ),
            Self::NotPrivate => f.write_str(
                "this is a certificate or the public part of a key: name the private key that belongs to it",
            ),
            Self::Random => f.write_str("the system gave no random numbers: look at its log"),
            Self::ServiceAccount => f.write_str(
                "this is a whole service account file and not a key: set service_account to it in place of private_key",
            ),
            Self::Unreadable => {
                f.write_str("this is no private key that can be read: give PEM (PKCS #8, PKCS #1 or SEC 1), or a JWK")
            }
            Self::Unsupported => f.write_str(
                "the private key is of a kind that is not signed with here: use EC on P-256, Ed25519, or RSA of at \
                 least 2048 bits",
            ),
        }
    }
}

impl std::error::Error for KeyError {}

/// Signs `assertion` as of `now`, the present moment by the clock of whoever reads it. Each call
/// makes another JWT, with a `jti` of its own (RFC 7523 3).
pub fn sign(assertion: &Assertion, now: Timestamp) -> Result<Secret, KeyError> {
    let mut claims = assertion.claims.clone();
    claims.insert("iat".to_owned(), now.minus(assertion.backdated).as_secs().into());
    claims.insert("exp".to_owned(), now.plus(assertion.life).as_secs().into());
    claims.insert("jti".to_owned(), random_id()?.into());
    sign_jwt(&assertion.key, Map::from_iter([("typ".to_owned(), "JWT".into())]), &claims)
}

/// Signs `claims` as they are, under `header`, to which `alg` and `kid` are added.
pub fn sign_jwt(
    key: &SigningKey,
    mut header: Map<String, Value>,
    claims: &Map<String, Value>,
) -> Result<Secret, KeyError> {
    let (private, labels) = PrivateKey::read(&key.material)?;
    let algorithm = match key.algorithm.as_ref().or(labels.algorithm.as_ref()) {
        Some(name) => Algorithm::parse(name)?,
        None => private.usual_algorithm(),
    };
    header.insert("alg".to_owned(), algorithm.as_str().into());
    if let Some(key_id) = key.key_id.as_ref().or(labels.key_id.as_ref()) {
        header.insert("kid".to_owned(), key_id.as_str().into());
    }
    let mut token = URL_SAFE_NO_PAD.encode(json!(header).to_string());
    token.push('.');
    URL_SAFE_NO_PAD.encode_string(json!(claims).to_string(), &mut token);
    let signature = private.sign(algorithm, token.as_bytes())?;
    token.push('.');
    URL_SAFE_NO_PAD.encode_string(signature, &mut token);
    Ok(Secret::new(token))
}

/// Whether JWTs can be signed with this key, found out by signing one.
pub fn check(key: &SigningKey) -> Result<(), KeyError> {
    sign_jwt(key, Map::new(), &Map::new()).map(drop)
}

/// The fingerprint of the public half of an RSA key, as Snowflake writes it: `SHA256:` and the hash
/// of its DER form in base64.
pub(crate) fn fingerprint(key: &SigningKey) -> Result<String, KeyError> {
    let public = PrivateKey::read(&key.material)?.0.public_der()?;
    let hash = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &public);
    Ok(format!("SHA256:{}", STANDARD.encode(hash)))
}

/// Whether connections can be made with this certificate and key (RFC 8705 2).
pub fn check_certificate(certificate: &Secret) -> Result<(), KeyError> {
    if exchange::can_identify(certificate) { Ok(()) } else { Err(KeyError::Certificate) }
}

/// A certificate with the key that belongs to it, where that came from a source of its own.
pub fn certificate_with_key(certificate: &Secret, key: Option<&Secret>) -> Secret {
    key.map_or_else(|| certificate.clone(), |key| Secret::new([certificate.expose(), "\n", key.expose()].concat()))
}

/// Whether everything that `request` is signed and sent with can be used.
pub fn check_request(request: &TokenRequest) -> Result<(), KeyError> {
    request.assertions.iter().try_for_each(|assertion| check(&assertion.key))?;
    request.certificate.as_ref().map_or(Ok(()), check_certificate)
}

/// A name that nobody else has, and nobody can guess.
pub(crate) fn random_id() -> Result<String, KeyError> {
    let mut bytes = [0; JTI_BYTES];
    getrandom::fill(&mut bytes).map_err(|_| KeyError::Random)?;
    Ok(URL_SAFE_NO_PAD.encode(bytes))
}
