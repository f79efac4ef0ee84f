//! How a task is opened.

use outlast_core::task::{Progress, StepKey};
use outlast_core::{Code, GrantId};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// How a task is opened.
#[derive(Clone, Debug)]
pub struct TaskSettings {
    /// Who runs it, as others are told: `process 4711` where it is left empty.
    pub runner: String,
    /// How long to wait for another process that runs it.
    pub patience: Duration,
    /// How long a step waits for whatever keeps it from beginning: a person who has to sign in, an
    /// authorization server that is down, the pause after a failure. For ever where it is left out.
    pub hold: Option<Duration>,
    /// Told of all that happens.
    pub reporter: Option<Reporter>,
}

impl Default for TaskSettings {
    fn default() -> Self {
        Self { runner: String::new(), patience: Duration::ZERO, hold: None, reporter: None }
    }
}

type Told = dyn Fn(&Change, Progress) + Send + Sync;

/// Told of all that happens to a task, and how far it has come; must not block.
#[derive(Clone)]
pub struct Reporter(pub(super) Arc<Told>);

impl Reporter {
    /// Calls `tell`.
    pub fn new(tell: impl Fn(&Change, Progress) + Send + Sync + 'static) -> Self {
        Self(Arc::new(tell))
    }
}

impl fmt::Debug for Reporter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Reporter")
    }
}

/// What happened to a task.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// A step came to its end.
    Done {
        /// Which.
        key: StepKey,
        /// How long it ran.
        took: Duration,
    },
    /// A step failed.
    Failed {
        /// Which.
        key: StepKey,
        /// What the work said.
        reason: String,
    },
    /// A grant needs a person: told once, however many steps wait for it.
    Parked {
        /// The grant.
        grant: GrantId,
        /// Why.
        code: Code,
    },
    /// A grant can be used again.
    Resumed {
        /// The grant.
        grant: GrantId,
    },
    /// A step was done in an earlier run, and its record given back.
    Reused {
        /// Which.
        key: StepKey,
    },
    /// A step begins.
    Started {
        /// Which.
        key: StepKey,
        /// How often it has been started, with this time.
        attempt: u32,
    },
}
