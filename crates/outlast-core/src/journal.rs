//! The journal port: where a task's entries are kept, and the right to write more of them.

use crate::BoxFuture;
use crate::clock::Timestamp;
use crate::error::Code;
use crate::store::{Fence, StoreError};
use crate::task::{Event, Output, StepKey, TaskId, TaskView};
use std::fmt;
use std::sync::{Arc, RwLock};

/// What can go wrong with a journal.
#[derive(Debug)]
#[non_exhaustive]
pub enum JournalError {
    /// Another runner has the task.
    Busy {
        /// The task.
        task: TaskId,
        /// Which runner, if it said.
        runner: String,
    },
    /// Another runner has taken the task up since: nothing more of this one is written (F81).
    Fenced {
        /// The task.
        task: TaskId,
    },
    /// An output is larger than is kept (F84).
    OutputTooLarge {
        /// Its bytes.
        length: u64,
        /// The most that are kept.
        most: u64,
    },
    /// What keeps it cannot be read or written.
    Store(StoreError),
    /// Its journal was written by a newer version (F80).
    TooNew {
        /// The task.
        task: TaskId,
        /// The format of what was found.
        found: u8,
        /// The newest this version knows.
        known: u8,
    },
    /// There is no such task.
    Unknown {
        /// The task.
        task: TaskId,
    },
}

impl JournalError {
    /// Its code.
    pub fn code(&self) -> Code {
        match self {
            Self::Busy { .. } => Code::TaskBusy,
            Self::Fenced { .. } => Code::TaskFenced,
            Self::OutputTooLarge { .. } => Code::OutputTooLarge,
            Self::Store(cause) => cause.code(),
            Self::TooNew { .. } => Code::StoreTooNew,
            Self::Unknown { .. } => Code::TaskUnknown,
        }
    }
}

impl From<StoreError> for JournalError {
    fn from(cause: StoreError) -> Self {
        Self::Store(cause)
    }
}

impl fmt::Display for JournalError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Busy { task, runner } => write!(
                f,
                "task {task} is being run by {runner}; one runner at a time keeps its steps from running twice. Wait \
                 until it ends, or end it"
            ),
            Self::Fenced { task } => write!(
                f,
                "task {task} was taken up by another runner; this one writes nothing more and must stop. What it had \
                 recorded is kept"
            ),
            Self::OutputTooLarge { length, most } => write!(
                f,
                "the output has {length} bytes, at most {most} are recorded: have the step write to a file, and print \
                 the file's name"
            ),
            Self::Store(cause) => cause.fmt(f),
            Self::TooNew { task, found, known } => write!(
                f,
                "the journal of task {task} has format {found}, this version knows {known}: nothing was run and nothing \
                 changed. Use the newer outlast that wrote it"
            ),
            Self::Unknown { task } => write!(f, "there is no task {task}"),
        }
    }
}

impl std::error::Error for JournalError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Store(cause) => Some(cause),
            Self::Busy { .. }
            | Self::Fenced { .. }
            | Self::OutputTooLarge { .. }
            | Self::TooNew { .. }
            | Self::Unknown { .. } => None,
        }
    }
}

/// Keeps the journals of tasks.
pub trait Journal: Send + Sync {
    /// The names of all tasks that are kept.
    fn tasks(&self) -> BoxFuture<'_, Result<Vec<TaskId>, JournalError>>;
    /// Takes a task up, making it if there is none: writes that `runner` opened it, and gives the right
    /// to write more. One runner at a time, else [`JournalError::Busy`] at once; the death of its process
    /// gives the task back.
    fn claim<'a>(
        &'a self,
        task: &'a TaskId,
        runner: &'a str,
        now: Timestamp,
    ) -> BoxFuture<'a, Result<Arc<dyn Claim>, JournalError>>;
    /// The task as its journal tells it, whoever runs it; none if there is no such task.
    fn read<'a>(&'a self, task: &'a TaskId) -> BoxFuture<'a, Result<Option<TaskView>, JournalError>>;
    /// Whether a runner has the task at this moment. A parked one has given it back.
    fn is_claimed<'a>(&'a self, task: &'a TaskId) -> BoxFuture<'a, Result<bool, JournalError>>;
    /// The bytes of an output that the journal keeps, as its view tells it.
    fn output<'a>(&'a self, task: &'a TaskId, output: &'a Output) -> BoxFuture<'a, Result<Vec<u8>, JournalError>>;
    /// Removes the task with all its outputs. Refused while a runner has it.
    fn delete<'a>(&'a self, task: &'a TaskId) -> BoxFuture<'a, Result<(), JournalError>>;
}

/// The right to write to one task's journal. Dropping the last handle on it gives it back.
pub trait Claim: Send + Sync {
    /// The epoch of this claim.
    fn fence(&self) -> Fence;
    /// What names a step to a server that keeps requests from being carried out twice: the same for all
    /// attempts and runners, and another one once the task was deleted and made anew.
    fn idempotency_key(&self, key: &StepKey) -> String;
    /// The task as its journal tells it. An entry is in it as soon as it is durable, in the order of the
    /// journal, whether or not whoever wrote it still waits.
    fn view(&self) -> &RwLock<TaskView>;
    /// Writes entries, all of them or none; returns once they survive a power cut. An earlier claimant's are
    /// refused with [`JournalError::Fenced`], and nothing is changed. What comes while other entries are
    /// being written is written together, with one sync. A caller that goes away cancels nothing.
    fn append(&self, at: Timestamp, events: Vec<Event>) -> BoxFuture<'_, Result<(), JournalError>>;
}
