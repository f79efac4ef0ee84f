//! What must not be cut off: a token that is being spent, until what replaces it is on disk.

use crate::keeper::Keeper;
use tokio::sync::watch;

/// Counts what is under way, and lets nothing more begin once it is closed.
#[derive(Debug)]
pub(crate) struct Spending(watch::Sender<State>);

#[derive(Debug, Default)]
struct State {
    under_way: usize,
    closed: bool,
}

/// Something is being spent for as long as this lives.
#[derive(Debug)]
pub(crate) struct Spent<'a>(&'a Spending);

impl Default for Spending {
    fn default() -> Self {
        Self(watch::Sender::new(State::default()))
    }
}

impl Spending {
    /// Begins, unless nothing may be begun any more.
    pub(crate) fn begin(&self) -> Option<Spent<'_>> {
        let begun = self.0.send_if_modified(|state| {
            state.under_way += usize::from(!state.closed);
            !state.closed
        });
        // Not `then_some`: one that was made and dropped would count down.
        begun.then(|| Spent(self))
    }
}

impl Drop for Spent<'_> {
    fn drop(&mut self) {
        self.0.0.send_modify(|state| state.under_way -= 1);
    }
}

impl Keeper {
    /// Begins nothing from now on that spends a token, in this process; what is under way goes on. For
    /// a process that is about to end: whatever it began and did not finish would be lost (F77).
    pub fn close(&self) {
        self.spending().0.send_modify(|state| state.closed = true);
    }

    /// Waits until nothing is under way that spends a token. After [`Keeper::close`] the process may
    /// then end; a request takes at most 20 s.
    pub async fn settled(&self) {
        // An error would say that the keeper is gone, which is held here.
        let _ = self.spending().0.subscribe().wait_for(|state| state.under_way == 0).await;
    }
}
