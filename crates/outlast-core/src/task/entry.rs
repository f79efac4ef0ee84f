//! What a journal is made of.

use super::name::StepKey;
use crate::clock::Timestamp;
use crate::error::Code;
use crate::grant::GrantId;
use std::fmt;
use std::time::Duration;

/// One thing that happened to a task, in the order of its journal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// When it was written.
    pub at: Timestamp,
    /// What happened.
    pub event: Event,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// The task is over: nothing runs any more.
    Closed,
    /// A step came to its end; its output is what it answers from now on.
    Done {
        /// Which step.
        key: StepKey,
        /// What it brought.
        output: Output,
        /// How long it ran.
        took: Duration,
    },
    /// A step failed, and whoever ran it vouches that it did nothing that must not be done again.
    Failed {
        /// Which step.
        key: StepKey,
        /// The reason in a few words of the work's own, without secrets.
        reason: String,
        /// Whether it counts among the failures that a step may have (F79). One that a dead credential
        /// caused does not (F85).
        counts: bool,
    },
    /// A runner took the task up. Each opening is a new epoch: what an earlier runner writes after it
    /// is refused.
    Opened {
        /// Which runner, for people: a process and its machine.
        runner: String,
    },
    /// A grant needs a person: nothing that asks for it begins until somebody has signed in.
    Parked {
        /// The grant.
        grant: GrantId,
        /// Why.
        code: Code,
    },
    /// A person decided what is true of a step.
    Resolved {
        /// Which step.
        key: StepKey,
        /// What was decided.
        decision: Decision,
    },
    /// A grant that it was parked on can be used again.
    Resumed {
        /// The grant.
        grant: GrantId,
    },
    /// A step is about to run: written, and safe from a power cut, before its work begins.
    Started {
        /// Which step.
        key: StepKey,
        /// Whether it may be run again when its outcome is not known.
        effect: Effect,
        /// What it was given, if it said; the same key with another input is refused, unless nothing of the step
        /// is done.
        input: Option<Digest>,
    },
}

/// What running a step twice would do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Nothing more than running it once.
    Idempotent,
    /// Perhaps something that must not be done twice: when its outcome is not known, a person decides.
    Once,
}

/// A SHA-256 digest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Digest(pub [u8; 32]);

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// What a step brought. The bytes themselves stay in the journal, for there may be many.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Output {
    /// The exit code, where the step was a command.
    pub exit: Option<u8>,
    /// How many bytes.
    pub length: u64,
    /// Where the journal keeps them.
    pub place: Place,
}

/// Where a journal keeps an output.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// In a file of its own, named after its digest.
    Apart(Digest),
    /// In the journal: in the frame that begins so many bytes from its start, in that entry of it.
    At {
        /// Where the frame begins.
        frame: u64,
        /// Which entry of it, from zero.
        entry: u32,
    },
    /// Nowhere yet: the bytes come along.
    Here(Vec<u8>),
}

/// What a person decided of a step that began and has no outcome.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// It was done; this is what it brought.
    Done(Output),
    /// It is to be run again.
    Rerun,
}
