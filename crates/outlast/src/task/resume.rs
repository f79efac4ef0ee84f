//! What goes on after a break: the right to end a step whose runner lost it, and what a person decides while
//! the task is open.

use super::Task;
use super::error::TaskError;
use super::run::StepRun;
use super::seat;
use super::step::Step;
use super::tasks::{Resolution, check_open};
use outlast_core::Fence;
use outlast_core::journal::{Claim, JournalError};
use outlast_core::task::{Event, StepKey, StepState};
use std::fmt::Write;

/// Bytes of a run's name.
const RUN_NAME_BYTES: usize = 16;

impl Task {
    /// The right to end the run of that name ([`StepRun::name`]), which this process does not hold: its process
    /// was started anew, or let it go. Whoever ran it knows how it ended, and that is worth more than a guess.
    /// Nothing if the step has an outcome by now, was begun again since, or runs here.
    pub async fn take_up(&self, key: &StepKey, run: &str) -> Result<Option<StepRun>, TaskError> {
        let claim = self.claim_again().await?;
        let begun = seat::read(claim.view()).step(key).map(|step| (step.starts, step.state.clone()));
        let Some((attempt, StepState::Started { at, fence, effect })) = begun else { return Ok(None) };
        if name(claim.as_ref(), key, fence, attempt) != run {
            return Ok(None);
        }
        let Some((claim, running)) = self.take(claim.fence(), key) else { return Ok(None) };
        let step = Step { effect, ..Step::of(key.clone()) };
        Ok(Some(StepRun::new(self.clone(), step, claim, running, attempt, Default::default()).begun(at, fence)))
    }

    /// Decides on a step that is ambiguous, or that failed too often, while this process has the task. Refused
    /// while the step runs.
    pub async fn resolve(&self, key: &StepKey, resolution: Resolution) -> Result<(), TaskError> {
        let claim = self.claim_again().await?;
        check_open(&seat::read(claim.view()), self.id(), key)?;
        // Nobody begins it meanwhile.
        let Some((claim, _running)) = self.take(claim.fence(), key) else {
            let runner = "whoever runs this very step".to_owned();
            return Err(JournalError::Busy { task: self.id().clone(), runner }.into());
        };
        let decision = resolution.decision();
        Ok(claim.append(self.now(), vec![Event::Resolved { key: key.clone(), decision }]).await?)
    }
}

/// Names one run of a step: what it is made of is known to its runner and the journal alone.
pub(super) fn name(claim: &dyn Claim, key: &StepKey, fence: Fence, attempt: u32) -> String {
    let text = format!("{}\n{}\n{attempt}", claim.idempotency_key(key), fence.0);
    let digest = outlast_store::sha256(text.as_bytes());
    digest.0.iter().take(RUN_NAME_BYTES).fold(String::new(), |mut name, byte| {
        // Writing to a string does not fail.
        let _ = write!(name, "{byte:02x}");
        name
    })
}
