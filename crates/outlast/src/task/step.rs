//! A step that is to be run, and what one brought.

use super::error::TaskError;
use outlast_core::GrantId;
use outlast_core::task::{Digest, Effect, StepKey};
use serde::de::DeserializeOwned;
use std::time::Duration;

/// A step that is to be run.
#[derive(Clone, Debug)]
pub struct Step {
    pub(crate) key: StepKey,
    pub(crate) effect: Effect,
    pub(crate) input: Option<Digest>,
    pub(crate) grants: Vec<GrantId>,
    pub(crate) min_ttl: Option<Duration>,
}

impl Step {
    /// A step of that key, to be done once: when its outcome is not known, a person decides.
    pub fn once(key: impl AsRef<str>) -> Result<Self, TaskError> {
        let key = StepKey::parse(key.as_ref()).map_err(|reason| TaskError::Name { reason })?;
        Ok(Self::of(key))
    }

    pub(super) fn of(key: StepKey) -> Self {
        Self { key, effect: Effect::Once, input: None, grants: Vec::new(), min_ttl: None }
    }

    /// A step of that key that may be run twice: a request that only reads, or one that carries the step's
    /// idempotency key to a server which heeds it.
    pub fn idempotent(key: impl AsRef<str>) -> Result<Self, TaskError> {
        Ok(Self { effect: Effect::Idempotent, ..Self::once(key)? })
    }

    /// With the grants whose tokens it needs: it does not begin before all of them can be had.
    #[must_use]
    pub fn grants<'a>(mut self, grants: impl IntoIterator<Item = &'a GrantId>) -> Self {
        self.grants.extend(grants.into_iter().cloned());
        self
    }

    /// With what it is given. The same key with another input is refused: one of the two is a mistake.
    #[must_use]
    pub fn input(self, input: impl AsRef<[u8]>) -> Self {
        Self { input: Some(outlast_store::sha256(input.as_ref())), ..self }
    }

    /// With the life that its tokens should have left when it begins; where it is left out, as long as the
    /// longest step of the task ran so far.
    #[must_use]
    pub fn min_ttl(self, life: Duration) -> Self {
        Self { min_ttl: Some(life), ..self }
    }

    /// Its key.
    pub fn key(&self) -> &StepKey {
        &self.key
    }
}

/// What a step brought, now or in an earlier run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recorded {
    /// The exit code, where the step was a command.
    pub exit: Option<u8>,
    /// The bytes: JSON, where the step was run by [`Task::step`](super::Task::step).
    pub bytes: Vec<u8>,
}

impl Recorded {
    /// The bytes as a value of the type that the step has.
    pub fn read<T: DeserializeOwned>(&self, key: &StepKey) -> Result<T, TaskError> {
        serde_json::from_slice(&self.bytes)
            .map_err(|cause| TaskError::Output { key: key.clone(), reason: cause.to_string() })
    }
}
