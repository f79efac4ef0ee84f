//! Defects that can be planted in a world, to show that its judge notices them.

/// What is wrong with the processes of a world. Each is planted in the ports, and looks from there as if
/// the product had it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Defect {
    /// What a runner writes that has lost its task is taken.
    FenceIgnored,
    /// Nobody sees that somebody signed out elsewhere.
    LogoutUnseen,
    /// Writes do not compare with what was read.
    NoCompareAndSwap,
    /// The note of intent is not written.
    NoIntent,
    /// Nobody waits for a lock.
    NoLock,
    /// What a server asked for, and the pause after a failure, is not kept.
    PausesForgotten,
    /// A token set is published before it is on the disk.
    PublishedBeforePersisted,
    /// Nobody waits before a token of unknown fate is sent again: the moment of its sending is not kept.
    ScheduleForgotten,
    /// That a step began is not kept.
    StartsForgotten,
}

impl Defect {
    /// Every one.
    pub const ALL: [Self; 9] = [
        Self::FenceIgnored,
        Self::LogoutUnseen,
        Self::NoCompareAndSwap,
        Self::NoIntent,
        Self::NoLock,
        Self::PausesForgotten,
        Self::PublishedBeforePersisted,
        Self::ScheduleForgotten,
        Self::StartsForgotten,
    ];
}
