//! One moment of the whole: the store, the processes, the server and what is on the way between them.

use crate::decisions::{Came, Moment, Record};
use crate::server::{From, Server};

/// Processes.
pub const NODES: usize = 3;
/// Most requests on the way that nobody waits for.
pub const STRAYS_MAX: usize = 3;

/// What can still go wrong, and how often.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Faults {
    /// A process dies.
    pub crashes: u8,
    /// A process is stopped, for as long as one likes.
    pub stops: u8,
    /// A request is not sent, is lost, is delayed past its time, or its answer is lost.
    pub losses: u8,
    /// A request arrives twice.
    pub copies: u8,
    /// The lock of a stopped process is taken away.
    pub thefts: u8,
}

impl Faults {
    /// No more of them.
    pub const NONE: Self = Self { crashes: 0, stops: 0, losses: 0, copies: 0, thefts: 0 };
}

/// The one record on disk, and the epoch that every write moves on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Store {
    /// What is there.
    pub record: Record,
    /// The epoch.
    pub fence: u8,
}

/// What is on the way between an attempt and the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Exchange {
    /// The request.
    Request,
    /// The answer.
    Reply(Came),
    /// Nothing any more; the attempt does not know.
    Gone,
}

/// An attempt: the epoch its writes must find, and the record it was made from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Attempt {
    /// The epoch.
    pub fence: u8,
    /// The record: as it was loaded, then with the note of intent.
    pub record: Record,
    /// The record as it was loaded.
    pub held: Record,
}

/// Where a process stands: between which two steps of the renewal (s1 to s12 of the failure
/// catalogue).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Step {
    /// It is not running.
    Down,
    /// No renewal is aloft.
    Idle,
    /// s1: one is, and wants the lease.
    Launched,
    /// s2: it has the lease, of this epoch.
    Leased {
        /// The epoch.
        fence: u8,
    },
    /// s3: it has looked again.
    Loaded(Attempt),
    /// s4: its note of intent is on disk.
    Noted(Attempt),
    /// s5: it is connected, and has looked at the lock for the last time.
    Checked(Attempt),
    /// s6 to s8: it waits for the answer.
    Sent {
        /// What for.
        attempt: Attempt,
        /// How long.
        until: Moment,
        /// What is on the way.
        exchange: Exchange,
    },
    /// s9: it has the answer, or has given up.
    Answered {
        /// To what.
        attempt: Attempt,
        /// What.
        came: Came,
    },
    /// In place of s10, a mutant's: published and not yet on disk.
    Shown {
        /// The attempt.
        attempt: Attempt,
        /// What came of it.
        came: Came,
        /// What was published.
        next: Record,
    },
    /// s10: what came of it is on disk.
    Persisted(Record),
    /// s11: and published; the lease is still held.
    Published,
    /// The lease was let go to wait for the fate of another's request.
    InDoubt {
        /// How long.
        until: Moment,
    },
}

impl Step {
    /// Whether the lease is held at this step.
    pub const fn has_lease(self) -> bool {
        match self {
            Self::Down | Self::Idle | Self::InDoubt { .. } | Self::Launched => false,
            Self::Answered { .. }
            | Self::Checked(_)
            | Self::Leased { .. }
            | Self::Loaded(_)
            | Self::Noted(_)
            | Self::Persisted(_)
            | Self::Published
            | Self::Sent { .. }
            | Self::Shown { .. } => true,
        }
    }
}

/// A process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Node {
    /// Where it stands.
    pub step: Step,
    /// Whether it is stopped (SIGSTOP, or its machine is).
    pub stopped: bool,
    /// Whether the lock is its own; a thief can take it from under a lease.
    pub has_lock: bool,
    /// The record it answers from; meaningless while it is down.
    pub published: Record,
    /// The last generation that its consumers were shown, before its death too.
    pub shown: u8,
}

impl Node {
    /// Whether it can take a step.
    pub fn runs(&self) -> bool {
        !self.stopped && self.step != Step::Down
    }
}

/// A request on the way that nobody waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Stray {
    /// The serial of the refresh token in it.
    pub serial: u8,
    /// Whose it is.
    pub from: From,
    /// When it has arrived or vanished at the latest.
    pub until: Moment,
}

/// The last request whose fate is not known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Doubt {
    /// The serial of the refresh token in it.
    pub serial: u8,
    /// When its attempt was begun.
    pub begun_at: Moment,
    /// How many such requests there were for this token.
    pub count: u8,
}

/// One moment of the whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct World {
    /// Which.
    pub now: Moment,
    /// What is on disk.
    pub store: Store,
    /// The processes.
    pub nodes: [Node; NODES],
    /// The server.
    pub server: Server,
    /// Requests that nobody waits for.
    pub strays: [Option<Stray>; STRAYS_MAX],
    /// What can still go wrong.
    pub left: Faults,
    /// Whether a lock was taken from its holder.
    pub stolen: bool,
    /// Since when nothing is wrong; the moment of the last fault.
    pub calm_since: Moment,
    /// For S1.
    pub doubt: Option<Doubt>,
}

impl World {
    /// Whether every process runs and nothing strays.
    pub fn is_calm(&self) -> bool {
        self.nodes.iter().all(Node::runs) && self.strays.iter().all(Option::is_none)
    }
}
