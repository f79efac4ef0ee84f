//! A string that cannot be printed.

use std::fmt;
use std::sync::Arc;
use zeroize::Zeroizing;

/// A token, client secret or key. Has no `Display` and no serialisation, a blind `Debug`, and is
/// wiped from memory when its last holder lets go. Cloning shares the bytes.
#[derive(Clone)]
pub struct Secret(Arc<Zeroizing<String>>);

impl Secret {
    /// Takes the value over.
    pub fn new(value: impl Into<String>) -> Self {
        Self(Arc::new(Zeroizing::new(value.into())))
    }

    /// The value itself, for the few places that must write it: request forms, header setters,
    /// the sealed record and `outlast token`.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Whether there is nothing in it.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether both hold the same value, compared in time that depends on the length alone.
    pub fn matches(&self, other: &str) -> bool {
        let (a, b) = (self.0.as_bytes(), other.as_bytes());
        let difference = a.iter().zip(b).fold(0_u8, |sum, (x, y)| sum | (x ^ y));
        a.len() == b.len() && std::hint::black_box(difference) == 0
    }

    /// `text` without it, for a server may quote what it refuses. One of fewer than four bytes is left: it is in
    /// every other word.
    pub(crate) fn taken_out_of(&self, text: String) -> String {
        if self.0.len() < 4 || !text.contains(self.0.as_str()) {
            return text;
        }
        text.replace(self.0.as_str(), crate::classify::redaction::REDACTED)
    }

    /// Tells it from others; kept nowhere but inside the seal.
    pub fn fingerprint(&self) -> u64 {
        crate::freshness::hash(self.0.as_bytes())
    }
}

impl PartialEq for Secret {
    fn eq(&self, other: &Self) -> bool {
        self.matches(other.expose())
    }
}

impl Eq for Secret {}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_shows_nothing_of_the_value() {
        let secret = Secret::new("CANARY-5f1c");
        assert!(!format!("{secret:?} {:#?}", Some(&secret)).contains("CANARY"));
    }

    #[test]
    fn equality_compares_the_whole_value() {
        assert_eq!(Secret::new("abc"), Secret::new("abc"));
        assert_ne!(Secret::new("abc"), Secret::new("abd"));
        assert_ne!(Secret::new("abc"), Secret::new("abcd"));
        assert_ne!(Secret::new(""), Secret::new("a"));
    }
}
