//! Journals without a disk, for tests: the same promises, for as long as the process lives.

use super::spill::{OUTPUT_BYTES_MAX, sha256};
use outlast_core::journal::{Claim, Journal, JournalError};
use outlast_core::task::{Decision, Entry, Event, Output, Place, StepKey, TaskId, TaskView};
use outlast_core::{BoxFuture, Fence, Timestamp};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

/// Keeps journals in memory. Clones share them, as processes share a folder.
#[derive(Clone, Default)]
pub struct MemoryJournal(Arc<Shared>);

#[derive(Default)]
struct Shared {
    tasks: Mutex<BTreeMap<TaskId, Arc<Kept>>>,
    made: AtomicU64,
}

#[derive(Debug, Default)]
struct Kept {
    number: u64,
    view: RwLock<TaskView>,
    claimed: Mutex<bool>,
}

struct MemoryClaim {
    task: TaskId,
    fence: Fence,
    kept: Arc<Kept>,
}

impl MemoryJournal {
    /// None yet.
    pub fn new() -> Self {
        Self::default()
    }

    fn tasks(&self) -> MutexGuard<'_, BTreeMap<TaskId, Arc<Kept>>> {
        self.0.tasks.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn kept(&self, task: &TaskId) -> Option<Arc<Kept>> {
        self.tasks().get(task).cloned()
    }
}

impl Kept {
    fn claimed(&self) -> MutexGuard<'_, bool> {
        self.claimed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn view(&self) -> TaskView {
        self.view.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn apply(&self, fence: Fence, entries: Vec<Entry>) -> bool {
        let mut view = self.view.write().unwrap_or_else(PoisonError::into_inner);
        if view.fence() != fence {
            return false;
        }
        entries.into_iter().for_each(|entry| view.apply(entry));
        true
    }
}

impl Journal for MemoryJournal {
    fn tasks(&self) -> BoxFuture<'_, Result<Vec<TaskId>, JournalError>> {
        Box::pin(async { Ok(self.tasks().keys().cloned().collect()) })
    }

    fn claim<'a>(
        &'a self,
        task: &'a TaskId,
        runner: &'a str,
        now: Timestamp,
    ) -> BoxFuture<'a, Result<Arc<dyn Claim>, JournalError>> {
        Box::pin(async move {
            let number = self.0.made.fetch_add(1, Ordering::Relaxed);
            let made = || Arc::new(Kept { number, ..Kept::default() });
            let kept = Arc::clone(self.tasks().entry(task.clone()).or_insert_with(made));
            if std::mem::replace(&mut *kept.claimed(), true) {
                return Err(JournalError::Busy { task: task.clone(), runner: kept.view().runner });
            }
            let before = kept.view().fence();
            kept.apply(before, vec![Entry { at: now, event: Event::Opened { runner: runner.to_owned() } }]);
            let fence = kept.view().fence();
            Ok(Arc::new(MemoryClaim { task: task.clone(), fence, kept }) as Arc<dyn Claim>)
        })
    }

    fn read<'a>(&'a self, task: &'a TaskId) -> BoxFuture<'a, Result<Option<TaskView>, JournalError>> {
        Box::pin(async move { Ok(self.kept(task).map(|kept| kept.view())) })
    }

    fn is_claimed<'a>(&'a self, task: &'a TaskId) -> BoxFuture<'a, Result<bool, JournalError>> {
        Box::pin(async move { Ok(self.kept(task).is_some_and(|kept| *kept.claimed())) })
    }

    fn output<'a>(&'a self, task: &'a TaskId, output: &'a Output) -> BoxFuture<'a, Result<Vec<u8>, JournalError>> {
        Box::pin(async move {
            match &output.place {
                Place::Here(bytes) => Ok(bytes.clone()),
                Place::Apart(_) | Place::At { .. } => Err(JournalError::Unknown { task: task.clone() }),
            }
        })
    }

    fn delete<'a>(&'a self, task: &'a TaskId) -> BoxFuture<'a, Result<(), JournalError>> {
        Box::pin(async move {
            let mut tasks = self.tasks();
            let Some(kept) = tasks.get(task) else { return Err(JournalError::Unknown { task: task.clone() }) };
            if *kept.claimed() {
                return Err(JournalError::Busy { task: task.clone(), runner: kept.view().runner });
            }
            tasks.remove(task);
            Ok(())
        })
    }
}

impl Claim for MemoryClaim {
    fn fence(&self) -> Fence {
        self.fence
    }

    fn idempotency_key(&self, key: &StepKey) -> String {
        sha256(format!("{}\0{}\0{key}", self.task, self.kept.number).as_bytes()).to_string()[..32].to_owned()
    }

    fn view(&self) -> &RwLock<TaskView> {
        &self.kept.view
    }

    fn append(&self, at: Timestamp, events: Vec<Event>) -> BoxFuture<'_, Result<(), JournalError>> {
        Box::pin(async move {
            if let Some(length) = events.iter().map(output_length).max().filter(|length| *length > OUTPUT_BYTES_MAX) {
                return Err(JournalError::OutputTooLarge { length, most: OUTPUT_BYTES_MAX });
            }
            let entries = events.into_iter().map(|event| Entry { at, event }).collect();
            let written = self.kept.apply(self.fence, entries);
            if written { Ok(()) } else { Err(JournalError::Fenced { task: self.task.clone() }) }
        })
    }
}

impl Drop for MemoryClaim {
    fn drop(&mut self) {
        *self.kept.claimed() = false;
    }
}

fn output_length(event: &Event) -> u64 {
    match event {
        Event::Done { output, .. } | Event::Resolved { decision: Decision::Done(output), .. } => output.length,
        Event::Closed
        | Event::Failed { .. }
        | Event::Opened { .. }
        | Event::Parked { .. }
        | Event::Resolved { decision: Decision::Rerun, .. }
        | Event::Resumed { .. }
        | Event::Started { .. } => 0,
    }
}
