//! Private keys, in the forms they come in.

use super::{Algorithm, KeyError};
use aws_lc_rs::encoding::{AsDer, PublicKeyX509Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{KeyPair as RsaKeyPair, KeyPairComponents, PublicKeyComponents};
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair, RSA_PKCS1_SHA256, RSA_PSS_SHA256,
    RsaEncoding,
};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use outlast_core::Secret;
use rustls::pki_types::pem::{PemObject, SectionKind};
use serde_json::{Map, Value};
use zeroize::Zeroizing;

/// A private key that was read.
pub(crate) enum PrivateKey {
    Ec(EcdsaKeyPair),
    Ed(Ed25519KeyPair),
    Rsa(RsaKeyPair),
}

/// What a JWK says of its key besides the key (RFC 7517 4).
#[derive(Default)]
pub(crate) struct Labels {
    pub(super) algorithm: Option<String>,
    pub(super) key_id: Option<String>,
}

impl PrivateKey {
    /// Reads PEM (PKCS #8, PKCS #1 or SEC 1) or a JWK.
    pub(crate) fn read(material: &Secret) -> Result<(Self, Labels), KeyError> {
        let text = material.expose().trim_start_matches('\u{feff}').trim();
        if text.starts_with('{') {
            return of_jwk(text);
        }
        // In environment variables the ends of the lines are often written as two characters.
        let text = Zeroizing::new(text.replace("\\n", "\n"));
        Ok((of_pem(&text)?, Labels::default()))
    }

    /// Which algorithm the key is for, where nobody says.
    pub(super) fn usual_algorithm(&self) -> Algorithm {
        match self {
            Self::Ec(_) => Algorithm::Es256,
            Self::Ed(_) => Algorithm::EdDsa,
            Self::Rsa(_) => Algorithm::Rs256,
        }
    }

    /// The public half, as a SubjectPublicKeyInfo in DER; of RSA keys alone.
    pub(super) fn public_der(&self) -> Result<Vec<u8>, KeyError> {
        match self {
            Self::Rsa(key) => {
                let der: PublicKeyX509Der<'_> = key.public_key().as_der().map_err(|_| KeyError::Unsupported)?;
                Ok(der.as_ref().to_vec())
            }
            Self::Ec(_) | Self::Ed(_) => Err(KeyError::Unsupported),
        }
    }

    /// The signature of `message`; refused if the algorithm is not one for this key.
    pub(super) fn sign(&self, algorithm: Algorithm, message: &[u8]) -> Result<Vec<u8>, KeyError> {
        match (self, algorithm) {
            (Self::Ec(key), Algorithm::Es256) => {
                let signature = key.sign(&SystemRandom::new(), message).map_err(|_| KeyError::Unreadable)?;
                Ok(signature.as_ref().to_vec())
            }
            (Self::Ed(key), Algorithm::EdDsa) => Ok(key.sign(message).as_ref().to_vec()),
            (Self::Rsa(key), Algorithm::Ps256) => sign_rsa(key, &RSA_PSS_SHA256, message),
            (Self::Rsa(key), Algorithm::Rs256) => sign_rsa(key, &RSA_PKCS1_SHA256, message),
            (Self::Ec(_), Algorithm::EdDsa | Algorithm::Ps256 | Algorithm::Rs256)
            | (Self::Ed(_), Algorithm::Es256 | Algorithm::Ps256 | Algorithm::Rs256)
            | (Self::Rsa(_), Algorithm::EdDsa | Algorithm::Es256) => {
                Err(KeyError::Mismatch { configured: algorithm, fits: self.usual_algorithm() })
            }
        }
    }
}

fn sign_rsa(key: &RsaKeyPair, encoding: &'static dyn RsaEncoding, message: &[u8]) -> Result<Vec<u8>, KeyError> {
    let mut signature = vec![0; key.public_modulus_len()];
    key.sign(encoding, &SystemRandom::new(), message, &mut signature).map_err(|_| KeyError::Unreadable)?;
    Ok(signature)
}

fn of_pem(text: &str) -> Result<PrivateKey, KeyError> {
    if text.contains("-----BEGIN ENCRYPTED PRIVATE KEY-----") || text.contains("Proc-Type: 4,ENCRYPTED") {
        return Err(KeyError::Encrypted);
    }
    let mut seen_another = false;
    for section in <(SectionKind, Vec<u8>)>::pem_slice_iter(text.as_bytes()) {
        let (kind, content) = section.map_err(|_| KeyError::Unreadable)?;
        let content = Zeroizing::new(content);
        match kind {
            SectionKind::PrivateKey => return of_pkcs8(&content),
            SectionKind::RsaPrivateKey => {
                return RsaKeyPair::from_der(&content).map(PrivateKey::Rsa).map_err(|_| KeyError::Unsupported);
            }
            SectionKind::EcPrivateKey => {
                let key = EcdsaKeyPair::from_private_key_der(&ECDSA_P256_SHA256_FIXED_SIGNING, &content);
                return key.map(PrivateKey::Ec).map_err(|_| KeyError::Unsupported);
            }
            // Certificates and public keys may stand beside the private key.
            _ => seen_another = true,
        }
    }
    Err(if seen_another { KeyError::NotPrivate } else { KeyError::Unreadable })
}

fn of_pkcs8(content: &[u8]) -> Result<PrivateKey, KeyError> {
    if let Ok(key) = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, content) {
        return Ok(PrivateKey::Ec(key));
    }
    if let Ok(key) = Ed25519KeyPair::from_pkcs8(content) {
        return Ok(PrivateKey::Ed(key));
    }
    RsaKeyPair::from_pkcs8(content).map(PrivateKey::Rsa).map_err(|_| KeyError::Unsupported)
}

fn of_jwk(text: &str) -> Result<(PrivateKey, Labels), KeyError> {
    let members: Map<String, Value> = serde_json::from_str(text).map_err(|_| KeyError::Unreadable)?;
    let find = |name: &str| members.get(name).and_then(Value::as_str);
    let labels = Labels { algorithm: find("alg").map(str::to_owned), key_id: find("kid").map(str::to_owned) };
    if find("private_key").is_some() {
        return Err(KeyError::ServiceAccount);
    }
    if find("use").is_some_and(|purpose| purpose != "sig") {
        return Err(KeyError::Unsupported);
    }
    let private = |name: &str| find(name).ok_or(KeyError::NotPrivate).and_then(decoded);
    let public = |name: &str| find(name).ok_or(KeyError::Unreadable).and_then(decoded);
    let key = match (find("kty"), find("crv")) {
        (Some("oct"), _) => return Err(KeyError::Algorithm),
        (Some("EC"), Some("P-256")) => {
            let point = [&[4][..], &public("x")?, &public("y")?].concat();
            let scalar = private("d")?;
            EcdsaKeyPair::from_private_key_and_public_key(&ECDSA_P256_SHA256_FIXED_SIGNING, &scalar, &point)
                .map(PrivateKey::Ec)
        }
        (Some("OKP"), Some("Ed25519")) => {
            Ed25519KeyPair::from_seed_and_public_key(&private("d")?, &public("x")?).map(PrivateKey::Ed)
        }
        (Some("RSA"), _) => {
            let components = KeyPairComponents {
                public_key: PublicKeyComponents { n: public("n")?, e: public("e")? },
                d: private("d")?,
                p: private("p")?,
                q: private("q")?,
                dP: private("dp")?,
                dQ: private("dq")?,
                qInv: private("qi")?,
            };
            RsaKeyPair::from_components(&components).map(PrivateKey::Rsa)
        }
        (Some(_), _) => return Err(KeyError::Unsupported),
        (None, _) => return Err(KeyError::Unreadable),
    };
    Ok((key.map_err(|_| KeyError::Unsupported)?, labels))
}

fn decoded(value: &str) -> Result<Zeroizing<Vec<u8>>, KeyError> {
    URL_SAFE_NO_PAD.decode(value).map(Zeroizing::new).map_err(|_| KeyError::Unreadable)
}
