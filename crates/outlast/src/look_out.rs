//! What other processes did to a grant holds here within a second: a logout above all, after which nobody
//! is to be served (F85). Whoever serves a fresh token asks nobody; so somebody has to look in between.

use crate::keeper::{Entry, Keeper};
use outlast_core::GrantId;
use std::sync::Arc;
use std::time::Duration;

/// How often it is asked whether anything was written.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// Reads the records again that were changed, of the grants that are known here; for as long as it is polled,
/// or until the store says that it cannot tell.
pub(crate) async fn run(keeper: Keeper) {
    loop {
        keeper.clock().sleep(LOOK_EVERY).await;
        let known: Vec<&Arc<Entry>> = keeper.entries().filter(|entry| entry.published.load().is_some()).collect();
        let names: Vec<GrantId> = known.iter().map(|entry| entry.terms.id.clone()).collect();
        let changed = match keeper.parts().store.changed(&names).await {
            Ok(Some(changed)) => changed,
            Ok(None) => return,
            Err(error) => {
                tracing::debug!(%error, "it cannot be seen whether a record was changed");
                continue;
            }
        };
        for entry in known.into_iter().filter(|entry| changed.contains(&entry.terms.id)) {
            if let Err(error) = keeper.reload(entry).await {
                tracing::debug!(grant = %entry.terms.id, code = %error.code(), "the record cannot be looked at");
            }
        }
    }
}
