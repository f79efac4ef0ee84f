//! What can go wrong in a simulated world, and how often it did.

/// One kind of fault. The list is what coverage is measured against.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fault {
    /// An access token is refused though its time is not up.
    AccessRevoked,
    /// The server's side of a token request vanishes for the whole deadline.
    Blackhole,
    /// The clock is set back by a year, and the processes started anew.
    ClockBack,
    /// The clock is set forward by a year, and the processes started anew.
    ClockForward,
    /// The machine starts with a clock of 1970.
    ClockUnset,
    /// A process dies while a write is on its way to the disk.
    CrashDuringCommit,
    /// A process dies between the server's doing and the answer.
    CrashDuringSend,
    /// A process dies when it has the answer of the server.
    CrashWithAnswer,
    /// A process dies when a write is durable and it does not know yet.
    CrashAfterCommit,
    /// A process dies before it writes.
    CrashBeforeCommit,
    /// A process dies before it sends.
    CrashBeforeSend,
    /// A process dies while it waits for a lease.
    CrashAtLease,
    /// A process dies while it reads.
    CrashAtLoad,
    /// Nothing can be written: no space.
    DiskFull,
    /// A write fails, and nobody knows whether it is on the disk.
    DiskIo,
    /// Nothing can be written: read-only.
    DiskReadOnly,
    /// Reads and writes take seconds.
    DiskSlow,
    /// A page of a captive portal in place of an answer.
    Html,
    /// A cleaner of old files takes the lock file away.
    LockCleaned,
    /// The same is done to the lock of a task.
    TaskLockCleaned,
    /// The answer is lost after the server did what was asked.
    LostAfter,
    /// The request is lost before the server saw it.
    LostBefore,
    /// The server is out of reach for an hour.
    Outage,
    /// A process is stopped for minutes and goes on.
    Pause,
    /// All processes die at once.
    PowerLoss,
    /// 429, with seconds, a date, ten years, or something that cannot be read.
    RateLimited,
    /// A firewall answers 403 or 404 in place of the server.
    Refused,
    /// The connection is reset after the server did what was asked.
    Reset,
    /// The provider revokes a grant.
    Revoked,
    /// 500 or 504 after or before the server did what was asked.
    ServerError,
    /// The answer takes many seconds.
    Slow,
    /// A resource answers 401 to everything.
    Storm,
    /// The machine sleeps for hours.
    Suspend,
    /// The body of an answer is cut.
    Truncated,
    /// 503 with or without Retry-After.
    Unavailable,
    /// No connection can be made.
    Unreachable,
    /// A caller goes away in the middle.
    CallerGone,
}

impl Fault {
    /// Every kind.
    pub const ALL: [Self; 37] = [
        Self::AccessRevoked,
        Self::Blackhole,
        Self::CallerGone,
        Self::ClockBack,
        Self::ClockForward,
        Self::ClockUnset,
        Self::CrashAfterCommit,
        Self::CrashAtLease,
        Self::CrashAtLoad,
        Self::CrashBeforeCommit,
        Self::CrashBeforeSend,
        Self::CrashDuringCommit,
        Self::CrashDuringSend,
        Self::CrashWithAnswer,
        Self::DiskFull,
        Self::DiskIo,
        Self::DiskReadOnly,
        Self::DiskSlow,
        Self::Html,
        Self::LockCleaned,
        Self::LostAfter,
        Self::LostBefore,
        Self::Outage,
        Self::Pause,
        Self::PowerLoss,
        Self::RateLimited,
        Self::Refused,
        Self::Reset,
        Self::Revoked,
        Self::ServerError,
        Self::Slow,
        Self::Storm,
        Self::Suspend,
        Self::TaskLockCleaned,
        Self::Truncated,
        Self::Unavailable,
        Self::Unreachable,
    ];
}
