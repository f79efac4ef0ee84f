//! The store port: where grants are kept, and the exclusive right to change one.

use crate::BoxFuture;
use crate::error::Code;
use crate::grant::{Grant, GrantId};
use crate::outage::Outage;
use crate::token::Generation;
use std::any::Any;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Tells holders of a lease apart: rises with every holder that writes, so that the write of an
/// earlier one is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Fence(pub u64);

/// The exclusive right to spend a grant's refresh token and to change its record. Not `Clone`;
/// dropping it gives it back, and so does the death of the process.
pub struct Lease {
    grant: GrantId,
    fence: AtomicU64,
    watch: LeaseWatch,
    _held: Box<dyn Any + Send + Sync>,
}

/// Tells whether a lease still excludes others. Cheap to clone, and needs no borrow of the lease: what
/// is about to be sent carries it along.
#[derive(Clone, Default)]
pub struct LeaseWatch(Option<Arc<dyn Fn() -> bool + Send + Sync>>);

impl LeaseWatch {
    /// Whether nobody else can have been given the lease by now. Quick enough to ask right before a
    /// send: no lock, no wait.
    pub fn is_held(&self) -> bool {
        self.0.as_ref().is_none_or(|is_held| is_held())
    }
}

impl fmt::Debug for LeaseWatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LeaseWatch")
    }
}

impl Lease {
    /// Made by a store, around whatever it holds while the lease lasts. `fence` is the epoch that
    /// the record carries now.
    pub fn new(grant: GrantId, fence: Fence, held: impl Any + Send + Sync) -> Self {
        Self { grant, fence: AtomicU64::new(fence.0), watch: LeaseWatch::default(), _held: Box::new(held) }
    }

    /// For stores whose leases can be lost while they are held: `is_held` tells whether this one still
    /// keeps others away.
    #[must_use]
    pub fn watched(self, is_held: impl Fn() -> bool + Send + Sync + 'static) -> Self {
        Self { watch: LeaseWatch(Some(Arc::new(is_held))), ..self }
    }

    /// What tells whether it still excludes others. Whoever was stopped for minutes, or whose lock file
    /// was cleaned away, finds out by it before a byte is sent (F11, F13).
    pub fn watch(&self) -> &LeaseWatch {
        &self.watch
    }

    /// Whose lease it is.
    pub fn grant(&self) -> &GrantId {
        &self.grant
    }

    /// The epoch that the next write must find in the record.
    pub fn fence(&self) -> Fence {
        Fence(self.fence.load(Ordering::Acquire))
    }

    /// For stores: the write was made, and the record now carries this epoch.
    pub fn advance(&self, fence: Fence) {
        self.fence.store(fence.0, Ordering::Release);
    }
}

impl fmt::Debug for Lease {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Lease({}, {})", self.grant, self.fence().0)
    }
}

/// Why a record may be kept at another place as well, and may be renewed there (F15).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Copied {
    /// The database is another file than the one the grant was bound to.
    AnotherFile,
    /// It is the same file on another machine.
    AnotherMachine,
    /// The record is older than one that was here before.
    PutBack,
}

impl Copied {
    /// What happened, in words that follow "the store".
    pub fn describe(self) -> &'static str {
        match self {
            Self::AnotherFile => "was copied or restored: it is another file than the one this grant was bound to",
            Self::AnotherMachine => "was made on another machine: this one is a clone of it, or has its disk",
            Self::PutBack => "was put back to an earlier state: this grant was renewed here since",
        }
    }

    /// A stable word for programs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::AnotherFile => "another-file",
            Self::AnotherMachine => "another-machine",
            Self::PutBack => "put-back",
        }
    }
}

/// What can go wrong with a store. Each says whose fault it is and how it is mended.
#[derive(Debug)]
#[non_exhaustive]
pub enum StoreError {
    /// Another holder has the lease and did not give it back in time.
    Busy {
        /// The grant.
        grant: GrantId,
    },
    /// What is on disk is not what was written.
    Corrupt {
        /// What was found, without contents.
        detail: String,
    },
    /// The record has moved on since it was read: somebody else wrote. Look again.
    Fenced {
        /// The grant.
        grant: GrantId,
    },
    /// A folder or file is open to others, or belongs to somebody else.
    Insecure {
        /// What is wrong.
        detail: String,
        /// The command that mends it.
        mend: String,
    },
    /// The sealing key cannot be had.
    KeyUnavailable {
        /// Why.
        detail: String,
        /// What to do.
        mend: String,
    },
    /// Another process keeps the whole store locked and did not let go in time: it is slow, or stopped.
    Locked {
        /// Its number, where that can be told.
        holder: Option<u32>,
    },
    /// The folder lies on a file system that other machines may use as well.
    Remote {
        /// Which.
        detail: String,
        /// What to do.
        mend: String,
    },
    /// The store was written by a newer version.
    TooNew {
        /// Its schema.
        found: u32,
        /// The newest this version knows.
        known: u32,
    },
    /// Nothing can be written: the disk is full, failing or read-only.
    Unwritable {
        /// What the system said.
        detail: String,
    },
}

impl StoreError {
    /// Its code.
    pub fn code(&self) -> Code {
        match self {
            Self::Busy { .. } | Self::Fenced { .. } | Self::Locked { .. } => Code::StoreBusy,
            Self::Corrupt { .. } => Code::StoreCorrupt,
            Self::Insecure { .. } => Code::StoreInsecure,
            Self::KeyUnavailable { .. } => Code::KeyUnavailable,
            Self::Remote { .. } => Code::StoreRemote,
            Self::TooNew { .. } => Code::StoreTooNew,
            Self::Unwritable { .. } => Code::StoreUnwritable,
        }
    }
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Busy { grant } => write!(
                f,
                "another process holds the lease of grant {grant} and did not give it back in time: it renews, or it \
                 is stopped. Nothing is lost. Wait and try again; let a stopped outlast process go on, or end it"
            ),
            Self::Corrupt { detail } => write!(f, "the store is damaged: {detail}"),
            Self::Fenced { grant } => write!(f, "the record of grant {grant} was changed by another process"),
            Self::Insecure { detail, mend } => write!(f, "{detail}; run: {mend}"),
            Self::KeyUnavailable { detail, mend } => write!(f, "the sealing key is not available: {detail}; {mend}"),
            Self::Locked { holder: Some(holder) } => write!(
                f,
                "process {holder} keeps the store locked and did not let go in time: it is slow, or it is stopped. \
                 Nothing is lost. Wait and try again; let a stopped process go on (kill -CONT {holder}), or end it"
            ),
            Self::Locked { holder: None } => write!(
                f,
                "another process keeps the store locked and did not let go in time: it is slow, or it is stopped. \
                 Nothing is lost. Wait and try again; let a stopped outlast process go on, or end it"
            ),
            Self::Remote { detail, mend } => write!(f, "{detail}; {mend}"),
            Self::TooNew { found, known } => write!(
                f,
                "the store has schema {found}, this version knows {known}: use the newer outlast that wrote it"
            ),
            Self::Unwritable { detail } => write!(f, "the store cannot be written: {detail}"),
        }
    }
}

impl std::error::Error for StoreError {}

/// Keeps grants.
pub trait TokenStore: Send + Sync {
    /// The names of all grants that are kept.
    fn list(&self) -> BoxFuture<'_, Result<Vec<GrantId>, StoreError>>;
    /// The record of one grant, if there is one.
    fn load<'a>(&'a self, id: &'a GrantId) -> BoxFuture<'a, Result<Option<Grant>, StoreError>>;
    /// Waits at most `patience` for the exclusive right to change a grant.
    fn lease<'a>(&'a self, id: &'a GrantId, patience: Duration) -> BoxFuture<'a, Result<Lease, StoreError>>;
    /// Writes `next` if the record still has generation `expected` (zero: no record) and the
    /// lease's fence; returns once it survives a power cut. Otherwise [`StoreError::Fenced`], and
    /// nothing is changed.
    fn commit<'a>(
        &'a self,
        lease: &'a Lease,
        expected: Generation,
        next: &'a Grant,
    ) -> BoxFuture<'a, Result<(), StoreError>>;
    /// Removes the record, under the same conditions. What was in it is kept aside, sealed.
    fn forget<'a>(&'a self, lease: &'a Lease, expected: Generation) -> BoxFuture<'a, Result<(), StoreError>>;
    /// Which of these grants' records were changed since they were last read here, by whomever; to be asked
    /// every second, so it costs next to nothing while nobody writes. Nothing where a store cannot tell.
    fn changed<'a>(&'a self, _grants: &'a [GrantId]) -> BoxFuture<'a, Result<Option<Vec<GrantId>>, StoreError>> {
        Box::pin(async { Ok(None) })
    }
    /// Why the record of a grant may be kept at another place as well; nothing where it is at home, and
    /// where a store cannot tell. A false alarm is worse than none.
    fn copied<'a>(&'a self, _id: &'a GrantId) -> BoxFuture<'a, Result<Option<Copied>, StoreError>> {
        Box::pin(async { Ok(None) })
    }
    /// Makes the record at home here, as it is: nobody renews it anywhere else.
    fn adopt<'a>(&'a self, _lease: &'a Lease) -> BoxFuture<'a, Result<(), StoreError>> {
        Box::pin(async { Ok(()) })
    }
    /// Puts `change` of what is known of an authorization server's outage in its place, as one step
    /// over all processes, and says what was there. Need not survive a power cut. Nothing of a store that
    /// keeps nothing of it; each process then finds out by itself.
    fn outage<'a>(
        &'a self,
        _server: &'a str,
        _change: &'a (dyn Fn(Outage) -> Outage + Send + Sync),
    ) -> BoxFuture<'a, Result<Option<Outage>, StoreError>> {
        Box::pin(async { Ok(None) })
    }
}
