//! Runners of tasks: they work their way through the steps of one task after another, each step with a grant
//! and an effect that is counted, and a person decides what became of a step where nobody knows.

use crate::ledger::Ledger;
use crate::process::Process;
use crate::random::Random;
use crate::world::World;
use outlast::task::{
    Effect, Failure, JournalError, Recorded, Resolution, Step, StepContext, StepKey, Task, TaskError, TaskId,
    TaskSettings,
};
use outlast::{Clock, GrantId, Keeper};
use std::sync::Arc;
use std::time::Duration;

/// Tasks that the processes of a world have between them.
const TASKS: u64 = 2;
const STEPS: usize = 10;
/// How long a step waits for whatever keeps it from beginning.
const HOLD: Duration = Duration::from_secs(600);
/// What a token should have left when a step begins.
const LIFE_LEFT: Duration = Duration::from_secs(60);
const SECOND: Duration = Duration::from_secs(1);

/// The runner of one process.
pub(crate) struct Runner {
    pub(crate) world: Arc<World>,
    pub(crate) process: Arc<Process>,
    pub(crate) keeper: Keeper,
    random: Arc<Random>,
}

impl Runner {
    pub(crate) fn new(world: &Arc<World>, process: &Arc<Process>, keeper: &Keeper) -> Self {
        let name = format!("runner {}-{}", process.slot, process.incarnation);
        let random = Arc::new(Random::of(world.seed, &name));
        Self { world: Arc::clone(world), process: Arc::clone(process), keeper: keeper.clone(), random }
    }

    /// Works until its process dies.
    pub(crate) async fn work(self) {
        loop {
            self.process.sleep(self.random.between(5 * SECOND, 300 * SECOND)).await;
            let name = format!("task-{}", self.random.below(TASKS));
            let task = TaskId::parse(&name).expect("the name is plain");
            if let Err(error) = self.run(&task).await {
                self.world.log.note(format_args!("process {}: {name} stops: {}", self.process.slot, error.code()));
                self.look_after(error).await;
            }
        }
    }

    /// All steps of a task, as far as they are not done; then the task is removed, and made anew.
    async fn run(&self, id: &TaskId) -> Result<(), TaskError> {
        let runner = format!("process {}-{}", self.process.slot, self.process.incarnation);
        let settings = TaskSettings { runner, hold: Some(HOLD), ..TaskSettings::default() };
        let task = Task::open_with(&self.keeper, id, settings).await?;
        for number in 0..STEPS {
            let grant = &self.world.plans[number % self.world.plans.len()].id;
            let key = format!("step-{number}");
            let (effect, step) = match number % 2 {
                0 => (Effect::Once, Step::once(&key)?),
                _ => (Effect::Idempotent, Step::idempotent(&key)?),
            };
            // Not as long as the longest step so far, which a suspend may have made hours of: the judge takes a
            // renewal early in a token's life for one that a resource forced.
            let step = step.grants([grant]).min_ttl(LIFE_LEFT);
            let brought: String = task.run(&step, |context| self.pay(context, grant.clone(), effect)).await?;
            self.world.ledger.told(&brought);
        }
        task.close().await?;
        self.keeper.tasks().delete(id).await
    }

    /// The work of a step: it takes a while, needs a token in the middle, has an effect, and may fail on either
    /// side of it.
    fn pay(
        &self,
        context: StepContext,
        grant: GrantId,
        effect: Effect,
    ) -> impl Future<Output = Result<String, Failure>> + use<> {
        let (world, process, random) = (Arc::clone(&self.world), Arc::clone(&self.process), Arc::clone(&self.random));
        async move {
            process.sleep(random.between(SECOND / 10, 240 * SECOND)).await;
            if let Err(error) = context.token(&grant).await {
                return Err(Failure::undone("no token").code(error.code()));
            }
            if random.chance(60) {
                return Err(Failure::undone("turned away at the door"));
            }
            let brought = world.ledger.charge(context.idempotency_key(), effect);
            process.sleep(random.between(SECOND / 100, SECOND)).await;
            if random.chance(60) {
                return Err(Failure::unclear("the connection broke"));
            }
            Ok(brought)
        }
    }

    /// What a person does about a task that stopped.
    async fn look_after(&self, error: TaskError) {
        match error {
            TaskError::Ambiguous { task, key, .. } | TaskError::Poisoned { task, key, .. } => {
                self.process.sleep(self.random.between(SECOND, 600 * SECOND)).await;
                let decided = self.decide(&task, &key).await;
                let how = decided.as_ref().map_or_else(|error| error.code().as_str(), |()| "decided");
                self.world.log.note(format_args!("person: {task} {key}: {how}"));
            }
            // Another process has it, or the disk refuses: what comes next is another task.
            TaskError::Journal(JournalError::Busy { .. } | JournalError::Fenced { .. } | JournalError::Store(_))
            | TaskError::Journal(JournalError::Unknown { .. })
            // A server that says the configuration is wrong: nothing was done, and it is tried again.
            | TaskError::Failed { .. }
            | TaskError::Parked { .. }
            | TaskError::NotYet { .. }
            | TaskError::Token(_) => {}
            error => self.world.log.violate("S9", format_args!("a task stops with {error}")),
        }
    }

    async fn decide(&self, task: &TaskId, key: &StepKey) -> Result<(), TaskError> {
        let Some(number) = self.world.journals.number(task) else { return Ok(()) };
        let name = Ledger::name(task, number, key);
        let resolution = match self.world.ledger.is_done(&name) && self.random.chance(500) {
            true => Resolution::Done(Recorded { exit: None, bytes: format!("\"{name}#seen\"").into_bytes() }),
            false => Resolution::Rerun,
        };
        self.keeper.tasks().resolve(task, key, resolution, "a person").await
    }
}
