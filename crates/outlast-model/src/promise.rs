//! What is promised, and what it takes to lose a grant all the same.

use std::fmt;

/// A promise that the search holds every step to; the letters are those of `docs/proof.md`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Promise {
    /// After the last fault, a valid access token within 90 seconds and without a person.
    L1,
    /// A family is revoked by our doing only in a window that has a name.
    L4,
    /// A refresh token whose successor is on disk is never sent again; one of unknown fate only on
    /// the schedule.
    S1,
    /// The disk holds at least the generation that anybody was shown.
    S2,
    /// No consumer is shown an earlier generation than before.
    S3,
    /// One request under way per lease and epoch.
    S4,
    /// Nobody overwrites what they have not read.
    S5,
    /// A person is asked only for a grant that is dead, and is told if we lost it.
    Truth,
}

/// A promise that is broken, and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Broken {
    /// Which.
    pub promise: Promise,
    /// How.
    pub how: &'static str,
}

impl Broken {
    /// This promise, broken in this way.
    pub const fn new(promise: Promise, how: &'static str) -> Self {
        Self { promise, how }
    }

    /// An error unless the promise is kept.
    ///
    /// # Errors
    /// The promise.
    pub const fn unless(kept: bool, promise: Promise, how: &'static str) -> Result<(), Self> {
        if kept { Ok(()) } else { Err(Self::new(promise, how)) }
    }
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {}", self.promise, self.how)
    }
}

/// How a server without a grace window comes to revoke a family though nobody broke a promise. The
/// first three are the one window that no client can close: from the first byte of a request until
/// the sync of its answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Window {
    /// The server rotated, and the answer was lost on the way or died with its receiver before it
    /// was on disk (F03, F04); asking again is then the only way to learn of it.
    AnswerLost,
    /// The same, for a receiver that is stopped with the answer in its hands, and whose lock was taken
    /// away: whoever has the lock now cannot know of it.
    AnswerWithheld,
    /// The network delivered a request once more, or after its sender had given it up.
    LateRequest,
    /// Somebody took the lock away from a holder that was stopped between its last look at the lock
    /// and the first byte (F11, F13). With the product's lock that takes a deleted lock file.
    LockTaken,
}
