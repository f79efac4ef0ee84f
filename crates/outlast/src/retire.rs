//! Puts the secret that a rotation replaced out of use, once its overlap has passed.

use crate::command;
use crate::keeper::{Entry, Keeper};
use crate::key_request;
use outlast_core::rotation::{begin_retirement, due_retirement, settle_retirement};
use outlast_core::strategy::Redemption;
use outlast_core::{Code, Grant, Lease, Provider, Renewing, Secret, StoreError};
use std::sync::Arc;

impl Keeper {
    /// The record after whatever retirement was due: noted on disk first, so that whoever comes after
    /// a crash does not run the command again at once.
    pub(crate) async fn retire(&self, entry: &Arc<Entry>, lease: &Lease, held: Grant) -> Result<Grant, StoreError> {
        let Some(due) = due_retirement(&held, self.now()) else { return Ok(held) };
        // Later, and by another process, where this one is about to end.
        let Some(_spent) = self.spending().begin() else { return Ok(held) };
        let retired = due.access.clone();
        let noted = begin_retirement(&held, self.now());
        self.parts().store.commit(lease, held.generation, &noted).await?;
        let outcome = self.put_out_of_use(entry, lease, &noted, &retired).await;
        if let Err(detail) = &outcome {
            tracing::warn!(grant = %noted.id, code = %Code::RotationFailed, %detail, "a replaced key is not retired");
        }
        let next = settle_retirement(&noted, outcome, self.now());
        self.parts().store.commit(lease, noted.generation, &next).await?;
        Ok(next)
    }
    /// Puts the replaced secret of a grant that is signed out of out of use now, whatever is left of its overlap: once
    /// the record is forgotten nobody knows it.
    pub(crate) async fn retire_last(&self, entry: &Entry, lease: &Lease, held: &Grant) -> Result<(), String> {
        match &held.retiring {
            Some(retiring) => self.put_out_of_use(entry, lease, held, &retiring.access).await,
            None => Ok(()),
        }
    }

    async fn put_out_of_use(&self, entry: &Entry, lease: &Lease, held: &Grant, retired: &Secret) -> Result<(), String> {
        let provider = Provider::default();
        let renewing =
            Renewing { grant: held, terms: &entry.terms, provider: &provider, subject_token: None, actor_token: None };
        match entry.grant_type.retirement(&renewing, retired) {
            Some(Redemption::Run { command, input }) => {
                command::run(&command, input.as_ref(), std::slice::from_ref(retired)).await.map(drop)
            }
            Some(Redemption::Ask { request, key }) => {
                key_request::retire(self.parts(), entry, lease, &request, &key).await
            }
            Some(Redemption::Known(_) | Redemption::Post(_) | Redemption::Sign(_)) | None => Ok(()),
        }
    }
}
