//! Tasks: work in steps, whose progress outlives a dead credential, a killed process and a reboot.
//!
//! A [`Task`] is opened under a name. Each of its steps has a key, is run once, and its output is on disk
//! before anybody sees it; whoever opens the task again, in another process or after a power cut, gets the
//! outputs of the steps that are done and runs the rest. The exact promise: a step marked
//! [`Effect::Idempotent`] is run at least once; one marked [`Effect::Once`] is never silently run twice:
//! where it began and nobody knows how it ended, [`TaskError::Ambiguous`] says so and a person decides
//! ([`Tasks::resolve`]). With [`StepContext::idempotency_key`] sent to a server that heeds it, a step takes
//! effect exactly once.
//!
//! ```no_run
//! # async fn fetch(_: &outlast::AccessToken, _: u32) -> Result<String, std::io::Error> { Ok(String::new()) }
//! # async fn example(keeper: outlast::Keeper) -> Result<(), Box<dyn std::error::Error>> {
//! use outlast::GrantId;
//! use outlast::task::{Effect, Task, TaskId};
//!
//! let notion = GrantId::parse("notion")?;
//! let task = Task::open(&keeper, &TaskId::parse("harvest")?).await?;
//! for page in 1..=100 {
//!     let text: String = task
//!         .step(&format!("page-{page}"), Effect::Idempotent, &[notion.clone()], |step| {
//!             let notion = notion.clone();
//!             async move { Ok(fetch(&step.token(&notion).await?, page).await?) }
//!         })
//!         .await?;
//!     println!("{text}");
//! }
//! task.close().await?;
//! # Ok(()) }
//! ```
//!
//! - [`Task::step`] is the short way; [`Task::run`] takes a [`Step`] with an input and more, [`Task::map`]
//!   many of them side by side.
//! - Where the work is not a function of this program, but a command or a client of the control socket:
//!   [`Task::begin`] answers with the record or with the right to run, a [`StepRun`], which is ended with
//!   [`StepRun::complete`] or [`StepRun::fail`].
//! - A step whose grant needs a person is not begun: the task *parks* between steps, gives the journal back
//!   so that others may look after it, and goes on by itself once somebody has signed in, in whatever
//!   process. [`TaskSettings::hold`] bounds that wait.
//! - [`Tasks`] lists, shows, resolves and deletes, without running anything.

mod again;
mod begin;
mod context;
mod error;
mod failure;
mod park;
mod resume;
mod run;
mod seat;
mod settings;
mod step;
mod tasks;

pub(crate) use park::WAKES_MAX;

pub use context::StepContext;
pub use error::TaskError;
pub use failure::Failure;
pub use outlast_core::journal::{Claim, Journal, JournalError};
pub use outlast_core::task::{
    ATTEMPTS_MAX, Block, Decision, Digest, Effect, Entry, Event, Next, Output, Parked, Place, Progress, Stand, StepKey,
    StepState, StepView, Summary, TaskId, TaskView, Wish, back_off, next,
};
pub use outlast_store::sha256;
pub use run::{Begun, Ended, StepRun};
pub use settings::{Change, Reporter, TaskSettings};
pub use step::{Recorded, Step};
pub use tasks::{Resolution, Tasks};

use crate::keeper::Keeper;
use futures_util::StreamExt;
use outlast_core::{GrantId, Timestamp};
use seat::Seat;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::sync::Arc;
use std::time::Duration;

/// A task that this process runs. Cheap to clone; dropping the last gives the task back. Needs a tokio
/// runtime.
#[derive(Clone)]
pub struct Task(pub(crate) Arc<Inner>);

pub(crate) struct Inner {
    pub(crate) keeper: Keeper,
    pub(crate) id: TaskId,
    pub(crate) settings: TaskSettings,
    pub(crate) seat: Seat,
}

impl Task {
    /// Opens a task of that name, making it if there is none. Fails at once with the code `task-busy` while
    /// another process runs it, and for a moment while work of this process that was aborted comes to its end:
    /// [`TaskSettings::patience`] waits for either.
    pub async fn open(keeper: &Keeper, id: &TaskId) -> Result<Self, TaskError> {
        Self::open_with(keeper, id, TaskSettings::default()).await
    }

    /// The same, with settings.
    pub async fn open_with(keeper: &Keeper, id: &TaskId, settings: TaskSettings) -> Result<Self, TaskError> {
        let task = Self(Arc::new(Inner {
            keeper: keeper.clone(),
            id: id.clone(),
            seat: Seat::new(Arc::clone(&keeper.parts().journal)),
            settings,
        }));
        task.claim(task.0.settings.patience).await?;
        Ok(task)
    }

    /// Its name.
    pub fn id(&self) -> &TaskId {
        &self.0.id
    }

    /// The keeper whose grants its steps use.
    pub fn keeper(&self) -> &Keeper {
        &self.0.keeper
    }

    /// How it stands, as this process sees it.
    pub async fn summary(&self) -> Result<Summary, TaskError> {
        let claim = self.claim(Duration::ZERO).await?;
        let view = seat::read(claim.view());
        Ok(Summary::of(self.id(), &view, true))
    }

    /// Runs a step, unless it is done: then gives back what it brought. `work` may be called again after a
    /// failure that trying again may mend ([`Failure`]), up to [`ATTEMPTS_MAX`] times.
    pub async fn step<T, W, F>(&self, key: &str, effect: Effect, grants: &[GrantId], work: W) -> Result<T, TaskError>
    where
        T: Serialize + DeserializeOwned,
        W: FnMut(StepContext) -> F,
        F: Future<Output = Result<T, Failure>>,
    {
        let step = Step::once(key)?.grants(grants);
        self.run(&Step { effect, ..step }, work).await
    }

    /// The same for a [`Step`].
    pub async fn run<T, W, F>(&self, step: &Step, mut work: W) -> Result<T, TaskError>
    where
        T: Serialize + DeserializeOwned,
        W: FnMut(StepContext) -> F,
        F: Future<Output = Result<T, Failure>>,
    {
        loop {
            let run = match self.begin(step).await? {
                Begun::Reuse(recorded) => return recorded.read(&step.key),
                Begun::Run(run) => run,
            };
            match work(StepContext::of(&run)).await {
                Ok(value) => {
                    let bytes = serde_json::to_vec(&value)
                        .map_err(|cause| TaskError::Output { key: step.key.clone(), reason: cause.to_string() })?;
                    run.complete(Recorded { exit: None, bytes }).await?;
                    return Ok(value);
                }
                Err(failure) => match run.fail(failure).await? {
                    Ended::Again { pause: None } => {}
                    Ended::Again { pause: Some(pause) } => self.0.keeper.clock().sleep(pause).await,
                    Ended::GivenUp(error) => return Err(error),
                },
            }
        }
    }

    /// Runs one step for each item, at most `concurrency` at a time. The results come in the order of the
    /// items; one that failed keeps no other from being run.
    pub async fn map<I, T, S, W, F>(
        &self,
        items: impl IntoIterator<Item = I>,
        concurrency: usize,
        step: S,
        work: W,
    ) -> Vec<Result<T, TaskError>>
    where
        I: Clone,
        T: Serialize + DeserializeOwned,
        S: Fn(&I) -> Result<Step, TaskError>,
        W: Fn(StepContext, I) -> F,
        F: Future<Output = Result<T, Failure>>,
    {
        let one = |item: I| {
            let (own, made, work) = (self.clone(), step(&item), &work);
            async move { own.run(&made?, |context| work(context, item.clone())).await }
        };
        let steps: Vec<_> = items.into_iter().map(one).collect();
        futures_util::stream::iter(steps).buffered(concurrency.max(1)).collect().await
    }

    /// Ends the task: it is told as closed, until it is opened again. What it recorded is kept.
    pub async fn close(self) -> Result<(), TaskError> {
        self.append(vec![Event::Closed]).await
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.0.keeper.now()
    }

    pub(crate) fn report(&self, change: Change) {
        let Some(reporter) = &self.0.settings.reporter else { return };
        let progress = self.0.seat.view(|view| view.progress).unwrap_or_default();
        reporter.0(&change, progress);
    }
}
