//! What all steps of a run share.

use super::command::Commands;
use super::pace::Pace;
use super::report::Report;
use super::request::Requests;
use crate::context::Context;
use crate::exit::Fault;
use outlast::task::{Task, TaskError};
use outlast::task_plan::{PlanFault, PlanStep, TaskPlan, Unit};
use outlast::{Advice, Clock, Code, Keeper};
use outlast_daemon::task_plan::PlanFile;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

/// What all steps of a run share.
pub(super) struct Shared {
    pub(super) task: Task,
    pub(super) plan: Arc<TaskPlan>,
    pub(super) pace: Pace,
    pub(super) requests: Requests,
    pub(super) commands: Commands,
    pub(super) report: Report,
    pub(super) stop: Stop,
    pub(super) hold: Option<Duration>,
    pub(super) clock: Arc<dyn Clock>,
    file: PlanFile,
}

impl Shared {
    pub(super) async fn new(
        context: &Context,
        keeper: &Keeper,
        task: Task,
        file: &PlanFile,
        hold: Option<Duration>,
        report: Report,
    ) -> Result<Self, Fault> {
        let plan = Arc::clone(file.plan());
        let requests = Requests::new(keeper, file)?;
        let commands = Commands::start(context, &plan).await?;
        let (file, clock) = (file.clone(), Arc::clone(keeper.clock()));
        Ok(Self { task, plan, pace: Pace::default(), requests, commands, report, stop: Stop::new(), hold, clock, file })
    }

    pub(super) fn step(&self, unit: &Unit) -> &PlanStep {
        &self.plan.steps()[unit.step]
    }

    /// A failure of a step in words, with the place in the plan where the plan is to be mended.
    pub(super) fn fault(&self, unit: &Unit, error: TaskError) -> Fault {
        let step = self.step(unit);
        match error {
            TaskError::InputChanged { key, .. } => {
                let detail = format!(
                    "step {key} is done, and the plan gives it something else than it was given then: its recorded \
                     output would be the answer to another question"
                );
                let id = self.plan.id();
                let mend = format!(
                    "stop: put back what the step was given, or give it another key; to do all of it anew, run the \
                     plan as another task with --id, or delete this one with: outlast task delete {id}"
                );
                let mut told = Fault::from(self.file.fault(&PlanFault::new(&step.span, detail, mend)));
                told.code = Code::StepInputChanged;
                told
            }
            // What was refused for want of a person's consent is mended by that person alone.
            TaskError::Failed { key, reason, advice: Advice::AskUser } => {
                Fault::new(Code::NeedsUser, format!("step {key} failed: {reason}"))
            }
            other => other.into(),
        }
    }

    /// Ends what was started for the commands.
    pub(super) async fn end(self) {
        self.commands.stop().await;
    }
}

/// Whether to begin nothing more, and from when on to wait for nothing more.
pub(super) struct Stop {
    asked: watch::Sender<bool>,
    late: watch::Sender<Option<tokio::time::Instant>>,
}

impl Stop {
    fn new() -> Self {
        Self { asked: watch::Sender::new(false), late: watch::Sender::new(None) }
    }

    pub(super) fn now(&self) {
        self.asked.send_replace(true);
    }

    #[expect(clippy::disallowed_methods, reason = "for how long this process may still run, whatever the clock says")]
    pub(super) fn at_latest_in(&self, time: Duration) {
        self.late.send_replace(Some(tokio::time::Instant::now() + time));
    }

    /// Resolves once nothing more is to begin.
    pub(super) async fn asked(&self) {
        let mut asked = self.asked.subscribe();
        // The sender lives as long as this does.
        let _ = asked.wait_for(|asked| *asked).await;
    }

    /// Resolves once nothing more is to be waited for.
    pub(super) async fn too_late(&self) {
        let mut late = self.late.subscribe();
        let until = late.wait_for(Option::is_some).await.ok().and_then(|until| *until);
        match until {
            Some(until) => tokio::time::sleep_until(until).await,
            None => std::future::pending().await,
        }
    }
}
