//! The right to write to the journal of a task, which a parked task gives back while nothing of it runs.

use super::Task;
use super::error::TaskError;
use outlast_core::journal::{Claim, Journal, JournalError};
use outlast_core::task::{Event, StepKey, TaskView};
use outlast_core::{Fence, Generation, GrantId};
use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard};
use std::time::Duration;
use tokio::sync::Notify;

/// How often to look whether another runner has given the task back.
const LOOK_EVERY: Duration = Duration::from_millis(200);
/// How long to wait for whoever took a parked task up to look after it, at least.
const RETURN_PATIENCE: Duration = Duration::from_secs(10);

pub(crate) struct Seat {
    journal: Arc<dyn Journal>,
    state: Mutex<State>,
    /// So that the task is claimed once.
    claiming: tokio::sync::Mutex<()>,
    changed: Notify,
}

#[derive(Default)]
struct State {
    claim: Option<Arc<dyn Claim>>,
    running: HashSet<StepKey>,
    /// How many steps wait for a person.
    parked: usize,
    /// Which generation of a grant spoilt a step, though it looks good.
    spoilt: HashMap<GrantId, Generation>,
    /// Of which grants it is told that they need their owner.
    told: HashSet<GrantId>,
}

impl Seat {
    pub(crate) fn new(journal: Arc<dyn Journal>) -> Self {
        Self { journal, state: Mutex::default(), claiming: tokio::sync::Mutex::default(), changed: Notify::new() }
    }

    pub(crate) fn journal(&self) -> &Arc<dyn Journal> {
        &self.journal
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The task as it is known at this moment; nothing while the journal is given back.
    pub(crate) fn view<T>(&self, look: impl FnOnce(&TaskView) -> T) -> Option<T> {
        let claim = self.state().claim.clone()?;
        Some(look(&read(claim.view())))
    }

    /// Which generation of a grant will not do: a step was spoilt by it, and there is no other before somebody
    /// signs in.
    pub(crate) fn spoilt(&self, grant: &GrantId) -> Option<Generation> {
        self.state().spoilt.get(grant).copied()
    }

    /// Notes that a step was spoilt by these.
    pub(crate) fn spoil(&self, dead: &[(GrantId, Generation)]) {
        self.state().spoilt.extend(dead.iter().cloned());
    }

    /// Notes that it is told that a grant needs its owner; whether that is news, to this process.
    pub(crate) fn tell(&self, grant: &GrantId) -> bool {
        self.state().told.insert(grant.clone())
    }

    /// Notes that a grant can be used again; whether anybody was told that it could not.
    pub(crate) fn untell(&self, grant: &GrantId) -> bool {
        self.state().told.remove(grant)
    }

    pub(crate) fn is_running(&self, key: &StepKey) -> bool {
        self.state().running.contains(key)
    }

    /// Resolves once a step has ended, or the task was claimed again.
    pub(crate) fn changed(&self) -> tokio::sync::futures::Notified<'_> {
        self.changed.notified()
    }
}

/// A step that runs in this process, for as long as this lives.
pub(crate) struct Running {
    task: Task,
    key: StepKey,
}

impl Drop for Running {
    fn drop(&mut self) {
        let seat = &self.task.0.seat;
        let mut state = seat.state();
        state.running.remove(&self.key);
        let given_back = give_back_if_idle(&mut state);
        drop(state);
        drop(given_back);
        seat.changed.notify_waiters();
    }
}

/// A step that waits for a person, for as long as this lives.
pub(crate) struct Waiting(Task);

impl Drop for Waiting {
    fn drop(&mut self) {
        self.0.0.seat.state().parked -= 1;
    }
}

/// A parked task of which nothing runs is given back, so that it can be looked after from elsewhere.
fn give_back_if_idle(state: &mut State) -> Option<Arc<dyn Claim>> {
    if state.parked > 0 && state.running.is_empty() { state.claim.take() } else { None }
}

impl Task {
    /// The right to write, claimed again if it was given back.
    pub(crate) async fn claim(&self, patience: Duration) -> Result<Arc<dyn Claim>, TaskError> {
        let seat = &self.0.seat;
        if let Some(claim) = seat.state().claim.clone() {
            return Ok(claim);
        }
        let _turn = seat.claiming.lock().await;
        if let Some(claim) = seat.state().claim.clone() {
            return Ok(claim);
        }
        let runner = match self.0.settings.runner.as_str() {
            "" => format!("process {}", std::process::id()),
            runner => runner.to_owned(),
        };
        let deadline = self.now().plus(patience);
        loop {
            match seat.journal.claim(&self.0.id, &runner, self.now()).await {
                Ok(claim) => {
                    seat.state().claim = Some(Arc::clone(&claim));
                    seat.changed.notify_waiters();
                    return Ok(claim);
                }
                Err(JournalError::Busy { .. }) if self.now() < deadline => {
                    self.0.keeper.clock().sleep(LOOK_EVERY).await;
                }
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// The same, after others may have looked after a parked task.
    pub(crate) async fn claim_again(&self) -> Result<Arc<dyn Claim>, TaskError> {
        self.claim(self.0.settings.patience.max(RETURN_PATIENCE)).await
    }

    pub(crate) async fn append(&self, events: Vec<Event>) -> Result<(), TaskError> {
        let claim = self.claim_again().await?;
        Ok(claim.append(self.now(), events).await?)
    }

    /// Marks a step as running here, unless it is, or another epoch has begun than the one that was decided
    /// in.
    pub(crate) fn take(&self, decided: Fence, key: &StepKey) -> Option<(Arc<dyn Claim>, Running)> {
        let mut state = self.0.seat.state();
        let claim = state.claim.clone().filter(|claim| claim.fence() == decided)?;
        let taken = state.running.insert(key.clone());
        taken.then(|| (claim, Running { task: self.clone(), key: key.clone() }))
    }

    /// Begins to wait for a person.
    pub(crate) fn wait_for_a_person(&self) -> Waiting {
        let mut state = self.0.seat.state();
        state.parked += 1;
        let given_back = give_back_if_idle(&mut state);
        drop(state);
        drop(given_back);
        Waiting(self.clone())
    }
}

pub(crate) fn read(view: &RwLock<TaskView>) -> RwLockReadGuard<'_, TaskView> {
    view.read().unwrap_or_else(PoisonError::into_inner)
}
