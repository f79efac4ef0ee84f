//! Why the work of a step did not succeed, and what that says of running it again.

use crate::token_error::TokenError;
use outlast_core::{Advice, Code};
use std::error::Error;
use std::time::Duration;

/// Why the work of a step failed. `?` makes one of any error: then nobody knows whether the step did
/// something, and one that is to be done once waits for a person. Work that knows better says so with
/// [`Failure::undone`].
#[derive(Debug)]
pub struct Failure {
    pub(crate) reason: String,
    pub(crate) advice: Advice,
    pub(crate) undone: bool,
    pub(crate) pause: Option<Duration>,
    pub(crate) counts: bool,
}

impl Failure {
    /// Failed, and the work vouches that it did nothing that must not be done again: a request that was
    /// never sent, or that the server refused before it did anything. `reason` is recorded; no secrets in it.
    pub fn undone(reason: impl Into<String>) -> Self {
        Self { reason: reason.into(), advice: Advice::Retry, undone: true, pause: None, counts: true }
    }

    /// Failed, and nobody knows whether it did something.
    pub fn unclear(reason: impl Into<String>) -> Self {
        Self { undone: false, ..Self::undone(reason) }
    }

    /// Why, as it is recorded.
    pub fn reason(&self) -> &str {
        &self.reason
    }

    /// What is to be done about it. The step is tried again by itself on [`Advice::Retry`] and
    /// [`Advice::Wait`] alone; text is never read for that.
    #[must_use]
    pub fn advice(self, advice: Advice) -> Self {
        Self { advice, ..self }
    }

    /// Not counted among the failures that a step may have: whoever asks for it keeps count by himself.
    #[must_use]
    pub fn uncounted(self) -> Self {
        Self { counts: false, ..self }
    }

    /// The advice of a code, as replies of the sidecar carry one.
    #[must_use]
    pub fn code(self, code: Code) -> Self {
        self.advice(code.advice())
    }

    /// Not to be tried again before this has passed, as a server asks with `Retry-After`.
    #[must_use]
    pub fn retry_after(self, pause: Duration) -> Self {
        Self { pause: Some(pause), ..self }
    }
}

/// An error of the work: what it did is not known. The advice is that of a [`TokenError`], else to retry.
impl<E: Error + 'static> From<E> for Failure {
    fn from(error: E) -> Self {
        let known = (&error as &dyn Error).downcast_ref::<TokenError>().map(|token| token.code().advice());
        Self::unclear(error.to_string()).advice(known.unwrap_or(Advice::Retry))
    }
}
