//! What every implementation of a port must keep, whoever wrote it.

pub mod token_store;

pub use token_store::token_store;
