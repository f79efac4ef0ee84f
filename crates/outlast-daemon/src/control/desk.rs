//! The tasks that this sidecar runs for its clients, and the steps of theirs that have begun.
//!
//! A task is claimed when somebody first wants a step of it, and given back when none of its steps has been
//! open for a while. A step whose client is gone is let go: nobody knows then how it ended, and it keeps
//! nobody waiting. Its run keeps its name, though: a client that was only slow, or whose sidecar was started
//! anew, may still say how it ended, as long as nobody has begun the step since.

use super::problem::Problem;
use crate::server::Connection;
use http::StatusCode;
use outlast::task::{JournalError, StepKey, StepRun, Task, TaskError, TaskId, TaskSettings};
use outlast::{Clock, Code, GrantId, Keeper, Timestamp};
use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::{Notify, watch};

/// How long a task is held of which no step is open.
const IDLE_MAX: Duration = Duration::from_secs(10);
/// How often to look for steps whose clients are gone, and for idle tasks, while there are any.
const LOOK_EVERY: Duration = Duration::from_millis(200);
/// Tasks that are held at once.
const TASKS_MAX: usize = 1024;
/// Steps of one task that are open at once.
const STEPS_MAX: usize = 1024;

/// Which tasks are reached at a sidecar.
#[derive(Clone, Default)]
pub enum TaskReach {
    /// Every task: for its owner's own programs.
    #[default]
    All,
    /// None.
    Nothing,
    /// This one, which whoever started the sidecar holds open.
    Only(Task),
}

impl fmt::Debug for TaskReach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All => f.write_str("All"),
            Self::Nothing => f.write_str("Nothing"),
            Self::Only(task) => write!(f, "Only({})", task.id()),
        }
    }
}

/// The tasks of a sidecar.
pub(crate) struct Desk {
    clock: Arc<dyn Clock>,
    keeper: Keeper,
    reach: TaskReach,
    held: Mutex<HashMap<TaskId, Arc<Held>>>,
    /// So that a task is opened once.
    opening: tokio::sync::Mutex<()>,
    filled: Notify,
    stopped: watch::Receiver<bool>,
}

struct Held {
    task: Task,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    open: HashMap<StepKey, OpenStep>,
    /// Why the last run of a step was let go, for those that ask why it is ambiguous.
    let_go: HashMap<StepKey, &'static str>,
    /// Requests that are at it.
    users: usize,
    idle_since: Timestamp,
}

/// A step that a client runs.
pub(super) struct OpenStep {
    pub(super) run: StepRun,
    pub(super) patience: Option<Duration>,
    pub(super) heard_at: Timestamp,
    pub(super) owner: Option<Connection>,
    pub(super) grants: Vec<GrantId>,
}

impl OpenStep {
    /// Why it is let go; nothing while its client is there.
    fn lapsed(&self, now: Timestamp) -> Option<&'static str> {
        if self.owner.as_ref().is_some_and(Connection::has_ended) {
            return Some("the connection of the client that ran it has ended");
        }
        let silent = self.patience.is_some_and(|patience| self.heard_at.plus(patience) < now);
        silent.then_some("the client that ran it was silent for longer than its patience")
    }
}

impl Desk {
    /// A desk, and the look-out for clients that are gone. Needs a runtime.
    pub(crate) fn start(keeper: &Keeper, reach: TaskReach, stopped: watch::Receiver<bool>) -> Arc<Self> {
        let clock = Arc::clone(keeper.clock());
        let kept = match &reach {
            TaskReach::Only(task) => HashMap::from([(task.id().clone(), Held::new(task.clone(), clock.now()))]),
            TaskReach::All | TaskReach::Nothing => HashMap::new(),
        };
        let desk = Arc::new(Self {
            clock,
            keeper: keeper.clone(),
            reach,
            held: Mutex::new(kept),
            opening: tokio::sync::Mutex::default(),
            filled: Notify::new(),
            stopped,
        });
        desk.filled.notify_one();
        tokio::spawn(Arc::clone(&desk).look_out());
        desk
    }

    pub(super) fn reach(&self) -> &TaskReach {
        &self.reach
    }

    /// Waits for something until the sidecar stops.
    pub(super) async fn while_running<T>(&self, work: impl Future<Output = T>) -> Result<T, Problem> {
        let mut stopped = self.stopped.clone();
        tokio::select! {
            biased;
            done = work => Ok(done),
            _ = stopped.wait_for(|stopped| *stopped) => {
                let detail = "the sidecar stops; ask again when it runs. Nothing is lost";
                Err(Problem::of(StatusCode::SERVICE_UNAVAILABLE, Code::DaemonUnreachable, detail))
            }
        }
    }

    /// Opens a task, making it if there is none, unless it is held already. Waits for another process that
    /// has it until `deadline`.
    pub(super) async fn open(&self, id: &TaskId, deadline: Timestamp) -> Result<InUse<'_>, Problem> {
        loop {
            match self.open_now(id).await? {
                Ok(used) => return Ok(used),
                Err(TaskError::Journal(JournalError::Busy { .. })) if self.clock.now() < deadline => {
                    self.while_running(self.clock.sleep(LOOK_EVERY)).await?;
                }
                Err(error) => return Err(Problem::task(&error, self.clock.now())),
            }
        }
    }

    async fn open_now(&self, id: &TaskId) -> Result<Result<InUse<'_>, TaskError>, Problem> {
        if let Some(used) = self.held(id) {
            return Ok(Ok(used));
        }
        let _turn = self.opening.lock().await;
        if let Some(used) = self.held(id) {
            return Ok(Ok(used));
        }
        if self.lock().len() >= TASKS_MAX {
            let detail = format!("this sidecar runs {TASKS_MAX} tasks already; wait until one of them ends");
            return Err(Problem::of(StatusCode::SERVICE_UNAVAILABLE, Code::TaskBusy, detail));
        }
        let settings = TaskSettings { runner: format!("sidecar {}", std::process::id()), ..TaskSettings::default() };
        let task = match Task::open_with(&self.keeper, id, settings).await {
            Ok(task) => task,
            Err(error) => return Ok(Err(error)),
        };
        let held = Held::new(task, self.clock.now());
        let used = self.using(&held);
        self.lock().insert(id.clone(), held);
        self.filled.notify_one();
        Ok(Ok(used))
    }

    /// The task, if it is held at this moment.
    pub(super) fn held(&self, id: &TaskId) -> Option<InUse<'_>> {
        let held = self.lock();
        let found = held.get(id)?;
        Some(self.using(found))
    }

    /// Gives a task back, so that others may have it; false while somebody is at it.
    pub(super) fn give_back(&self, id: &TaskId) -> bool {
        let mut held = self.lock();
        let Some(found) = held.get(id) else { return true };
        let free = !self.is_kept(id) && found.state().is_free();
        let given_back = if free { held.remove(id) } else { None };
        drop(held);
        drop(given_back);
        free
    }

    /// What names a step that runs here to servers that keep requests from being carried out twice.
    pub(crate) fn idempotency_key(&self, task: &TaskId, key: &StepKey) -> Option<String> {
        let used = self.held(task)?;
        let state = used.held.state();
        state.open.get(key).map(|step| step.run.idempotency_key())
    }

    /// The one task that is reached here, where there is but one.
    pub(crate) fn only(&self) -> Option<&TaskId> {
        match &self.reach {
            TaskReach::Only(task) => Some(task.id()),
            TaskReach::All | TaskReach::Nothing => None,
        }
    }

    fn using(&self, held: &Arc<Held>) -> InUse<'_> {
        held.state().users += 1;
        InUse { clock: self.clock.as_ref(), held: Arc::clone(held) }
    }

    fn is_kept(&self, id: &TaskId) -> bool {
        self.only() == Some(id)
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<TaskId, Arc<Held>>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn look_out(self: Arc<Self>) {
        let mut stopped = self.stopped.clone();
        loop {
            let look = async {
                if self.lock().is_empty() {
                    self.filled.notified().await;
                }
                self.clock.sleep(LOOK_EVERY).await;
            };
            tokio::select! {
                () = look => self.tidy(),
                // Whoever could say so is gone: that is the same.
                _ = stopped.wait_for(|stopped| *stopped) => return,
            }
        }
    }

    fn tidy(&self) {
        let now = self.clock.now();
        let all: Vec<Arc<Held>> = self.lock().values().cloned().collect();
        for held in all {
            held.let_go_lapsed(now);
            let idle = {
                let state = held.state();
                state.is_free() && state.idle_since.plus(IDLE_MAX) <= now
            };
            if idle {
                self.give_back(held.task.id());
            }
        }
    }
}

impl Held {
    fn new(task: Task, now: Timestamp) -> Arc<Self> {
        Arc::new(Self { task, state: Mutex::new(State { idle_since: now, ..State::default() }) })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn let_go_lapsed(&self, now: Timestamp) {
        let mut state = self.state();
        let lapsed = state.open.iter().filter_map(|(key, step)| Some((key.clone(), step.lapsed(now)?)));
        let mut gone = Vec::new();
        for (key, why) in lapsed.collect::<Vec<_>>() {
            tracing::warn!(task = %self.task.id(), step = %key, why, "step let go; how it ended is not known");
            gone.extend(state.open.remove(&key));
            if state.let_go.len() < STEPS_MAX {
                state.let_go.insert(key, why);
            }
        }
        if !gone.is_empty() {
            state.idle_since = now;
        }
        drop(state);
        // Outside of the lock: whoever waits for one of them goes on.
        drop(gone);
    }
}

impl State {
    fn is_free(&self) -> bool {
        self.open.is_empty() && self.users == 0
    }
}

/// A task that a request is at: it is not given back meanwhile.
pub(super) struct InUse<'a> {
    clock: &'a dyn Clock,
    held: Arc<Held>,
}

impl InUse<'_> {
    pub(super) fn task(&self) -> &Task {
        &self.held.task
    }

    /// Keeps a step that a client begins to run.
    pub(super) fn keep(&self, key: &StepKey, step: OpenStep) {
        let mut state = self.held.state();
        state.let_go.remove(key);
        state.open.insert(key.clone(), step);
    }

    /// Refuses another step where too many are open, and lets go of those whose clients are gone.
    pub(super) fn make_room(&self) -> Result<(), Problem> {
        self.held.let_go_lapsed(self.clock.now());
        if self.held.state().open.len() < STEPS_MAX {
            return Ok(());
        }
        let detail = format!("{STEPS_MAX} steps of this task run at once already; wait until one of them ends");
        Err(Problem::of(StatusCode::SERVICE_UNAVAILABLE, Code::TaskBusy, detail))
    }

    pub(super) fn is_open(&self, key: &StepKey) -> bool {
        self.held.state().open.contains_key(key)
    }

    pub(super) fn has_open_steps(&self) -> bool {
        !self.held.state().open.is_empty()
    }

    /// Why the last run of a step was let go.
    pub(super) fn let_go_why(&self, key: &StepKey) -> Option<&'static str> {
        self.held.state().let_go.get(key).copied()
    }

    /// Takes the run of that name out, to end it.
    pub(super) fn take(&self, key: &StepKey, run: &str) -> Option<OpenStep> {
        let mut state = self.held.state();
        if state.open.get(key).is_some_and(|step| step.run.name() == run) { state.open.remove(key) } else { None }
    }
}

impl Drop for InUse<'_> {
    fn drop(&mut self) {
        let now = self.clock.now();
        let mut state = self.held.state();
        state.users -= 1;
        state.idle_since = now;
    }
}
