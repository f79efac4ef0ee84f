//! What is done before a step begins: the record is asked, then the tokens are got, then it is written that
//! the step begins; only then may its work run.

use super::Task;
use super::error::TaskError;
use super::park::Woken;
use super::run::{Begun, StepRun, Unbegun};
use super::seat::{self, Running};
use super::settings::Change;
use super::step::{Recorded, Step};
use outlast_core::journal::Claim;
use outlast_core::task::{Event, Next, Output, Wish, is_paused, next};
use outlast_core::{GrantId, Timestamp};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::oneshot;

/// What is to be done with a step; as [`Next`], without a borrow.
enum Decided {
    Reuse(Output),
    Run { attempt: u32, not_before: Timestamp },
    Running,
}

impl Task {
    /// Answers with what the step brought, or with the right to run it: then it is written down that it
    /// began, and tokens of all its grants are there. Waits as long as [`TaskSettings::hold`] allows for
    /// what keeps it from beginning.
    ///
    /// [`TaskSettings::hold`]: super::TaskSettings::hold
    pub async fn begin(&self, step: &Step) -> Result<Begun, TaskError> {
        self.begin_within(step, self.0.settings.hold).await
    }

    /// The same with another wait: [`Duration::ZERO`] for an answer at once, [`TaskError::Parked`] or
    /// [`TaskError::NotYet`] among them; nothing for as long as it takes.
    pub async fn begin_within(&self, step: &Step, hold: Option<Duration>) -> Result<Begun, TaskError> {
        let deadline = hold.map(|hold| self.now().plus(hold));
        let mut woken = Woken::default();
        loop {
            let ended = self.0.seat.changed();
            // Not kept: a step that waits for a person must not keep the task from being given back.
            let (fence, decided) = {
                let claim = self.claim_again().await?;
                (claim.fence(), self.decide(&claim, step)?)
            };
            match decided {
                Decided::Reuse(output) => return self.reuse(step, output).await,
                Decided::Running => self.wait(ended, step, None, deadline).await?,
                Decided::Run { not_before, .. } if is_paused(not_before, self.now()) => {
                    self.wait(ended, step, Some(not_before), deadline).await?;
                }
                Decided::Run { attempt, .. } => {
                    if self.await_tokens(step, deadline, &mut woken).await? {
                        // Look again: others may have decided on the step meanwhile.
                        continue;
                    }
                    let Some((claim, running)) = self.take(fence, &step.key) else { continue };
                    return self.start(step, claim, running, attempt, woken).await.map(Begun::Run);
                }
            }
        }
    }

    fn decide(&self, claim: &Arc<dyn Claim>, step: &Step) -> Result<Decided, TaskError> {
        let running = self.0.seat.is_running(&step.key);
        let view = seat::read(claim.view());
        let (task, key) = (self.id().clone(), step.key.clone());
        let wish = Wish { key: &step.key, effect: step.effect, input: step.input, running };
        match next(&view, wish) {
            Next::Ambiguous { since } => Err(TaskError::Ambiguous { task, key, since }),
            Next::Closed => Err(TaskError::Closed { task }),
            Next::InputChanged => Err(TaskError::InputChanged { task, key }),
            Next::Poisoned { failures, reason } => {
                Err(TaskError::Poisoned { task, key, failures, reason: reason.to_owned() })
            }
            Next::Reuse(output) => Ok(Decided::Reuse(output.clone())),
            Next::Run { attempt, not_before } => Ok(Decided::Run { attempt, not_before }),
            Next::Running => Ok(Decided::Running),
        }
    }

    async fn reuse(&self, step: &Step, output: Output) -> Result<Begun, TaskError> {
        let bytes = self.0.seat.journal().output(self.id(), &output).await?;
        self.report(Change::Reused { key: step.key.clone() });
        Ok(Begun::Reuse(Recorded { exit: output.exit, bytes }))
    }

    /// Waits until a step has ended or `until` has come, within the deadline.
    async fn wait(
        &self,
        ended: tokio::sync::futures::Notified<'_>,
        step: &Step,
        until: Option<Timestamp>,
        deadline: Option<Timestamp>,
    ) -> Result<(), TaskError> {
        let now = self.now();
        let late = || TaskError::NotYet { key: step.key.clone(), until };
        if deadline.is_some_and(|deadline| deadline <= now || until.is_some_and(|until| deadline < until)) {
            return Err(late());
        }
        let longest = until.or(deadline).map_or(Duration::from_secs(60), |end| now.until(end));
        tokio::select! {
            biased;
            () = ended => {}
            () = self.0.keeper.clock().sleep(longest) => {}
        }
        Ok(())
    }

    /// Writes that the step begins. On a task of its own: a caller that goes away leaves no step behind that
    /// seems to have begun.
    pub(super) async fn start(
        &self,
        step: &Step,
        claim: Arc<dyn Claim>,
        running: Running,
        attempt: u32,
        woken: Woken,
    ) -> Result<StepRun, TaskError> {
        let resumed: Vec<GrantId> = {
            let view = seat::read(claim.view());
            step.grants.iter().filter(|grant| view.is_parked_on(grant)).cloned().collect()
        };
        let resume = |grant: &GrantId| Event::Resumed { grant: grant.clone() };
        let mut events: Vec<Event> = resumed.iter().map(resume).collect();
        events.push(Event::Started { key: step.key.clone(), effect: step.effect, input: step.input });
        let run = StepRun::new(self.clone(), step.clone(), Arc::clone(&claim), running, attempt, woken);
        let (answer, answered) = oneshot::channel();
        tokio::spawn(async move {
            let started = claim.append(run.started_at(), events).await;
            let _gone = answer.send(started.map(|()| Unbegun::new(run)));
        });
        let run = match answered.await {
            Ok(started) => started?.take(),
            // The runtime shuts down.
            Err(_) => return Err(TaskError::Closed { task: self.id().clone() }),
        };
        // Several steps may have waited for it.
        let told = resumed.into_iter().filter(|grant| self.0.seat.untell(grant));
        told.for_each(|grant| self.report(Change::Resumed { grant }));
        self.report(Change::Started { key: step.key.clone(), attempt });
        Ok(run)
    }
}
