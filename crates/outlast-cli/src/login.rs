//! What `outlast login` needs besides the library's logins.

pub(crate) mod browser;
pub(crate) mod screen;
