//! FAST-FORWARD, for agents that know nothing of steps: each request of a task is a step of it, whose output
//! is the reply. When the agent is started again, what it asked before is answered from the journal, until it
//! asks something new.
//!
//! What is decided is decided in [`tape`], [`exchange`] and [`outcome`]; here it is done.

mod exchange;
mod outcome;
mod reply;
mod tape;

pub(crate) use exchange::Exchange;
pub(crate) use outcome::{Outcome, outcome};
pub(crate) use reply::Reply;

use http::Method;
use outlast::GrantId;
use outlast::task::{Effect, Failure, Recorded, StepKey, StepRun, StepState, Task, TaskError, TaskView};
use std::collections::{BTreeSet, HashSet};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tape::{Chosen, Tape};
use tokio::sync::Notify;

/// Largest body of a request that is recorded: all of it has to be known before it can be found again.
pub(crate) const REQUEST_BYTES_MAX: usize = 16 * 1024 * 1024;
/// Largest body of a reply that is recorded.
pub(crate) const REPLY_BYTES_MAX: usize = 16 * 1024 * 1024;
/// Most bytes of replies that are recorded for one task.
const TASK_BYTES_MAX: u64 = 1024 * 1024 * 1024;
/// Most requests that are recorded for one task.
const EXCHANGES_MAX: u64 = 100_000;
/// How long a request waits for the answer to the same one of an agent that has ended.
const WAIT_MAX: Duration = Duration::from_secs(120);

/// Records the requests of one task, and answers them from the record.
pub(crate) struct Recorder {
    task: Task,
    /// Grants whose requests may be sent twice, whatever their method.
    repeatable: BTreeSet<GrantId>,
    state: Mutex<State>,
    changed: Notify,
}

#[derive(Default)]
struct State {
    tape: Tape,
    /// The number of the agent's start in this process.
    start: u64,
    under_way: HashSet<StepKey>,
    unclear: Vec<Unclear>,
    exchanges: u64,
    bytes: u64,
    counts: RecordCounts,
}

/// How many requests of a task were answered from its record, and how many were sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RecordCounts {
    /// From the record.
    pub replayed: u64,
    /// By their upstream.
    pub sent: u64,
}

/// An answer that tells nothing of the work. Once the agent goes on to something else, it has taken it for
/// the outcome; where it asks again, or ends, it has not.
struct Unclear {
    exchange: Exchange,
    occurrence: u32,
    run: StepRun,
    recorded: Recorded,
}

/// What is done with a request.
pub(crate) enum Admitted {
    /// It is answered with this.
    Replay(Reply),
    /// It is sent, and recorded.
    Send(Place),
    /// It is sent, and nothing of it is recorded.
    Unrecorded,
}

/// Why a request is not answered.
#[derive(Debug)]
pub(crate) enum RecordError {
    /// There is more than is recorded, and what is not recorded could be done twice.
    Full,
    /// The answer to the same request of an agent that has ended is still coming in.
    StillAnswered,
    /// The task says why.
    Task(TaskError),
    /// The reply was recorded by a newer version.
    TooNew,
}

impl From<TaskError> for RecordError {
    fn from(cause: TaskError) -> Self {
        Self::Task(cause)
    }
}

/// An occurrence of a request that was taken; given back with this unless its answer is recorded.
pub(crate) struct Place {
    recorder: Arc<Recorder>,
    exchange: Exchange,
    occurrence: u32,
    key: StepKey,
    start: u64,
    is_kept: bool,
}

/// A request of which it is written that it is sent. Dropped, its outcome is unknown.
pub(crate) struct Sending {
    place: Place,
    run: StepRun,
}

impl Recorder {
    /// For a task that this process runs.
    pub(crate) async fn open(task: Task, repeatable: BTreeSet<GrantId>) -> Result<Self, TaskError> {
        let (exchanges, bytes) = task.look(recorded).await?;
        let state = Mutex::new(State { exchanges, bytes, ..State::default() });
        Ok(Self { task, repeatable, state, changed: Notify::new() })
    }

    /// The agent starts again: its requests are counted from the first.
    pub(crate) fn rewind(&self) {
        let mut state = self.state();
        state.tape = Tape::default();
        state.start += 1;
        // It was not told by going on that it had taken them for outcomes.
        let unclear = std::mem::take(&mut state.unclear);
        drop(state);
        drop(unclear);
    }

    /// What was answered so far.
    pub(crate) fn counts(&self) -> RecordCounts {
        self.state().counts
    }

    /// Waits until every answer that is coming in is recorded.
    pub(crate) async fn settled(&self) {
        loop {
            let changed = self.changed.notified();
            if self.state().under_way.is_empty() {
                return;
            }
            changed.await;
        }
    }

    /// Whether requests of that method with that grant may be sent twice.
    pub(crate) fn may_repeat(&self, grant: &GrantId, method: &Method) -> bool {
        method.is_safe() || self.repeatable.contains(grant)
    }

    /// Decides on a request that arrives.
    pub(crate) async fn admit(self: &Arc<Self>, exchange: &Exchange) -> Result<Admitted, RecordError> {
        self.take_for_outcomes(Some(exchange)).await;
        let waited = tokio::time::timeout(WAIT_MAX, self.choose(exchange)).await;
        let (start, chosen) = waited.map_err(|_| RecordError::StillAnswered)??;
        match chosen {
            Chosen::Ambiguous(key, since) => {
                Err(TaskError::Ambiguous { task: self.task.id().clone(), key, since }.into())
            }
            Chosen::Closed => Err(TaskError::Closed { task: self.task.id().clone() }.into()),
            Chosen::Replay(occurrence, output) => {
                let place = self.place(exchange, occurrence, start)?;
                let reply = Reply::decode(self.task.output(&output).await?).ok_or(RecordError::TooNew)?;
                place.keep();
                self.state().counts.replayed += 1;
                Ok(Admitted::Replay(reply))
            }
            Chosen::Send(occurrence) => {
                let place = self.place(exchange, occurrence, start)?;
                self.state().counts.sent += 1;
                self.within_bounds(place).await
            }
            Chosen::Wait => Err(RecordError::StillAnswered),
        }
    }

    async fn choose(&self, exchange: &Exchange) -> Result<(u64, Chosen), TaskError> {
        loop {
            let changed = self.changed.notified();
            let chosen = self.task.look(|view| self.choose_now(view, exchange)).await??;
            if chosen.1 != Chosen::Wait {
                return Ok(chosen);
            }
            changed.await;
        }
    }

    fn choose_now(&self, view: &TaskView, exchange: &Exchange) -> Result<(u64, Chosen), TaskError> {
        let mut state = self.state();
        let State { tape, start, under_way, .. } = &mut *state;
        let chosen = tape.choose(view, exchange, under_way)?;
        if let Chosen::Send(occurrence) = &chosen {
            under_way.insert(exchange.key(*occurrence)?);
        }
        Ok((*start, chosen))
    }

    fn place(self: &Arc<Self>, exchange: &Exchange, occurrence: u32, start: u64) -> Result<Place, TaskError> {
        let (recorder, key) = (Arc::clone(self), exchange.key(occurrence)?);
        Ok(Place { recorder, exchange: exchange.clone(), occurrence, key, start, is_kept: false })
    }

    async fn within_bounds(&self, place: Place) -> Result<Admitted, RecordError> {
        let is_new = self.task.look(|view| view.step(&place.key).is_none()).await?;
        if !is_new {
            return Ok(Admitted::Send(place));
        }
        if self.state().exchanges < EXCHANGES_MAX {
            self.state().exchanges += 1;
            return Ok(Admitted::Send(place));
        }
        match place.exchange.effect() {
            Effect::Idempotent => Ok(Admitted::Unrecorded),
            Effect::Once => Err(RecordError::Full),
        }
    }

    /// The agent has come to its end by itself, and well: it has taken for outcomes what it was answered.
    pub(crate) async fn ended_well(self: &Arc<Self>) {
        self.take_for_outcomes(None).await;
    }

    /// The agent goes on to something else than it was last answered nothing clear to: what it was answered
    /// is the outcome, for it. What it asks again comes to another end.
    async fn take_for_outcomes(self: &Arc<Self>, asked: Option<&Exchange>) {
        let is_over = |before: &Exchange| asked.is_none_or(|asked| asked.base() != before.base());
        let (start, unclear) = {
            let mut state = self.state();
            let State { tape, start, unclear, .. } = &mut *state;
            for Unclear { exchange: before, occurrence, .. } in unclear.iter() {
                if is_over(before) {
                    tape.take(before.base(), *occurrence);
                }
            }
            (*start, std::mem::take(unclear))
        };
        for Unclear { exchange: before, occurrence, run, recorded } in unclear {
            match self.place(&before, occurrence, start) {
                Ok(place) if is_over(&before) => Sending { place, run }.record(recorded).await,
                Ok(_) | Err(_) => {}
            }
        }
    }

    /// Makes room for a reply among those that are recorded; whether there is any.
    fn make_room(&self, length: u64) -> bool {
        let mut state = self.state();
        let fits = state.bytes.saturating_add(length) <= TASK_BYTES_MAX;
        if fits {
            state.bytes += length;
        }
        fits
    }

    /// A panic while it was held leaves nothing half-done behind.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How many requests of a task are recorded, and how many bytes of replies.
fn recorded(view: &TaskView) -> (u64, u64) {
    let exchanges = || view.steps().iter().filter(|step| exchange::is_exchange(&step.key));
    let length = |state: &StepState| match state {
        StepState::Done { output, .. } => output.length,
        StepState::Failed { .. } | StepState::Rerun | StepState::Started { .. } => 0,
    };
    (exchanges().count() as u64, exchanges().map(|step| length(&step.state)).sum())
}

impl Place {
    /// Writes that the request is sent; returns once that survives a power cut.
    pub(crate) async fn begin(self) -> Result<Sending, TaskError> {
        let step = self.exchange.step(self.occurrence)?;
        let run = self.recorder.task.begin_again(&step).await?;
        Ok(Sending { place: self, run })
    }

    fn keep(mut self) {
        self.is_kept = true;
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut state = self.recorder.state();
        state.under_way.remove(&self.key);
        if !self.is_kept && state.start == self.start {
            state.tape.give_back(self.exchange.base(), self.occurrence);
        }
        drop(state);
        self.recorder.changed.notify_waiters();
    }
}

impl Sending {
    /// What sending the request twice would do.
    pub(crate) fn effect(&self) -> Effect {
        self.place.exchange.effect()
    }

    /// This is the answer. Returns once it survives a power cut, or will not be kept.
    pub(crate) async fn answered(self, reply: &Reply, method: &Method) {
        match reply.encode(method) {
            Some(bytes) => self.record(Recorded { exit: None, bytes }).await,
            None => self.too_large("the reply cannot be written down").await,
        }
    }

    /// The work was not begun, or beginning it again does no harm.
    pub(crate) async fn refused(self, reason: String) {
        let Self { place, run } = self;
        if let Err(error) = run.fail(Failure::undone(reason).uncounted()).await {
            tracing::warn!(step = %place.key, code = %error.code(), "that a request was refused is not recorded");
        }
    }

    /// The answer tells nothing of the work.
    pub(crate) fn unclear(self, reply: &Reply, method: &Method) {
        let Self { place, run } = self;
        let Some(bytes) = reply.encode(method) else { return };
        let mut state = place.recorder.state();
        if place.start == state.start {
            let (exchange, occurrence) = (place.exchange.clone(), place.occurrence);
            state.unclear.push(Unclear { exchange, occurrence, run, recorded: Recorded { exit: None, bytes } });
        }
    }

    /// The reply is more than is recorded. What may be sent again is; the outcome of the rest is unknown.
    pub(crate) async fn too_large(self, reason: &str) {
        let key = &self.place.key;
        tracing::warn!(step = %key, reason, "a reply is not recorded");
        match self.effect() {
            Effect::Idempotent => self.refused(reason.to_owned()).await,
            Effect::Once => drop(self),
        }
    }

    async fn record(self, recorded: Recorded) {
        if !self.place.recorder.make_room(recorded.bytes.len() as u64) {
            return self.too_large("the task has recorded as much as is kept").await;
        }
        let Self { place, run } = self;
        match run.complete(recorded).await {
            Ok(()) => place.keep(),
            Err(error) => tracing::warn!(step = %place.key, code = %error.code(), "a reply is not recorded"),
        }
    }
}

impl fmt::Debug for Recorder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Recorder of task {}", self.task.id())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use http::{HeaderMap, StatusCode};
    use outlast::task::TaskId;

    async fn recorder() -> Arc<Recorder> {
        let keeper = outlast::Settings::in_memory().open().unwrap();
        let task = Task::open(&keeper, &TaskId::parse("harvest").unwrap()).await.unwrap();
        Arc::new(Recorder::open(task, BTreeSet::new()).await.unwrap())
    }

    fn request(method: &Method, path: &str) -> Exchange {
        Exchange::of(&GrantId::parse("crm").unwrap(), method, path, b"", method.is_safe())
    }

    fn reply() -> Reply {
        let (headers, trailers) = (HeaderMap::new(), HeaderMap::new());
        Reply { status: StatusCode::OK, headers, trailers, body: Bytes::from("ok") }
    }

    async fn send(recorder: &Arc<Recorder>, exchange: &Exchange) -> Sending {
        match recorder.admit(exchange).await.unwrap() {
            Admitted::Send(place) => place.begin().await.unwrap(),
            Admitted::Replay(_) | Admitted::Unrecorded => panic!("it is sent"),
        }
    }

    #[tokio::test]
    async fn one_request_past_the_most_is_not_recorded_or_not_sent() {
        let recorder = recorder().await;
        recorder.state().exchanges = EXCHANGES_MAX - 1;
        send(&recorder, &request(&Method::POST, "/last")).await.answered(&reply(), &Method::POST).await;
        let refused = recorder.admit(&request(&Method::POST, "/more")).await;
        assert!(matches!(refused, Err(RecordError::Full)));
        let passed = recorder.admit(&request(&Method::GET, "/more")).await;
        assert!(matches!(passed, Ok(Admitted::Unrecorded)));
        recorder.rewind();
        let known = recorder.admit(&request(&Method::POST, "/last")).await;
        assert!(matches!(known, Ok(Admitted::Replay(_))), "what is recorded stays so");
    }

    #[tokio::test]
    async fn one_byte_past_the_most_of_a_task_the_outcome_of_a_post_is_unknown_and_a_get_is_sent_again() {
        let recorder = recorder().await;
        let length = reply().encode(&Method::GET).unwrap().len() as u64;
        recorder.state().bytes = TASK_BYTES_MAX - length;
        send(&recorder, &request(&Method::GET, "/last")).await.answered(&reply(), &Method::GET).await;
        for method in [Method::GET, Method::POST] {
            send(&recorder, &request(&method, "/more")).await.answered(&reply(), &method).await;
        }
        recorder.rewind();
        let asked = recorder.admit(&request(&Method::GET, "/last")).await;
        assert!(matches!(asked, Ok(Admitted::Replay(_))));
        let asked = recorder.admit(&request(&Method::GET, "/more")).await;
        assert!(matches!(asked, Ok(Admitted::Send(_))));
        let asked = recorder.admit(&request(&Method::POST, "/more")).await;
        assert!(matches!(asked, Err(RecordError::Task(TaskError::Ambiguous { .. }))));
    }

    #[tokio::test]
    async fn what_a_task_has_recorded_is_counted_when_it_is_taken_up_again() {
        let before = recorder().await;
        send(&before, &request(&Method::POST, "/a")).await.answered(&reply(), &Method::POST).await;
        let again = Recorder::open(before.task.clone(), BTreeSet::new()).await.unwrap();
        let length = reply().encode(&Method::POST).unwrap().len() as u64;
        let state = again.state();
        assert_eq!((state.exchanges, state.bytes), (1, length));
    }
}
