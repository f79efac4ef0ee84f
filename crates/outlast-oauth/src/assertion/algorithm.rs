//! The algorithms that JWTs are signed with: a list of what is allowed, and nothing beyond it
//! (RFC 8725 3.1).

use super::KeyError;

/// A JOSE signature algorithm (RFC 7518 3.1, RFC 8037 3.1). There is no `none` and no HMAC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Algorithm {
    /// Ed25519.
    EdDsa,
    /// ECDSA over P-256.
    Es256,
    /// RSA with PSS padding.
    Ps256,
    /// RSA with PKCS #1 v1.5 padding.
    Rs256,
}

impl Algorithm {
    /// Every algorithm.
    pub const ALL: &'static [Self] = &[Self::EdDsa, Self::Es256, Self::Ps256, Self::Rs256];

    /// Its registered name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::EdDsa => "EdDSA",
            Self::Es256 => "ES256",
            Self::Ps256 => "PS256",
            Self::Rs256 => "RS256",
        }
    }

    /// The algorithm of that name.
    ///
    /// # Errors
    /// For a name that is not on the list: `none`, HMAC and whatever else there may be.
    pub fn parse(name: &str) -> Result<Self, KeyError> {
        Self::ALL.iter().copied().find(|algorithm| algorithm.as_str() == name).ok_or(KeyError::Algorithm)
    }
}
