//! Waits until a parked grant is revived, in any process.

use crate::handle::GrantHandle;
use crate::published::AccessToken;
use crate::token_error::TokenError;
use outlast_core::{Advice, Ask};
use std::time::Duration;

/// How often the store is looked at for a login in another process.
const LOOK_EVERY: Duration = Duration::from_secs(1);

impl GrantHandle {
    /// As [`GrantHandle::access_token`], but while the grant cannot be served, waits up to `hold`
    /// for that to pass: for a person to sign in, here or in another process, or for a pause to
    /// end. Afterwards the last error.
    pub async fn access_token_within(&self, ask: Ask, hold: Duration) -> Result<AccessToken, TokenError> {
        let deadline = self.keeper().clock().now().plus(hold);
        loop {
            let left = self.keeper().clock().now().until(deadline);
            let error = match self.access_token_past_obstacles(ask, left).await {
                Err(error) if passes(&error) => error,
                settled => return settled,
            };
            let left = self.keeper().clock().now().until(deadline);
            if left.is_zero() {
                return Err(error);
            }
            self.changed(left.min(LOOK_EVERY)).await;
        }
    }
}

/// Whether an error can pass while somebody waits.
fn passes(error: &TokenError) -> bool {
    match error {
        // A mistake in the configuration does not.
        TokenError::CoolingDown { .. } => error.code().advice() != Advice::FixConfig,
        TokenError::AdoptNeeded { .. } | TokenError::NeedsUser { .. } | TokenError::TimedOut { .. } => true,
        TokenError::AuthorizationServerChanged { .. }
        | TokenError::Ending { .. }
        | TokenError::GrantUnknown { .. }
        | TokenError::Internal { .. }
        | TokenError::NotRevoked { .. }
        | TokenError::RejectedAfterRenewal { .. }
        | TokenError::SignedInSince { .. }
        | TokenError::Store(_) => false,
    }
}
