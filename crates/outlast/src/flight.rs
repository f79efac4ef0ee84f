//! One renewal per grant and process; no caller can cancel it.

use crate::sync::{AbortHandle, Mutex, MutexGuard, spawn};
use crate::token_error::TokenError;
use futures_util::FutureExt;
use futures_util::future::{BoxFuture, Shared};
use std::sync::PoisonError;

type Landing = Shared<BoxFuture<'static, Result<(), TokenError>>>;

struct Aloft {
    landing: Landing,
    task: AbortHandle,
}

/// The renewal that is aloft for a grant, if one is.
#[derive(Default)]
pub(crate) struct Flight(Mutex<Option<Aloft>>);

impl Flight {
    /// Whether a renewal is aloft.
    pub(crate) fn is_aloft(&self) -> bool {
        self.lock().as_ref().is_some_and(|aloft| !aloft.task.is_finished())
    }

    /// Waits for the renewal that is aloft, or launches `work` on a task of its own and waits for
    /// that. Whoever waits looks at the record again afterwards: the flight may have been
    /// launched for somebody else's ask.
    pub(crate) async fn join_or_launch<F, W>(&self, work: F) -> Result<(), TokenError>
    where
        F: FnOnce() -> W,
        W: Future<Output = Result<(), TokenError>> + Send + 'static,
    {
        let landing = {
            let mut aloft = self.lock();
            match aloft.as_ref().filter(|aloft| !aloft.task.is_finished()) {
                Some(aloft) => aloft.landing.clone(),
                None => launch(&mut aloft, work()),
            }
        };
        landing.await
    }

    fn lock(&self) -> MutexGuard<'_, Option<Aloft>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn launch(slot: &mut Option<Aloft>, work: impl Future<Output = Result<(), TokenError>> + Send + 'static) -> Landing {
    let joined = spawn(work);
    let task = joined.abort_handle();
    let landing = async move {
        joined.await.unwrap_or_else(|lost| {
            let detail = if lost.is_panic() { "a renewal panicked" } else { "the runtime is shutting down" };
            Err(TokenError::Internal { detail })
        })
    };
    let landing = landing.boxed().shared();
    *slot = Some(Aloft { landing: landing.clone(), task });
    landing
}
