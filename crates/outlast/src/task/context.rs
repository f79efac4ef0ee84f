//! What the work of a step is given.

use super::run::StepRun;
use crate::keeper::Keeper;
use crate::published::AccessToken;
use crate::token_error::TokenError;
use outlast_core::task::StepKey;
use outlast_core::{Ask, GrantId};

/// What the work of a step is given.
#[derive(Clone)]
pub struct StepContext {
    keeper: Keeper,
    key: StepKey,
    attempt: u32,
    idempotency_key: String,
}

impl StepContext {
    pub(super) fn of(run: &StepRun) -> Self {
        Self {
            keeper: run.task().0.keeper.clone(),
            key: run.key().clone(),
            attempt: run.attempt(),
            idempotency_key: run.idempotency_key(),
        }
    }

    /// The step's key.
    pub fn key(&self) -> &StepKey {
        &self.key
    }

    /// How often the step has been started, with this time.
    pub fn attempt(&self) -> u32 {
        self.attempt
    }

    /// To be sent in the field `Idempotency-Key`: the same in every attempt, whoever makes it.
    pub fn idempotency_key(&self) -> &str {
        &self.idempotency_key
    }

    /// An access token of a grant. Ask again for every request: a long step outlives a token, and one of a
    /// grant that was revoked is given out no more.
    pub async fn token(&self, grant: &GrantId) -> Result<AccessToken, TokenError> {
        self.keeper.access_token(grant, Ask::default()).await
    }
}
