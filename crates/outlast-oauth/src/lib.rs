//! Speaks to authorization servers; cannot see a store or a file. Not an API boundary; use `outlast`.
//!
//! [`grant_type`] writes token requests without sending them, [`endpoint`] sends them, [`metadata`]
//! finds out where to, and [`provider`] knows some servers by name.

pub mod account;
pub mod address;
pub mod assertion;
pub mod client_authentication;
pub mod client_document;
pub mod dpop;
pub mod endpoint;
mod exchange;
pub mod grant_type;
mod guarded_body;
pub mod introspection;
mod key_request;
pub mod login;
pub mod metadata;
pub mod moment;
pub mod provider;
mod reach;
pub mod registration;
mod request;
pub mod resource_metadata;
pub mod revocation;
mod server_clock;
mod tool_output;

pub use address::AddressError;
pub use client_authentication::ClientAuthMethod;
pub use endpoint::HttpTokenEndpoint;
pub use exchange::{BODY_BYTES_MAX, HEADER_BYTES_MAX, Limits};
pub use key_request::key_request;
pub use metadata::{DiscoveryError, Metadata, discover};
pub use provider::Preset;
