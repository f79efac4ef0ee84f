//! What makes two requests of a task the same one.

use http::Method;
use outlast::GrantId;
use outlast::task::{Effect, Step, StepKey, TaskError, sha256};

/// How much of a method and of a path a key shows, for the person who reads it.
const METHOD_CHARS_MAX: usize = 12;
const PATH_CHARS_MAX: usize = 40;
/// How many digits of the digest a key has: 128 bits.
const DIGEST_CHARS: usize = 32;

/// A request of a task, as it is found again: by grant, method, path with query, and body. Its fields are
/// not looked at, for clients put dates and random words there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Exchange {
    base: String,
    effect: Effect,
}

impl Exchange {
    /// The request for `target` of `grant`; `repeatable` tells that sending it twice does no harm.
    pub(crate) fn of(grant: &GrantId, method: &Method, target: &str, body: &[u8], repeatable: bool) -> Self {
        let body = sha256(body);
        let mut identity = b"outlast request\0".to_vec();
        for part in [grant.as_str().as_bytes(), method.as_str().as_bytes(), target.as_bytes(), &body.0] {
            // Their lengths keep two parts from being read as two others.
            identity.extend((part.len() as u64).to_le_bytes());
            identity.extend(part);
        }
        let digest = sha256(&identity).to_string();
        let digest = digest.get(..DIGEST_CHARS).unwrap_or(&digest);
        let path = target.split('?').next().unwrap_or_default().trim_matches('/');
        let (method, path) = (shown(method.as_str(), METHOD_CHARS_MAX), shown(path, PATH_CHARS_MAX));
        let effect = if repeatable { Effect::Idempotent } else { Effect::Once };
        Self { base: format!("http:{method}:{grant}:{path}:{digest}"), effect }
    }

    /// What all its occurrences have in common.
    pub(crate) fn base(&self) -> &str {
        &self.base
    }

    /// What sending it twice would do.
    pub(crate) fn effect(&self) -> Effect {
        self.effect
    }

    /// The key of its occurrence of that number, from one.
    pub(crate) fn key(&self, occurrence: u32) -> Result<StepKey, TaskError> {
        StepKey::parse(&format!("{}:{occurrence}", self.base)).map_err(|reason| TaskError::Name { reason })
    }

    /// The step that sends it.
    pub(crate) fn step(&self, occurrence: u32) -> Result<Step, TaskError> {
        let key = self.key(occurrence)?;
        match self.effect {
            Effect::Idempotent => Step::idempotent(key.as_str()),
            Effect::Once => Step::once(key.as_str()),
        }
    }
}

/// Whether a step is one that a request made.
pub(crate) fn is_exchange(key: &StepKey) -> bool {
    key.as_str().starts_with("http:")
}

/// What can stand in a key and on a command line as it is.
fn shown(text: &str, chars_max: usize) -> String {
    let plain = |c: char| match c {
        '/' => '.',
        c if c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.') => c,
        _ => '_',
    };
    text.chars().take(chars_max).map(plain).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(grant: &str, method: &str, target: &str, body: &str) -> Exchange {
        Exchange::of(&GrantId::parse(grant).unwrap(), &method.parse().unwrap(), target, body.as_bytes(), false)
    }

    #[test]
    fn a_request_is_the_same_one_by_grant_method_address_and_body_and_nothing_else() {
        let one = of("crm", "POST", "/v1/charges?a=1", "x");
        assert_eq!(one, of("crm", "POST", "/v1/charges?a=1", "x"));
        for other in [
            of("erp", "POST", "/v1/charges?a=1", "x"),
            of("crm", "PUT", "/v1/charges?a=1", "x"),
            of("crm", "POST", "/v1/charges?a=2", "x"),
            of("crm", "POST", "/v1/charges?a=1", "y"),
            of("crm", "POST", "/v1/charge?sa=1", "x"),
        ] {
            assert_ne!(one.base(), other.base());
        }
    }

    #[test]
    fn a_key_shows_a_person_which_request_it_is_and_is_a_key_whatever_the_request() {
        let key = of("crm", "POST", "/v1/charges?token=CANARY", "x").key(2).unwrap();
        assert!(key.as_str().starts_with("http:POST:crm:v1.charges:"), "{key}");
        assert!(key.as_str().ends_with(":2") && !key.as_str().contains("CANARY"), "{key}");
        assert!(is_exchange(&key));
        let long = of(&"g".repeat(64), &"M".repeat(99), &format!("/%2e/{}", "ä'$(x)\u{202e}".repeat(99)), "");
        let key = long.key(u32::MAX).unwrap();
        assert!(key.as_str().chars().all(|c| c.is_ascii_alphanumeric() || "-_.:".contains(c)), "{key}");
    }
}
