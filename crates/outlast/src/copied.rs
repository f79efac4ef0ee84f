//! A store that is a copy of another, or was put back to an earlier state (F15): what spends something is
//! not renewed from it until a person says that the grant is at home here.

use crate::handle::GrantHandle;
use crate::keeper::{Entry, Keeper, LEASE_PATIENCE};
use crate::token_error::TokenError;
use outlast_core::strategy::Rotation;
use outlast_core::{Copied, StoreError};
use std::sync::PoisonError;

impl Entry {
    /// Whether renewing it at two places harms it: the second finds the refresh token spent, or retires the
    /// key that the first goes by.
    fn is_spending(&self) -> bool {
        self.grant_type.strategy().rotation == Rotation::Possible || self.grant_type.overlap(&self.terms).is_some()
    }

    /// What was last found out about copies.
    pub(crate) fn copied(&self) -> Option<Copied> {
        *self.copied.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Why the grant must not be renewed here.
    pub(crate) fn adopt_needed(&self) -> Option<TokenError> {
        self.copied().map(|copied| TokenError::AdoptNeeded { grant: self.terms.id.clone(), copied })
    }
}

impl Keeper {
    /// Finds out whether a grant that spends something is at home here.
    pub(crate) async fn look_for_copies(&self, entry: &Entry) -> Result<(), StoreError> {
        let copied = if entry.is_spending() { self.parts().store.copied(&entry.terms.id).await? } else { None };
        *entry.copied.lock().unwrap_or_else(PoisonError::into_inner) = copied;
        Ok(())
    }
}

impl GrantHandle {
    /// Why the grant may be kept at another place as well, as of the last look at its record: it is then not
    /// renewed here until [`GrantHandle::adopt`]. Nothing for a grant whose renewal spends nothing.
    pub fn copied(&self) -> Option<Copied> {
        self.entry.copied()
    }

    /// The same as the error that an ask for a renewal gets.
    pub fn adopt_needed(&self) -> Option<TokenError> {
        self.entry.adopt_needed()
    }

    /// Makes the grant at home here. If the original, or another copy, still runs, whoever of the two refreshes
    /// second ends the grant for both: to be called when a person says so. Tells what was in the way.
    pub async fn adopt(&self) -> Result<Option<Copied>, TokenError> {
        let store = &self.keeper.parts().store;
        let lease = store.lease(self.id(), LEASE_PATIENCE).await?;
        self.keeper.look_for_copies(&self.entry).await?;
        let copied = self.copied();
        if copied.is_some() {
            store.adopt(&lease).await?;
            self.keeper.reload(&self.entry).await?;
        }
        Ok(copied)
    }
}
