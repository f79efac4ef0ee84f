//! A step that runs, and how it ends.

use super::Task;
use super::error::TaskError;
use super::failure::Failure;
use super::park::{self, Woken};
use super::resume;
use super::seat::Running;
use super::settings::Change;
use super::step::{Recorded, Step};
use outlast_core::journal::{Claim, JournalError};
use outlast_core::task::{Effect, Event, Output, Place, StepKey};
use outlast_core::{Advice, Fence, Timestamp};
use std::sync::Arc;
use std::time::Duration;

/// How often, and how far apart, the end of a step is written again that the disk refused: its work is
/// done, and what it brought is in this process alone.
const WRITES_MAX: usize = 5;
const WRITE_AGAIN: Duration = Duration::from_millis(500);

/// What came of the wish to run a step.
pub enum Begun {
    /// It is done: this is what it brought, and nothing runs.
    Reuse(Recorded),
    /// Run it, and say how it ended.
    Run(StepRun),
}

/// What comes after a failure.
#[derive(Debug)]
pub enum Ended {
    /// It may be begun again, by itself; not before the pause has passed.
    Again {
        /// What the server asked for, where it did; the pause of the task's own is kept by [`Task::begin`].
        pause: Option<Duration>,
    },
    /// Trying again does not help, or nobody knows whether it may be tried.
    GivenUp(TaskError),
}

/// The right to run a step that has begun. Ended with [`StepRun::complete`] or [`StepRun::fail`]; one that
/// is dropped has an unknown outcome.
pub struct StepRun {
    task: Task,
    step: Step,
    claim: Arc<dyn Claim>,
    attempt: u32,
    /// The epoch it was begun in, which an earlier process may have had.
    fence: Fence,
    started_at: Timestamp,
    woken: Woken,
    running: Running,
}

impl StepRun {
    pub(super) fn new(
        task: Task,
        step: Step,
        claim: Arc<dyn Claim>,
        running: Running,
        attempt: u32,
        woken: Woken,
    ) -> Self {
        let (started_at, fence) = (task.now(), claim.fence());
        Self { task, step, claim, attempt, fence, started_at, woken, running }
    }

    /// Begun at another time and in another epoch than now.
    pub(super) fn begun(self, started_at: Timestamp, fence: Fence) -> Self {
        Self { started_at, fence, ..self }
    }

    /// The step's key.
    pub fn key(&self) -> &StepKey {
        &self.step.key
    }

    /// How often the step has been started, with this time.
    pub fn attempt(&self) -> u32 {
        self.attempt
    }

    /// When it began.
    pub fn started_at(&self) -> Timestamp {
        self.started_at
    }

    /// What names this step to a server that keeps requests from being carried out twice, in the field
    /// `Idempotency-Key`: the same in every attempt, whoever makes it.
    pub fn idempotency_key(&self) -> String {
        self.claim.idempotency_key(&self.step.key)
    }

    /// Names this run among all of the step, for whoever lets another process end it; see [`Task::take_up`].
    pub fn name(&self) -> String {
        resume::name(self.claim.as_ref(), &self.step.key, self.fence, self.attempt)
    }

    pub(super) fn task(&self) -> &Task {
        &self.task
    }

    /// It came to its end. Returns once its output survives a power cut; a caller that goes away cancels
    /// nothing. Where the disk refuses it for seconds, the error says so, and the step is told as ambiguous
    /// rather than as done.
    pub async fn complete(self, recorded: Recorded) -> Result<(), TaskError> {
        let task = self.task.clone();
        let written = tokio::spawn(self.record(recorded));
        written.await.unwrap_or(Err(TaskError::Closed { task: task.id().clone() }))
    }

    async fn record(self, recorded: Recorded) -> Result<(), TaskError> {
        let took = self.task.now().since(self.started_at);
        let length = recorded.bytes.len() as u64;
        let output = Output { exit: recorded.exit, length, place: Place::Here(recorded.bytes) };
        let key = self.step.key.clone();
        self.write(Event::Done { key: key.clone(), output, took }).await?;
        let Self { task, running, woken, .. } = self;
        drop((running, woken));
        task.report(Change::Done { key, took });
        Ok(())
    }

    /// It failed. Says whether it may be begun again by itself.
    pub async fn fail(self, failure: Failure) -> Result<Ended, TaskError> {
        let task = self.task.clone();
        let written = tokio::spawn(self.record_failure(failure));
        written.await.unwrap_or(Err(TaskError::Closed { task: task.id().clone() }))
    }

    async fn record_failure(self, failure: Failure) -> Result<Ended, TaskError> {
        let Failure { reason, advice, undone, pause, counts } = failure;
        let key = self.step.key.clone();
        // F85: what a dead credential spoilt is tried again after the login, however often that happens.
        let spoilt = park::in_need_of_a_person(&self.task, &self.step.grants).await;
        self.task.0.seat.spoil(&spoilt);
        let dead = !spoilt.is_empty();
        if !undone && self.step.effect == Effect::Once {
            let (task, since) = (self.task.clone(), self.started_at);
            drop(self);
            task.report(Change::Failed { key: key.clone(), reason });
            return Ok(Ended::GivenUp(TaskError::Ambiguous { task: task.id().clone(), key, since }));
        }
        self.write(Event::Failed { key: key.clone(), reason: reason.clone(), counts: counts && !dead }).await?;
        let Self { task, running, woken, .. } = self;
        drop((running, woken));
        task.report(Change::Failed { key: key.clone(), reason: reason.clone() });
        match advice {
            _ if dead => Ok(Ended::Again { pause }),
            Advice::Retry | Advice::Wait => Ok(Ended::Again { pause }),
            Advice::AskUser | Advice::Decide | Advice::FixConfig | Advice::ReportBug => {
                Ok(Ended::GivenUp(TaskError::Failed { key, reason, advice }))
            }
        }
    }

    async fn write(&self, event: Event) -> Result<(), JournalError> {
        let mut tried = 1;
        loop {
            match self.claim.append(self.task.now(), vec![event.clone()]).await {
                Err(JournalError::Store(cause)) if tried < WRITES_MAX => {
                    tracing::warn!(task = %self.task.id(), step = %self.step.key, code = %cause.code(), "not recorded yet");
                    self.task.0.keeper.clock().sleep(WRITE_AGAIN).await;
                    tried += 1;
                }
                written => return written,
            }
        }
    }
}

/// A step of which it is written that it began, and whose work has not been let run yet.
pub(super) struct Unbegun(Option<StepRun>);

impl Unbegun {
    pub(super) fn new(run: StepRun) -> Self {
        Self(Some(run))
    }

    pub(super) fn take(mut self) -> StepRun {
        self.0.take().expect("it is taken once")
    }
}

impl Drop for Unbegun {
    fn drop(&mut self) {
        let Some(run) = self.0.take() else { return };
        let reason = "whoever wanted it went away before it ran".to_owned();
        let event = Event::Failed { key: run.step.key.clone(), reason, counts: false };
        // Outside of a runtime nobody can be told; it is ambiguous then, which is safe.
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(async move { run.write(event).await });
        }
    }
}
