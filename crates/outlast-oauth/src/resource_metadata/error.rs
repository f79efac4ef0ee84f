//! Why nothing was found for a resource.

use crate::address::AddressError;
use crate::metadata::DiscoveryError;
use outlast_core::Code;
use std::fmt;

/// Why nothing was found for a resource. What servers sent is shortened and escaped in the text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ResourceError {
    /// The resource, or something it names, is an address that no secret may be sent to.
    Insecure(AddressError),
    /// Its metadata cannot be read.
    Invalid {
        /// What is wrong.
        detail: String,
    },
    /// The issuer that was asked for is none of those it names.
    IssuerNotListed {
        /// The issuer that was asked for, escaped.
        wanted: String,
        /// Those it names, escaped.
        listed: Vec<String>,
    },
    /// The metadata is that of another resource (RFC 9728 3.3: it must not be used).
    Mismatch {
        /// The resource that was asked for, escaped.
        asked: String,
        /// The resource the metadata names, escaped.
        found: String,
    },
    /// It publishes none.
    Missing {
        /// The resource, escaped.
        address: String,
    },
    /// A document names an address in a private network or on this machine, and comes from
    /// elsewhere itself.
    OutOfReach {
        /// What was named, escaped.
        address: String,
    },
    /// The authorization server it names has no metadata that may be used.
    Server(DiscoveryError),
    /// The resource cannot be reached, or is ill.
    Unreachable {
        /// What happened.
        detail: String,
    },
}

impl ResourceError {
    /// Its code.
    pub fn code(&self) -> Code {
        match self {
            Self::Insecure(_) | Self::OutOfReach { .. } => Code::InsecureAddress,
            Self::Invalid { .. } | Self::IssuerNotListed { .. } | Self::Mismatch { .. } | Self::Missing { .. } => {
                Code::MetadataInvalid
            }
            Self::Server(error) => error.code(),
            Self::Unreachable { .. } => Code::ServerUnreachable,
        }
    }
}

impl fmt::Display for ResourceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Insecure(error) => error.fmt(f),
            Self::Invalid { detail } => write!(f, "the resource's metadata cannot be used: {detail}"),
            Self::IssuerNotListed { wanted, listed } => write!(
                f,
                "the resource takes no tokens of the issuer \"{wanted}\"; it names {}",
                listed.iter().map(|issuer| format!("\"{issuer}\"")).collect::<Vec<_>>().join(", ")
            ),
            Self::Mismatch { asked, found } => {
                write!(f, "the metadata found for the resource \"{asked}\" is that of \"{found}\" and is not used")
            }
            Self::Missing { address } => write!(f, "the resource {address} publishes no metadata (RFC 9728)"),
            Self::OutOfReach { address } => DiscoveryError::OutOfReach { address: address.clone() }.fmt(f),
            Self::Server(error) => error.fmt(f),
            Self::Unreachable { detail } => {
                write!(f, "the resource's metadata cannot be fetched: {detail}; wait and try again")
            }
        }
    }
}

impl std::error::Error for ResourceError {}

impl From<AddressError> for ResourceError {
    fn from(error: AddressError) -> Self {
        match error {
            AddressError::Credentials { .. } | AddressError::Insecure { .. } => Self::Insecure(error),
            AddressError::Fragment { .. } | AddressError::Unreadable => Self::Invalid { detail: error.to_string() },
        }
    }
}

impl From<DiscoveryError> for ResourceError {
    fn from(error: DiscoveryError) -> Self {
        match error {
            DiscoveryError::Invalid { detail } => Self::Invalid { detail },
            DiscoveryError::Insecure(error) => Self::Insecure(error),
            DiscoveryError::OutOfReach { address } => Self::OutOfReach { address },
            DiscoveryError::Unreachable { detail } => Self::Unreachable { detail },
            DiscoveryError::IssuerMismatch { .. } => Self::Server(error),
        }
    }
}
