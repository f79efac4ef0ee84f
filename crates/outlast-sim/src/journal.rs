//! The journals of tasks on the machine's disk. An entry is there whole or not at all, one runner at a time
//! holds a task, and nothing of an earlier epoch is taken.

use crate::defect::Defect;
use crate::disk::Disk;
use crate::ledger::Ledger;
use crate::log::Log;
use crate::process::{Moment, Process};
use crate::random::Random;
use outlast::task::{Claim, Entry, Event, Journal, JournalError, Output, Place, StepKey, StepState, TaskId, TaskView};
use outlast::{BoxFuture, StoreError, Timestamp};
use outlast_core::store::Fence;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

/// One journal.
#[derive(Debug, Default)]
struct Kept {
    /// Which task of that name it is: one may be deleted, and made anew.
    number: u64,
    view: TaskView,
    /// What the disk said it refused and has all the same, and by which claim: that one writes over it, and
    /// another, which takes the task up, writes behind it.
    refused: Option<(u64, Vec<Entry>)>,
    /// Which claim holds it, and in which life of which process.
    holder: Option<(u64, usize, u64)>,
}

/// All journals of the machine.
#[derive(Debug)]
pub(crate) struct Journals {
    log: Arc<Log>,
    disk: Arc<Disk>,
    ledger: Arc<Ledger>,
    random: Random,
    defect: Option<Defect>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    tasks: BTreeMap<TaskId, Kept>,
    made: u64,
    claims: u64,
}

impl Journals {
    pub(crate) fn new(
        log: &Arc<Log>,
        disk: &Arc<Disk>,
        ledger: &Arc<Ledger>,
        seed: u64,
        defect: Option<Defect>,
    ) -> Self {
        let (log, disk, ledger) = (Arc::clone(log), Arc::clone(disk), Arc::clone(ledger));
        Self { log, disk, ledger, random: Random::of(seed, "journals"), defect, state: Mutex::default() }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The kernel releases what a dead process held.
    pub(crate) fn release_all(&self, process: &Process) {
        for kept in self.lock().tasks.values_mut() {
            let held = kept.holder.is_some_and(|(_, slot, life)| (slot, life) == (process.slot, process.incarnation));
            kept.holder = kept.holder.filter(|_| !held);
        }
    }

    /// A cleaner of old files removes the lock of some task under its runner; says whether there was one.
    pub(crate) fn clean_lock(&self) -> bool {
        let mut state = self.lock();
        let Some(kept) = state.tasks.values_mut().find(|kept| kept.holder.is_some()) else { return false };
        kept.holder = None;
        true
    }

    /// Which task of that name there is now.
    pub(crate) fn number(&self, task: &TaskId) -> Option<u64> {
        self.lock().tasks.get(task).map(|kept| kept.number)
    }

    /// Takes the lock of a task, making the task if there is none; and its epoch at that moment.
    fn try_lock(self: &Arc<Self>, task: &TaskId, process: &Arc<Process>) -> Result<(Held, Fence), JournalError> {
        let mut state = self.lock();
        let state = &mut *state;
        state.claims += 1;
        let (made, claim) = (&mut state.made, state.claims);
        let kept = state.tasks.entry(task.clone()).or_insert_with(|| {
            *made += 1;
            Kept { number: *made, ..Kept::default() }
        });
        if kept.holder.is_some() {
            return Err(JournalError::Busy { task: task.clone(), runner: kept.view.runner.clone() });
        }
        kept.holder = Some((claim, process.slot, process.incarnation));
        let (journals, process) = (Arc::clone(self), Arc::clone(process));
        let fence = kept.view.fence();
        Ok((Held { journals, process, task: task.clone(), number: kept.number, claim }, fence))
    }

    /// Writes entries of an epoch: all of them, or nothing where another has begun since.
    fn apply(&self, held: &Held, fence: Fence, entries: &[Entry]) -> Result<TaskView, JournalError> {
        let mut state = self.lock();
        let kept = state.tasks.get_mut(&held.task).filter(|kept| self.is_current(kept, held, fence));
        let Some(kept) = kept else { return Err(JournalError::Fenced { task: held.task.clone() }) };
        let left = kept.refused.take().filter(|(claim, _)| *claim != held.claim).map(|(_, left)| left);
        for entry in left.iter().flatten().chain(entries) {
            self.ledger.durable(&held.task, kept.number, &entry.event);
            kept.view.apply(entry.clone());
        }
        Ok(kept.view.clone())
    }

    /// What a write leaves behind that fails and is on the disk.
    fn leave(&self, held: &Held, fence: Fence, entries: Vec<Entry>) {
        let mut state = self.lock();
        let kept = state.tasks.get_mut(&held.task).filter(|kept| self.is_current(kept, held, fence));
        if let Some(kept) = kept {
            kept.refused = Some((held.claim, entries));
        }
    }

    fn is_current(&self, kept: &Kept, held: &Held, fence: Fence) -> bool {
        let current = kept.number == held.number && kept.view.fence() == fence;
        current || self.defect == Some(Defect::FenceIgnored)
    }

    /// What a process with a defect makes of a journal.
    fn flawed(&self, view: TaskView) -> TaskView {
        if self.defect != Some(Defect::StartsForgotten) {
            return view;
        }
        let undone = |key: &StepKey| Event::Failed { key: key.clone(), reason: "forgotten".to_owned(), counts: false };
        let begun = view.steps().iter().filter(|step| matches!(step.state, StepState::Started { .. }));
        let begun: Vec<StepKey> = begun.map(|step| step.key.clone()).collect();
        let at = view.changed_at.unwrap_or_default();
        let mut view = view;
        begun.iter().for_each(|key| view.apply(Entry { at, event: undone(key) }));
        view
    }
}

/// The lock of a task, which a process holds.
#[derive(Debug)]
struct Held {
    journals: Arc<Journals>,
    process: Arc<Process>,
    task: TaskId,
    number: u64,
    claim: u64,
}

impl Held {
    /// Writes entries; the task as it is then.
    async fn write(&self, fence: Fence, entries: Vec<Entry>) -> Result<TaskView, JournalError> {
        let Self { journals, process, .. } = self;
        process.reach(Moment::BeforeCommit).await;
        journals.disk.turn().await;
        if let Some((refusal, applied)) = journals.disk.refusal() {
            if applied {
                journals.leave(self, fence, entries);
            }
            process.running().await;
            return Err(refusal.into());
        }
        if journals.random.chance(500) {
            process.reach(Moment::DuringCommit).await;
        }
        let view = journals.apply(self, fence, &entries)?;
        process.reach(Moment::DuringCommit).await;
        journals.disk.turn().await;
        process.reach(Moment::AfterCommit).await;
        Ok(view)
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        if let Some(kept) = self.journals.lock().tasks.get_mut(&self.task) {
            kept.holder = kept.holder.filter(|(claim, ..)| *claim != self.claim);
        }
    }
}

/// The right to write to one journal.
#[derive(Debug)]
struct Writer {
    held: Held,
    fence: Fence,
    view: RwLock<TaskView>,
    turn: tokio::sync::Mutex<()>,
}

impl Writer {
    async fn write(&self, entries: Vec<Entry>) -> Result<(), JournalError> {
        let _turn = self.turn.lock().await;
        let view = self.held.write(self.fence, entries).await?;
        *self.view.write().unwrap_or_else(PoisonError::into_inner) = view;
        Ok(())
    }
}

/// [`Writer`], so that what is being written outlives who waits for it.
struct ProcessClaim(Arc<Writer>);

/// The journals as one process sees them.
#[derive(Clone, Debug)]
pub(crate) struct ProcessJournal {
    pub(crate) journals: Arc<Journals>,
    pub(crate) process: Arc<Process>,
}

impl Journal for ProcessJournal {
    fn tasks(&self) -> BoxFuture<'_, Result<Vec<TaskId>, JournalError>> {
        Box::pin(async {
            self.process.running().await;
            Ok(self.journals.lock().tasks.keys().cloned().collect())
        })
    }

    fn claim<'a>(
        &'a self,
        task: &'a TaskId,
        runner: &'a str,
        now: Timestamp,
    ) -> BoxFuture<'a, Result<Arc<dyn Claim>, JournalError>> {
        Box::pin(async move {
            let (journals, process) = (&self.journals, &self.process);
            process.reach(Moment::AtLease).await;
            journals.disk.turn().await;
            process.running().await;
            let (held, before) = journals.try_lock(task, process)?;
            let opened = Entry { at: now, event: Event::Opened { runner: runner.to_owned() } };
            let view = journals.flawed(held.write(before, vec![opened]).await?);
            let (fence, turn) = (view.fence(), tokio::sync::Mutex::default());
            let claim = Writer { held, fence, view: RwLock::new(view), turn };
            journals.log.note(format_args!("process {}: runs {task}, epoch {}", process.slot, claim.fence.0));
            Ok(Arc::new(ProcessClaim(Arc::new(claim))) as Arc<dyn Claim>)
        })
    }

    fn read<'a>(&'a self, task: &'a TaskId) -> BoxFuture<'a, Result<Option<TaskView>, JournalError>> {
        Box::pin(async move {
            self.process.reach(Moment::AtLoad).await;
            self.journals.disk.turn().await;
            let state = self.journals.lock();
            let found = state.tasks.get(task).map(|kept| {
                let mut view = kept.view.clone();
                kept.refused.iter().flat_map(|(_, left)| left).for_each(|entry| view.apply(entry.clone()));
                view
            });
            Ok(found)
        })
    }

    fn is_claimed<'a>(&'a self, task: &'a TaskId) -> BoxFuture<'a, Result<bool, JournalError>> {
        Box::pin(async move {
            self.process.running().await;
            Ok(self.journals.lock().tasks.get(task).is_some_and(|kept| kept.holder.is_some()))
        })
    }

    fn output<'a>(&'a self, task: &'a TaskId, output: &'a Output) -> BoxFuture<'a, Result<Vec<u8>, JournalError>> {
        Box::pin(async move {
            self.process.running().await;
            match &output.place {
                Place::Here(bytes) => Ok(bytes.clone()),
                Place::Apart(_) | Place::At { .. } => Err(JournalError::Unknown { task: task.clone() }),
            }
        })
    }

    fn delete<'a>(&'a self, task: &'a TaskId) -> BoxFuture<'a, Result<(), JournalError>> {
        Box::pin(async move {
            self.process.reach(Moment::BeforeCommit).await;
            self.journals.disk.turn().await;
            if let Some((refusal, _)) = self.journals.disk.refusal() {
                return Err(refusal.into());
            }
            let mut state = self.journals.lock();
            let Some(kept) = state.tasks.get(task) else { return Err(JournalError::Unknown { task: task.clone() }) };
            if kept.holder.is_some() {
                return Err(JournalError::Busy { task: task.clone(), runner: kept.view.runner.clone() });
            }
            state.tasks.remove(task);
            Ok(())
        })
    }
}

impl Claim for ProcessClaim {
    fn fence(&self) -> Fence {
        self.0.fence
    }

    fn idempotency_key(&self, key: &StepKey) -> String {
        Ledger::name(&self.0.held.task, self.0.held.number, key)
    }

    fn view(&self) -> &RwLock<TaskView> {
        &self.0.view
    }

    fn append(&self, at: Timestamp, events: Vec<Event>) -> BoxFuture<'_, Result<(), JournalError>> {
        let writer = Arc::clone(&self.0);
        let entries = events.into_iter().map(|event| Entry { at, event }).collect();
        Box::pin(async move {
            // Whoever goes away cancels nothing.
            let written = tokio::spawn(async move { writer.write(entries).await });
            let gone = |_| StoreError::Unwritable { detail: "the world is over".to_owned() };
            written.await.map_err(gone)?
        })
    }
}
