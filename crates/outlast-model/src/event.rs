//! The words of a search: what happens, what is seen, and which guard is left out.

use crate::promise::Window;

/// A protocol that is not ours: one guard is missing. The search must find out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mutant {
    /// The lock is let go before the request is sent.
    LeaseEndsBeforeSending,
    /// The lock of a process that died stays.
    LeaseOutlivesHolder,
    /// Whoever wakes to an answer and the end of its time believes the time.
    NoAnswerAfterWaking,
    /// The lock is not looked at before the first byte.
    NoCheckBeforeSending,
    /// A commit overwrites whatever is there.
    NoCompareAndSwap,
    /// A commit compares the generation and not the epoch.
    NoFence,
    /// Nothing is on disk before the request is sent.
    NoIntent,
    /// What was read before the lease is believed.
    NoSecondRead,
    /// The new token set is served before it is on disk.
    PublishBeforePersist,
}

/// Something that happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// The process takes its next step.
    Advance(usize),
    /// The process has its answer.
    Answer(usize),
    /// The stray request arrives.
    Arrive(usize),
    /// The request of the process arrives twice.
    Copy(usize),
    /// The process dies.
    Crash(usize),
    /// The request of the process arrives only after it has been given up, if ever.
    Delay(usize),
    /// No connection can be made for the process.
    Disconnect(usize),
    /// What is on the way between the process and the server is lost.
    Lose(usize),
    /// The server deals with the request of the process.
    Serve(usize),
    /// The process is started again.
    Start(usize),
    /// The lock of the stopped process is taken away.
    Steal(usize),
    /// The process is stopped.
    Stop(usize),
    /// Nothing is to be done now: time passes.
    Tick,
    /// The process gives up waiting for the answer.
    TimeOut(usize),
    /// The stray request does not arrive.
    Vanish(usize),
    /// The stopped process goes on.
    Wake(usize),
}

/// What is worth telling of a state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Sight {
    /// A process serves a token set that another one brought.
    Adopted,
    /// All rotations were gone through.
    Finished,
    /// The person is told that an answer was lost.
    LostRotationSaid,
    /// A request of unknown fate was repeated, and the server gave a token set for it.
    Recovered,
    /// The family was revoked, in this window.
    Revoked(Window),
    /// A processes that was stopped for longer than a request may take holds the lease.
    StoppedHolder,
}
