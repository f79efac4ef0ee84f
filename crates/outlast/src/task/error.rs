//! Why a task cannot go on, or a step has no result.

use crate::token_error::TokenError;
use outlast_core::journal::JournalError;
use outlast_core::task::{StepKey, TaskId};
use outlast_core::{Advice, Code, GrantId, Timestamp};
use std::fmt;

/// Why a task cannot go on, or a step has no result. What was recorded is kept in every case. The text is
/// safe for agents to read.
#[derive(Debug)]
#[non_exhaustive]
pub enum TaskError {
    /// The step began, and nobody knows whether it came to its end.
    Ambiguous {
        /// The task.
        task: TaskId,
        /// The step.
        key: StepKey,
        /// When it began.
        since: Timestamp,
    },
    /// The task is over.
    Closed {
        /// The task.
        task: TaskId,
    },
    /// The work failed, and is not tried again in this run: trying again does not help, or, where the advice is
    /// to retry, it was tried as often as one run may.
    Failed {
        /// The step.
        key: StepKey,
        /// What the work said.
        reason: String,
        /// What the work advises.
        advice: Advice,
    },
    /// The step was given another input before.
    InputChanged {
        /// The task.
        task: TaskId,
        /// The step.
        key: StepKey,
    },
    /// The journal cannot be had, read or written.
    Journal(JournalError),
    /// A name or key that is not allowed.
    Name {
        /// What is wrong with it.
        reason: &'static str,
    },
    /// The step is done; there is nothing to decide of it.
    NothingToResolve {
        /// The task.
        task: TaskId,
        /// The step.
        key: StepKey,
    },
    /// The step failed a moment ago and is to wait before it is tried again, or it runs elsewhere in this
    /// process at this moment.
    NotYet {
        /// The step.
        key: StepKey,
        /// Until then, where it failed; nothing where it runs, for nobody knows for how long.
        until: Option<Timestamp>,
    },
    /// The recorded output is not of the type that was asked for, or the result cannot be recorded.
    Output {
        /// The step.
        key: StepKey,
        /// Why.
        reason: String,
    },
    /// A grant of the step needs a person, who did not come in time. The task waits between steps.
    Parked {
        /// The task.
        task: TaskId,
        /// The grant.
        grant: GrantId,
        /// Why it cannot be used.
        code: Code,
    },
    /// The step failed too often.
    Poisoned {
        /// The task.
        task: TaskId,
        /// The step.
        key: StepKey,
        /// How often.
        failures: u32,
        /// The last reason.
        reason: String,
    },
    /// There is no such step.
    StepUnknown {
        /// The task.
        task: TaskId,
        /// The step.
        key: StepKey,
    },
    /// A token of the step cannot be had.
    Token(TokenError),
}

impl TaskError {
    /// Its code.
    pub fn code(&self) -> Code {
        match self {
            Self::Ambiguous { .. } => Code::StepAmbiguous,
            Self::Closed { .. } => Code::TaskClosed,
            Self::Failed { advice, .. } => failed(*advice),
            Self::InputChanged { .. } => Code::StepInputChanged,
            Self::Journal(cause) => cause.code(),
            Self::Name { .. } | Self::NothingToResolve { .. } | Self::Output { .. } => Code::RequestInvalid,
            Self::NotYet { until: Some(_), .. } => Code::CoolingDown,
            Self::NotYet { until: None, .. } => Code::StepRunning,
            Self::Parked { code, .. } => *code,
            Self::Poisoned { .. } => Code::StepPoisoned,
            Self::StepUnknown { .. } => Code::TaskUnknown,
            Self::Token(cause) => cause.code(),
        }
    }

    /// When it is worth trying again, where known.
    pub fn retry_at(&self) -> Option<Timestamp> {
        match self {
            Self::NotYet { until, .. } => *until,
            Self::Token(cause) => cause.retry_at(),
            Self::Ambiguous { .. }
            | Self::Closed { .. }
            | Self::Failed { .. }
            | Self::InputChanged { .. }
            | Self::Journal(_)
            | Self::Name { .. }
            | Self::NothingToResolve { .. }
            | Self::Output { .. }
            | Self::Parked { .. }
            | Self::Poisoned { .. }
            | Self::StepUnknown { .. } => None,
        }
    }
}

/// Only what another try may mend is told as such: who keeps trying what has to be mended first waits for ever.
fn failed(advice: Advice) -> Code {
    match advice {
        Advice::Retry => Code::StepFailing,
        Advice::AskUser | Advice::Decide | Advice::FixConfig | Advice::ReportBug | Advice::Wait => Code::StepFailed,
    }
}

impl From<JournalError> for TaskError {
    fn from(cause: JournalError) -> Self {
        Self::Journal(cause)
    }
}

impl From<TokenError> for TaskError {
    fn from(cause: TokenError) -> Self {
        Self::Token(cause)
    }
}

impl fmt::Display for TaskError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ambiguous { task, key, since } => write!(
                f,
                "step {key} of task {task} began at {since} and has no recorded end: it may be done or not. Stop, and \
                 have a person look; then: outlast task resolve {task} {key} --done, or --rerun"
            ),
            Self::Closed { task } => write!(f, "task {task} is closed; open it again to run more of its steps"),
            Self::Failed { key, reason, advice: Advice::Retry } => write!(
                f,
                "step {key} failed as often as one run tries it, last: {reason}. What is done is kept; run the same again \
                 later, which tries the step again"
            ),
            Self::Failed { key, reason, .. } => {
                write!(f, "step {key} failed and is not tried again by itself: {reason}")
            }
            Self::InputChanged { task, key } => write!(
                f,
                "step {key} of task {task} was given another input before: the same key has to mean the same step. Use \
                 another key, or another task"
            ),
            Self::Journal(cause) => cause.fmt(f),
            Self::Name { reason } => f.write_str(reason),
            Self::NothingToResolve { task, key } => {
                write!(f, "step {key} of task {task} is done; there is nothing to decide")
            }
            Self::NotYet { key, until: Some(until) } => {
                write!(f, "step {key} failed a moment ago; wait until {until}, then try again")
            }
            Self::NotYet { key, until: None } => {
                write!(f, "step {key} is being run at this moment; wait until it ends, and its output is the answer")
            }
            Self::Output { key, reason } => write!(f, "the output of step {key} is not what was expected: {reason}"),
            Self::Parked { task, grant, code } => write!(
                f,
                "task {task} is parked between steps ({code}): grant {grant} needs its owner, who signs in with: outlast \
                 login {grant}. Nothing is lost. Stop or wait; do not use another credential"
            ),
            Self::Poisoned { task, key, failures, reason } => write!(
                f,
                "step {key} of task {task} failed {failures} times and is not tried again by itself; last: {reason}. \
                 Stop, and have a person look; then: outlast task resolve {task} {key} --rerun, or --done"
            ),
            Self::StepUnknown { task, key } => write!(f, "task {task} has no step {key}"),
            Self::Token(cause) => cause.fmt(f),
        }
    }
}

impl std::error::Error for TaskError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Journal(cause) => Some(cause),
            Self::Token(cause) => Some(cause),
            Self::Ambiguous { .. }
            | Self::Closed { .. }
            | Self::Failed { .. }
            | Self::InputChanged { .. }
            | Self::Name { .. }
            | Self::NothingToResolve { .. }
            | Self::NotYet { .. }
            | Self::Output { .. }
            | Self::Parked { .. }
            | Self::Poisoned { .. }
            | Self::StepUnknown { .. } => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_that_another_try_may_mend_is_told_apart_from_one_that_has_to_be_mended_first() {
        let told = |advice| {
            let key = StepKey::parse("page-1").expect("a key");
            let error = TaskError::Failed { key, reason: "the server answered 503".to_owned(), advice };
            (error.code(), error.to_string())
        };
        let (code, text) = told(Advice::Retry);
        assert_eq!((code, code.advice()), (Code::StepFailing, Advice::Retry));
        assert!(["page-1", "answered 503", "is kept", "again later"].iter().all(|word| text.contains(word)), "{text}");
        for advice in [Advice::AskUser, Advice::Decide, Advice::FixConfig, Advice::ReportBug, Advice::Wait] {
            let (code, text) = told(advice);
            assert_eq!((code, code.advice()), (Code::StepFailed, Advice::FixConfig), "{advice:?}");
            assert!(text.contains("is not tried again by itself") && !text.contains("later"), "{text}");
        }
    }
}
