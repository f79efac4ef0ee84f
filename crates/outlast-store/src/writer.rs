//! The one thread of a process that writes, many writes in one commit.

use crate::failure::{is_busy, is_full, refused};
use crate::holder;
use crate::home::{self, Home};
use crate::migrate::{self, Number};
use crate::place::{self, Place};
use crate::queue::Queue;
use crate::reader::connect;
use crate::seal::{self, KeyId, StoreId};
use outlast_core::{GrantId, StoreError};
use rusqlite::{Connection, OpenFlags, Transaction, TransactionBehavior, params};
use std::sync::OnceLock;
use tokio::sync::{mpsc, oneshot};

/// Writes that may wait for the thread; further callers wait before they may hand theirs over.
const QUEUE_MAX: usize = 1024;
/// Writes that share one commit.
const BATCH_MAX: usize = 256;
/// For how long forgotten records are kept aside, in seconds (D2).
const QUARANTINE_SECONDS: i64 = 30 * 24 * 60 * 60;
/// A journal is kept, with the disk space it has, up to this size.
const JOURNAL_BYTES_MAX: u32 = 4 * 1024 * 1024;

/// What is to become of a record.
#[derive(Debug)]
pub(crate) enum Change {
    /// It is moved aside, if it still has the expected generation.
    Forget,
    /// It is replaced, if it still has the expected generation.
    Put {
        /// By one of this generation
        generation: u64,
        /// and this epoch,
        epoch: u64,
        /// with this in it.
        sealed: Vec<u8>,
        /// and it is at home here from now on, in this store.
        binds: Option<StoreId>,
    },
    /// It is moved aside, whatever generation it claims.
    SetAside,
}

/// What became of a write.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Written {
    /// The record has this epoch.
    Epoch(u64),
    /// Nothing was written: the store's key was changed, and what was to be written is sealed with the one
    /// before.
    OtherKey,
}

/// A write of the record of one grant, for whoever still has its lease.
#[derive(Debug)]
pub(crate) struct Write {
    /// Which grant.
    pub(crate) grant: GrantId,
    /// The generation that must be found.
    pub(crate) expected: u64,
    /// The epoch that must be found.
    pub(crate) fence: u64,
    /// What is to be done.
    pub(crate) change: Change,
}

type Done = oneshot::Sender<Result<Written, StoreError>>;

/// Hands writes to the thread, which is started by the first of them.
#[derive(Debug)]
pub(crate) struct Writer {
    home: Home,
    queue: OnceLock<mpsc::Sender<(Write, Done)>>,
}

impl Writer {
    /// Starts nothing yet.
    pub(crate) fn new(home: Home) -> Self {
        Self { home, queue: OnceLock::new() }
    }

    /// Does the write and returns the record's new epoch once it survives a power cut. A caller
    /// that stops waiting does not stop the write.
    pub(crate) async fn write(&self, write: Write) -> Result<Written, StoreError> {
        let (done, outcome) = oneshot::channel();
        self.queue()?.send((write, done)).await.map_err(|_| stopped())?;
        outcome.await.map_err(|_| stopped())?
    }

    fn queue(&self) -> Result<&mpsc::Sender<(Write, Done)>, StoreError> {
        if let Some(queue) = self.queue.get() {
            return Ok(queue);
        }
        let (sender, receiver) = mpsc::channel(QUEUE_MAX);
        let home = self.home.clone();
        let mut session =
            Session { home, connection: None, mark: None, queue: None, reserve_spent: true, unsure: false };
        std::thread::Builder::new()
            .name("outlast-writer".to_owned())
            .spawn(move || session.serve(receiver))
            .map_err(|cause| StoreError::Unwritable { detail: format!("no thread to write on: {cause}") })?;
        // Of two that get here together one thread is kept; the other finds its queue closed and ends.
        Ok(self.queue.get_or_init(|| sender))
    }
}

fn stopped() -> StoreError {
    StoreError::Unwritable { detail: "the thread that writes has ended".to_owned() }
}

struct Session {
    home: Home,
    connection: Option<Connection>,
    /// The file that the connection is to.
    mark: Option<(u64, u64)>,
    queue: Option<Queue>,
    /// Whether the reserve may be gone: it is put back as soon as the disk has room.
    reserve_spent: bool,
    /// Whether a commit failed, and what it wrote may be seen without being on disk.
    unsure: bool,
}

impl Session {
    fn serve(&mut self, mut receiver: mpsc::Receiver<(Write, Done)>) {
        while let Some(first) = receiver.blocking_recv() {
            let mut batch = vec![first];
            while batch.len() < BATCH_MAX {
                let Ok(next) = receiver.try_recv() else { break };
                batch.push(next);
            }
            let (writes, waiting): (Vec<_>, Vec<_>) = batch.into_iter().unzip();
            for (outcome, done) in self.commit(&writes).into_iter().zip(waiting) {
                // A caller that has gone needs no answer.
                drop(done.send(outcome));
            }
        }
    }

    /// Does the writes in one commit; each has its own outcome, unless the commit itself fails.
    fn commit(&mut self, writes: &[Write]) -> Vec<Result<Written, StoreError>> {
        match self.try_commit(writes) {
            Ok(outcomes) => {
                outcomes.into_iter().zip(writes).map(|(outcome, write)| outcome.ok_or(fenced(write))).collect()
            }
            Err(failure) => {
                // After a failed sync the kernel may call dirty pages clean: nothing is tried again
                // on the same open file (F23).
                self.connection = None;
                self.unsure |= !matches!(failure, Failure::Busy);
                let holder = match failure {
                    Failure::Busy => holder::holder(&self.home),
                    Failure::Sqlite(_) | Failure::Store(_) => None,
                };
                writes.iter().map(|_| Err(failure.to_error(holder))).collect()
            }
        }
    }

    fn try_commit(&mut self, writes: &[Write]) -> Result<Vec<Option<Written>>, Failure> {
        let queue = match &mut self.queue {
            Some(queue) => queue,
            empty => empty.insert(Queue::open(&self.home)?),
        };
        let Some(_turn) = queue.turn(&self.home)? else { return Err(Failure::Busy) };
        let mark = home::mark(&self.home.database());
        if self.mark != mark {
            // Another file has taken its place: what we have open has no name any more.
            self.connection = None;
            self.mark = mark;
        }
        let connection = match &mut self.connection {
            Some(connection) => connection,
            empty => empty.insert(open(&self.home)??),
        };
        if self.unsure {
            make_certain(connection)?;
            self.unsure = false;
        }
        let outcomes = match transact(connection, &self.home, writes, false) {
            Err(Failure::Sqlite(cause)) if is_full(&cause) => {
                tracing::warn!("the disk is full; a record is written to the space that was kept for this");
                self.reserve_spent = true;
                transact(connection, &self.home, writes, true)?
            }
            outcomes => outcomes?,
        };
        if self.reserve_spent {
            self.reserve_spent = !migrate::refill(connection);
        }
        Ok(outcomes)
    }
}

/// A commit that changes nothing and is synced. If the last sync of the commit before failed, what it wrote
/// is read back from memory while its journal, on disk, would still undo it after a power cut: after this
/// one, that journal is overwritten.
pub(crate) fn make_certain(connection: &mut Connection) -> rusqlite::Result<()> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let version = migrate::schema(&transaction)?;
    // Written even if it is the same, which no statement about a row would be.
    transaction.pragma_update(None, "user_version", version)?;
    transaction.commit()
}

fn transact(
    connection: &mut Connection,
    home: &Home,
    writes: &[Write],
    from_reserve: bool,
) -> Result<Vec<Option<Written>>, Failure> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let schema = migrate::schema(&transaction)?;
    migrate::judge(schema)?;
    if from_reserve {
        migrate::spend_reserve(&transaction)?;
    }
    // What cannot be read tells of no change, and keeps nobody from writing down what was renewed.
    let key = migrate::key_id(&transaction).ok().flatten();
    let outcomes = writes.iter().map(|write| apply(&transaction, write, key)).collect::<rusqlite::Result<Vec<_>>>()?;
    if schema >= migrate::SCHEMA_WITH_PLACES {
        bind(&transaction, home, writes.iter().zip(&outcomes))?;
    }
    transaction.commit()?;
    Ok(outcomes)
}

/// Binds the grants whose writes say so to where the database is now.
fn bind<'w>(
    transaction: &Transaction<'_>,
    home: &Home,
    writes: impl Iterator<Item = (&'w Write, &'w Option<Written>)>,
) -> Result<(), Failure> {
    for (write, outcome) in writes {
        if let (Change::Put { binds: Some(store), .. }, Some(Written::Epoch(_))) = (&write.change, outcome) {
            place::bind(transaction, &write.grant, &Place::of(&home.database(), *store)?)?;
        }
    }
    Ok(())
}

/// Why a whole commit failed.
enum Failure {
    Busy,
    Sqlite(rusqlite::Error),
    Store(StoreError),
}

impl From<rusqlite::Error> for Failure {
    fn from(cause: rusqlite::Error) -> Self {
        if is_busy(&cause) { Self::Busy } else { Self::Sqlite(cause) }
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl Failure {
    fn to_error(&self, holder: Option<u32>) -> StoreError {
        match self {
            Self::Busy => StoreError::Locked { holder },
            Self::Sqlite(cause) => refused("writing a record", cause),
            Self::Store(StoreError::Corrupt { detail }) => StoreError::Corrupt { detail: detail.clone() },
            Self::Store(StoreError::Locked { holder }) => StoreError::Locked { holder: *holder },
            Self::Store(StoreError::TooNew { found, known }) => StoreError::TooNew { found: *found, known: *known },
            Self::Store(StoreError::Insecure { detail, mend }) => {
                StoreError::Insecure { detail: detail.clone(), mend: mend.clone() }
            }
            Self::Store(other) => StoreError::Unwritable { detail: bare(other) },
        }
    }
}

fn bare(error: &StoreError) -> String {
    match error {
        StoreError::Unwritable { detail } => detail.clone(),
        other => other.to_string(),
    }
}

fn fenced(write: &Write) -> StoreError {
    StoreError::Fenced { grant: write.grant.clone() }
}

/// Opens the database to write to it.
pub(crate) fn open(home: &Home) -> Result<rusqlite::Result<Connection>, StoreError> {
    let opened = connect(home, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    Ok(opened.and_then(|connection| {
        // PERSIST: the journal keeps its disk space, so that a commit on a full disk still has a place
        // for it; and ending a commit is a synced write, while DELETE ends it with an unlink that FULL
        // does not sync, so that a power cut could undo what was already acknowledged.
        connection.pragma_update_and_check(None, "journal_mode", "PERSIST", |_| Ok(()))?;
        connection.pragma_update_and_check(None, "journal_size_limit", JOURNAL_BYTES_MAX, |_| Ok(()))?;
        connection.pragma_update(None, "synchronous", "FULL")?;
        Ok(connection)
    }))
}

/// Does one write; none if the record is not what the writer thinks it is. `key` is the store's.
fn apply(transaction: &Transaction<'_>, write: &Write, key: Option<KeyId>) -> rusqlite::Result<Option<Written>> {
    let epoch = match &write.change {
        // The old key is erased: nobody would open this again (F26).
        Change::Put { sealed, .. } if key.is_some_and(|key| seal::key_id(sealed) != Some(key)) => {
            return Ok(Some(Written::OtherKey));
        }
        Change::Forget => forget(transaction, write, Some(write.expected)),
        Change::Put { generation, epoch, sealed, .. } => put(transaction, write, (*generation, *epoch), sealed),
        Change::SetAside => forget(transaction, write, None),
    };
    epoch.map(|epoch| epoch.map(Written::Epoch))
}

fn put(
    transaction: &Transaction<'_>,
    write: &Write,
    (generation, epoch): (u64, u64),
    sealed: &[u8],
) -> rusqlite::Result<Option<u64>> {
    let name = write.grant.as_str();
    let next = (Number(generation), Number(epoch));
    let found = (Number(write.expected), Number(write.fence));
    let update = "UPDATE grants SET generation = ?, epoch = ?, sealed = ? \
                  WHERE name = ? AND generation = ? AND epoch = ?";
    let mut statement = transaction.prepare_cached(update)?;
    let mut changed = statement.execute(params![next.0, next.1, sealed, name, found.0, found.1])?;
    if changed == 0 && write.expected == 0 && write.fence == 0 {
        let insert = "INSERT INTO grants (name, generation, epoch, sealed) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING";
        let mut statement = transaction.prepare_cached(insert)?;
        changed = statement.execute(params![name, next.0, next.1, sealed])?;
    }
    Ok((changed == 1).then_some(epoch))
}

/// Moves the sealed record aside. The row stays, empty, with its epoch: one that begins again at
/// zero would let in a writer from before.
fn forget(transaction: &Transaction<'_>, write: &Write, expected: Option<u64>) -> rusqlite::Result<Option<u64>> {
    let (name, fence) = (write.grant.as_str(), write.fence);
    if expected.is_none_or(|expected| expected == 0) && is_absent(transaction, name, fence)? {
        return Ok(Some(fence));
    }
    let copy = "INSERT INTO quarantine (name, generation, epoch, kept_since, sealed) \
                SELECT name, generation, epoch, unixepoch(), sealed FROM grants \
                WHERE name = ?1 AND epoch = ?2 AND generation = ifnull(?3, generation) AND sealed IS NOT NULL";
    if transaction.prepare_cached(copy)?.execute(params![name, Number(fence), expected.map(Number)])? == 0 {
        return Ok(None);
    }
    let epoch = fence.saturating_add(1);
    let empty = "UPDATE grants SET generation = 0, epoch = ?, sealed = NULL WHERE name = ?";
    transaction.prepare_cached(empty)?.execute(params![Number(epoch), name])?;
    let purge = "DELETE FROM quarantine WHERE kept_since < unixepoch() - ?";
    transaction.prepare_cached(purge)?.execute([QUARANTINE_SECONDS])?;
    Ok(Some(epoch))
}

fn is_absent(transaction: &Transaction<'_>, name: &str, fence: u64) -> rusqlite::Result<bool> {
    let there = "SELECT count(*) FROM grants WHERE name = ? AND (sealed IS NOT NULL OR epoch != ?)";
    transaction
        .prepare_cached(there)?
        .query_row(params![name, Number(fence)], |row| row.get::<_, i64>(0))
        .map(|n| n == 0)
}
