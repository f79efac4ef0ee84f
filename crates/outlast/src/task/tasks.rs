//! All tasks of a folder, looked at and looked after without running them.

use super::error::TaskError;
use super::step::Recorded;
use crate::keeper::Keeper;
use crate::system_clock::SystemClock;
use outlast_core::journal::{Journal, JournalError};
use outlast_core::task::{Decision, Event, Output, Place, StepKey, StepState, Summary, TaskId, TaskView};
use outlast_core::{Clock, StoreError};
use outlast_store::{KeySource, SqliteStore};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// All tasks of a folder of state.
#[derive(Clone)]
pub struct Tasks {
    journal: Arc<dyn Journal>,
    clock: Arc<dyn Clock>,
}

/// What a person decided of a step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Resolution {
    /// It was done; this is what it brought.
    Done(Recorded),
    /// It is to be run again.
    Rerun,
}

impl Resolution {
    pub(super) fn decision(self) -> Decision {
        match self {
            Self::Done(Recorded { exit, bytes }) => {
                Decision::Done(Output { exit, length: bytes.len() as u64, place: Place::Here(bytes) })
            }
            Self::Rerun => Decision::Rerun,
        }
    }
}

impl Keeper {
    /// The tasks that lie beside the grants of this keeper.
    pub fn tasks(&self) -> Tasks {
        Tasks { journal: Arc::clone(&self.parts().journal), clock: Arc::clone(self.clock()) }
    }
}

impl Tasks {
    /// The tasks of the state folder `home`, for commands that need no grant.
    pub fn in_folder(home: &Path, key: KeySource) -> Result<Self, StoreError> {
        let journal = SqliteStore::open(home, key)?.journal();
        Ok(Self { journal: Arc::new(journal), clock: Arc::new(SystemClock::of(home)) })
    }

    /// Their names.
    pub async fn names(&self) -> Result<Vec<TaskId>, TaskError> {
        Ok(self.journal.tasks().await?)
    }

    /// How each of them stands; one whose journal cannot be read hides no other.
    pub async fn list(&self) -> Result<Vec<(TaskId, Result<Summary, TaskError>)>, TaskError> {
        let mut found = Vec::new();
        for task in self.names().await? {
            let summary = self.show(&task).await.map(|(summary, _)| summary);
            found.push((task, summary));
        }
        Ok(found)
    }

    /// How one stands, and all its steps.
    pub async fn show(&self, task: &TaskId) -> Result<(Summary, TaskView), TaskError> {
        let claimed = self.journal.is_claimed(task).await?;
        let view = self.view(task).await?;
        Ok((Summary::of(task, &view, claimed), view))
    }

    /// What a step brought; nothing if it is not done.
    pub async fn output(&self, task: &TaskId, key: &StepKey) -> Result<Option<Recorded>, TaskError> {
        let view = self.view(task).await?;
        let step = view.step(key).ok_or_else(|| step_unknown(task, key))?;
        match &step.state {
            StepState::Done { output, .. } => {
                let bytes = self.journal.output(task, output).await?;
                Ok(Some(Recorded { exit: output.exit, bytes }))
            }
            StepState::Failed { .. } | StepState::Rerun | StepState::Started { .. } => Ok(None),
        }
    }

    /// Decides on a step that is ambiguous, or that failed too often. Refused while a runner has the task;
    /// a parked one has given it back. `by` says who decides, for the record.
    pub async fn resolve(
        &self,
        task: &TaskId,
        key: &StepKey,
        resolution: Resolution,
        by: &str,
    ) -> Result<(), TaskError> {
        check_open(&self.view(task).await?, task, key)?;
        let claim = self.journal.claim(task, by, self.clock.now()).await?;
        // Look again: what was read before the claim is a rumour.
        check_open(&super::seat::read(claim.view()), task, key)?;
        let decision = resolution.decision();
        Ok(claim.append(self.clock.now(), vec![Event::Resolved { key: key.clone(), decision }]).await?)
    }

    /// Removes a task with all it recorded. Refused while a runner has it.
    pub async fn delete(&self, task: &TaskId) -> Result<(), TaskError> {
        Ok(self.journal.delete(task).await?)
    }

    /// Removes the tasks that were closed longer ago than `kept`, and says which.
    pub async fn prune(&self, kept: Duration) -> Result<Vec<TaskId>, TaskError> {
        let mut removed = Vec::new();
        for task in self.names().await? {
            let Ok(view) = self.view(&task).await else { continue };
            if view.closed_at.is_none_or(|closed| closed.plus(kept) > self.clock.now()) {
                continue;
            }
            match self.delete(&task).await {
                Ok(()) => removed.push(task),
                // It was opened again, or removed, meanwhile.
                Err(TaskError::Journal(JournalError::Busy { .. } | JournalError::Unknown { .. })) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(removed)
    }

    async fn view(&self, task: &TaskId) -> Result<TaskView, TaskError> {
        let found = self.journal.read(task).await?;
        Ok(found.ok_or_else(|| JournalError::Unknown { task: task.clone() })?)
    }
}

/// Whether there is something to decide of a step.
pub(super) fn check_open(view: &TaskView, task: &TaskId, key: &StepKey) -> Result<(), TaskError> {
    let step = view.step(key).ok_or_else(|| step_unknown(task, key))?;
    match step.state {
        StepState::Done { .. } => Err(TaskError::NothingToResolve { task: task.clone(), key: key.clone() }),
        StepState::Failed { .. } | StepState::Rerun | StepState::Started { .. } => Ok(()),
    }
}

fn step_unknown(task: &TaskId, key: &StepKey) -> TaskError {
    TaskError::StepUnknown { task: task.clone(), key: key.clone() }
}
