//! Speaks to authorization servers; cannot see a store or a file. Not an API boundary; use `outlast`.
//!
//! [`grant_type`] writes token requests without sending them, [`endpoint`] sends them.

pub mod address;
pub mod client_authentication;
pub mod endpoint;
mod exchange;
pub mod grant_type;
mod request;

pub use address::AddressError;
pub use client_authentication::ClientAuthMethod;
pub use endpoint::HttpTokenEndpoint;
pub use exchange::{BODY_BYTES_MAX, HEADER_BYTES_MAX, Limits};
