//! The journals of tasks: one sealed file each, to which frames are added and from which none is taken.

mod claim;
mod entry;
mod frame;
mod header;
#[cfg(any(test, fuzzing))]
pub(crate) mod hostile;
mod log;
mod memory;
mod new_key;
mod path;
mod spill;

pub use memory::MemoryJournal;
pub(crate) use new_key::{Journals, seal_alone, seal_beside};
pub use spill::sha256;

use crate::aside::aside;
use crate::holder;
use crate::home::Home;
use crate::lease;
use crate::note::Note;
use crate::queue::Queue;
use crate::reader::Reader;
use crate::vault::Vault;
use claim::FileClaim;
use log::Log;
use outlast_core::journal::{Claim, Journal, JournalError};
use outlast_core::task::{Entry, Event, Output, Place, TaskId, TaskView};
use outlast_core::{BoxFuture, StoreError, Timestamp};
use path::Paths;
use std::sync::Arc;

/// Keeps the journals of tasks in the folder of a store, sealed with its key. Several processes may use
/// it at the same time; one of them at a time runs a task.
#[derive(Clone)]
pub struct FileJournal {
    home: Home,
    vault: Arc<Vault>,
}

impl FileJournal {
    /// The journals beside a store. Touches nothing.
    pub(crate) fn new(home: Home, vault: Arc<Vault>) -> Self {
        Self { home, vault }
    }

    fn open(&self, paths: &Paths, write: bool) -> Result<Option<Log>, JournalError> {
        let store = self.vault.store();
        match Log::open(paths, &self.vault.key(), store, write) {
            // It may be sealed with a key that the store was given since (F26).
            Err(JournalError::Store(StoreError::Corrupt { .. })) => {
                let key = self.vault.unlock_again(&mut Reader::new(self.home.clone()))?;
                Log::open(paths, &key, store, write)
            }
            opened => opened,
        }
    }

    fn create(&self, paths: &Paths) -> Result<Log, JournalError> {
        let queue = Queue::open(&self.home)?;
        // While the turn is ours the key is not changed: a change that had looked for journals already would
        // leave this one behind under the old key.
        let Some(_turn) = queue.turn(&self.home)? else {
            return Err(holder::locked(&self.home).into());
        };
        let key = self.vault.unlock_again(&mut Reader::new(self.home.clone()))?;
        Log::create(paths, &key, self.vault.store())
    }

    fn paths(&self, task: &TaskId) -> Paths {
        Paths::new(&self.home, task)
    }

    fn claim_now(&self, task: &TaskId, runner: &str, now: Timestamp) -> Result<Arc<FileClaim>, JournalError> {
        let paths = self.paths(task);
        let note = Note::new(&self.home, &paths.lock_name());
        let Some(held) = lease::try_acquire(&self.home, &paths.lock())? else {
            let runner = note.peek().unwrap_or_default();
            let runner = if runner.is_empty() { "another process".to_owned() } else { runner };
            return Err(JournalError::Busy { task: task.clone(), runner });
        };
        let mut log = match self.open(&paths, true)? {
            Some(log) => log,
            None => self.create(&paths)?,
        };
        let mut view = TaskView::default();
        log.replay(|at, body| entry::decode(at, body, |entry| view.apply(entry)))?;
        // For people: who has it. Not worth failing for.
        let _best_effort = note.put(&runner.chars().take(100).collect::<String>());
        let opened = Entry { at: now, event: Event::Opened { runner: runner.to_owned() } };
        FileClaim::open(paths, log, view, held, opened)
    }

    fn read_now(&self, task: &TaskId) -> Result<Option<TaskView>, JournalError> {
        let Some(mut log) = self.open(&self.paths(task), false)? else { return Ok(None) };
        let mut view = TaskView::default();
        log.look(|at, body| entry::decode(at, body, |entry| view.apply(entry)))?;
        Ok(Some(view))
    }

    fn output_now(&self, task: &TaskId, output: &Output) -> Result<Vec<u8>, JournalError> {
        if let Place::Here(bytes) = &output.place {
            return Ok(bytes.clone());
        }
        let paths = self.paths(task);
        let unknown = || JournalError::Unknown { task: task.clone() };
        let log = self.open(&paths, false)?.ok_or_else(unknown)?;
        match output.place {
            Place::Apart(digest) => Ok(spill::read(&paths, log.key(), digest)?),
            Place::At { frame, entry } => entry::output(&log.body_at(frame)?, entry).ok_or_else(|| {
                let detail = format!("the journal of task {task} has no output at byte {frame}");
                StoreError::Corrupt { detail }.into()
            }),
            Place::Here(_) => Ok(Vec::new()),
        }
    }

    fn delete_now(&self, task: &TaskId) -> Result<(), JournalError> {
        let paths = self.paths(task);
        let busy = || JournalError::Busy { task: task.clone(), runner: "another process".to_owned() };
        let _held = lease::try_acquire(&self.home, &paths.lock())?.ok_or_else(busy)?;
        if !crate::home::check_file(&paths.journal())? {
            return Err(JournalError::Unknown { task: task.clone() });
        }
        paths.remove_journal()?;
        // A crash in between leaves sealed files without their key.
        Ok(paths.remove_outputs()?)
    }

    fn is_claimed_now(&self, task: &TaskId) -> Result<bool, JournalError> {
        let lock = self.paths(task).lock();
        Ok(crate::home::check_file(&lock)? && lease::try_acquire(&self.home, &lock)?.is_none())
    }
}

impl Journal for FileJournal {
    fn tasks(&self) -> BoxFuture<'_, Result<Vec<TaskId>, JournalError>> {
        let folder = self.home.tasks();
        Box::pin(async move { Ok(aside(move || path::tasks(&folder)).await?) })
    }

    fn claim<'a>(
        &'a self,
        task: &'a TaskId,
        runner: &'a str,
        now: Timestamp,
    ) -> BoxFuture<'a, Result<Arc<dyn Claim>, JournalError>> {
        let (own, task, runner) = (self.clone(), task.clone(), runner.to_owned());
        Box::pin(async move {
            let claim = aside(move || Ok(own.claim_now(&task, &runner, now))).await??;
            Ok(claim as Arc<dyn Claim>)
        })
    }

    fn read<'a>(&'a self, task: &'a TaskId) -> BoxFuture<'a, Result<Option<TaskView>, JournalError>> {
        let (own, task) = (self.clone(), task.clone());
        Box::pin(async move { aside(move || Ok(own.read_now(&task))).await? })
    }

    fn is_claimed<'a>(&'a self, task: &'a TaskId) -> BoxFuture<'a, Result<bool, JournalError>> {
        let (own, task) = (self.clone(), task.clone());
        Box::pin(async move { aside(move || Ok(own.is_claimed_now(&task))).await? })
    }

    fn output<'a>(&'a self, task: &'a TaskId, output: &'a Output) -> BoxFuture<'a, Result<Vec<u8>, JournalError>> {
        let (own, task, output) = (self.clone(), task.clone(), output.clone());
        Box::pin(async move { aside(move || Ok(own.output_now(&task, &output))).await? })
    }

    fn delete<'a>(&'a self, task: &'a TaskId) -> BoxFuture<'a, Result<(), JournalError>> {
        let (own, task) = (self.clone(), task.clone());
        Box::pin(async move { aside(move || Ok(own.delete_now(&task))).await? })
    }
}
