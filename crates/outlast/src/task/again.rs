//! For whoever decides by the record himself what is to be done with a step, as a recorder of requests does.

use super::error::TaskError;
use super::park::Woken;
use super::run::StepRun;
use super::seat;
use super::step::Step;
use super::{Output, Task, TaskView};

impl Task {
    /// Looks at all that is recorded. What is appended meanwhile waits until `look` has returned.
    pub async fn look<T>(&self, look: impl FnOnce(&TaskView) -> T) -> Result<T, TaskError> {
        let claim = self.claim_again().await?;
        let view = seat::read(claim.view());
        Ok(look(&view))
    }

    /// The bytes of an output that the record tells of.
    pub async fn output(&self, output: &Output) -> Result<Vec<u8>, TaskError> {
        Ok(self.0.seat.journal().output(self.id(), output).await?)
    }

    /// The right to run a step whatever the record says of it: for whoever has looked, and answers for
    /// running it again. Once it is done, its new output is what it answers. Neither tokens nor the pause
    /// after a failure are waited for. Refused while the step runs in this process.
    pub async fn begin_again(&self, step: &Step) -> Result<StepRun, TaskError> {
        let claim = self.claim_again().await?;
        let starts = seat::read(claim.view()).step(&step.key).map_or(0, |known| known.starts);
        match self.take(claim.fence(), &step.key) {
            Some((claim, running)) => {
                self.start(step, claim, running, starts.saturating_add(1), Woken::default()).await
            }
            None => Err(TaskError::NotYet { key: step.key.clone(), until: None }),
        }
    }
}
