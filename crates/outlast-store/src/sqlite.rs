//! The store of one machine: grants in an SQLite database, each record sealed.

use crate::failure::{refused, unwritable};
use crate::high_water::HighWater;
use crate::holder;
use crate::home::{self, Home};
use crate::journal::FileJournal;
use crate::key::{self, KeySource};
use crate::lease;
use crate::migrate;
use crate::outage;
use crate::place::Place;
use crate::queue::Queue;
use crate::reader::{Reader, Whereabouts};
use crate::record::{self, Unknown};
use crate::rotate;
use crate::seal::StoreId;
use crate::upgrade;
use crate::vault::{Opened, Vault};
use crate::writer::{Change, Write, Writer, Written};
use outlast_core::{BoxFuture, Copied, Fence, Generation, Grant, GrantId, Lease, Outage, StoreError, TokenStore};
use rusqlite::{Connection, OpenFlags};
use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};

/// Reads that may wait for the thread that does them; further callers wait before they may ask.
const READS_MAX: usize = 1024;

/// The journal is made with this much disk space, so that the first commits need none. Zeros at its
/// start tell SQLite that there is nothing to undo.
const JOURNAL_BYTES: usize = 256 * 1024;

/// How often a record is sealed until the key is still the store's when its turn to be written comes.
const SEALS_MAX: usize = 10;

type Reading = Box<dyn FnOnce(&mut Reader) + Send>;

/// Keeps grants in a folder. Several processes may use the same one at the same time.
///
/// Opening starts no thread; the first awaited call starts one that reads, the first write one
/// that writes.
pub struct SqliteStore {
    home: Home,
    vault: Arc<Vault>,
    reader: Arc<Mutex<Reader>>,
    reads: OnceLock<mpsc::Sender<Reading>>,
    writer: Writer,
    /// What this version does not know of a record, to be written back with it (F27).
    unknown: Mutex<HashMap<GrantId, Unknown>>,
}

impl SqliteStore {
    /// Opens the store in `folder`, making it if there is none. An existing store is opened
    /// without writing, so that it can be read from a full or read-only disk.
    pub fn open(folder: &Path, source: KeySource) -> Result<Self, StoreError> {
        let home = Home::new(folder);
        home.refuse_network()?;
        if !home.check()? || !home::check_file(&home.database())? {
            create(&home, &source)?;
        }
        home.check_all()?;
        let mut reader = Reader::new(home.clone());
        let (unlocked, meta, ()) = key::unlock(&source, &home, || Ok((reader.meta()?, ())))?;
        if unlocked.is_changing {
            rotate::end_if_cut_off(&home, &source);
        }
        upgrade::if_nobody_uses_it(&home, &mut reader, meta.store);
        Ok(Self {
            writer: Writer::new(home.clone()),
            vault: Arc::new(Vault::new(home.clone(), source, meta.store, unlocked.key)),
            home,
            reader: Arc::new(Mutex::new(reader)),
            reads: OnceLock::new(),
            unknown: Mutex::default(),
        })
    }

    /// The journals of tasks that lie beside the grants. Touches nothing.
    pub fn journal(&self) -> FileJournal {
        FileJournal::new(self.home.clone(), Arc::clone(&self.vault))
    }

    /// [`TokenStore::load`] on the calling thread: for callers that have no runtime.
    pub fn load_blocking(&self, id: &GrantId) -> Result<Option<Grant>, StoreError> {
        let opened = self.vault.load(&mut locked(&self.reader), id)?;
        self.decoded(id, opened)
    }

    /// [`TokenStore::list`] on the calling thread.
    pub fn list_blocking(&self) -> Result<Vec<GrantId>, StoreError> {
        locked(&self.reader).list()
    }

    /// Moves a record that does not open to where forgotten ones are kept, so that the grant can be
    /// given again. Other grants are not touched.
    pub async fn set_aside(&self, lease: &Lease) -> Result<(), StoreError> {
        self.write(lease, Generation(0), Change::SetAside).await.map(drop)
    }

    fn decoded(&self, id: &GrantId, opened: Option<Opened>) -> Result<Option<Grant>, StoreError> {
        let Some(Opened { generation, plain }) = opened else { return Ok(None) };
        let (grant, unknown) = record::decode(id, Generation(generation), &plain)?;
        let mut kept = locked(&self.unknown);
        if unknown.is_empty() {
            kept.remove(id);
        } else {
            kept.insert(id.clone(), unknown);
        }
        Ok(Some(grant))
    }

    /// Writes `next`; where it `binds`, the grant is at home here from now on, and what was put back to an
    /// earlier state goes beyond every epoch that was seen.
    async fn put(&self, lease: &Lease, expected: Generation, next: &Grant, binds: bool) -> Result<(), StoreError> {
        let high_water = HighWater::new(&self.home, self.vault.store(), lease.grant());
        let (fence, highest) = (lease.fence().0, high_water.read());
        let epoch = if binds { fence.max(highest) } else { fence }.saturating_add(1);
        let (store, generation) = (self.vault.store(), next.generation.0);
        for _ in 0..SEALS_MAX {
            let sealed = self.sealed(next, epoch)?;
            let change = Change::Put { generation, epoch, sealed, binds: binds.then_some(store) };
            match self.write(lease, expected, change).await? {
                Written::Epoch(_) => {
                    if binds || highest <= fence {
                        high_water.write(epoch);
                    }
                    return Ok(());
                }
                Written::OtherKey => self.unlock_again().await?,
            }
        }
        Err(StoreError::Busy { grant: next.id.clone() })
    }

    fn sealed(&self, next: &Grant, epoch: u64) -> Result<Vec<u8>, StoreError> {
        let unknown = locked(&self.unknown).get(&next.id).cloned().unwrap_or_default();
        let plain = record::encode(next, &unknown)?;
        self.vault.seal(&next.id, (next.generation.0, epoch), &plain)
    }

    async fn unlock_again(&self) -> Result<(), StoreError> {
        let vault = Arc::clone(&self.vault);
        self.read(move |reader| vault.unlock_again(reader).map(drop)).await
    }

    async fn write(&self, lease: &Lease, expected: Generation, change: Change) -> Result<Written, StoreError> {
        let (grant, fence) = (lease.grant().clone(), lease.fence().0);
        let written = self.writer.write(Write { grant, expected: expected.0, fence, change }).await?;
        match written {
            Written::Epoch(epoch) => lease.advance(Fence(epoch)),
            Written::OtherKey => {}
        }
        Ok(written)
    }

    async fn read<T: Send + 'static>(
        &self,
        question: impl FnOnce(&mut Reader) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let (answer, answered) = oneshot::channel();
        // A caller that has gone needs no answer.
        let reading: Reading = Box::new(move |reader| drop(answer.send(question(reader))));
        self.reads()?.send(reading).await.map_err(|_| stopped())?;
        answered.await.map_err(|_| stopped())?
    }

    fn reads(&self) -> Result<&mpsc::Sender<Reading>, StoreError> {
        if let Some(reads) = self.reads.get() {
            return Ok(reads);
        }
        let (sender, mut receiver) = mpsc::channel::<Reading>(READS_MAX);
        let reader = Arc::clone(&self.reader);
        let serve = move || {
            while let Some(reading) = receiver.blocking_recv() {
                reading(&mut locked(&reader));
            }
        };
        std::thread::Builder::new()
            .name("outlast-reader".to_owned())
            .spawn(serve)
            .map_err(|cause| StoreError::Unwritable { detail: format!("no thread to read on: {cause}") })?;
        Ok(self.reads.get_or_init(|| sender))
    }
}

impl TokenStore for SqliteStore {
    fn list(&self) -> BoxFuture<'_, Result<Vec<GrantId>, StoreError>> {
        Box::pin(self.read(Reader::list))
    }

    fn load<'a>(&'a self, id: &'a GrantId) -> BoxFuture<'a, Result<Option<Grant>, StoreError>> {
        Box::pin(async move {
            let (vault, name) = (Arc::clone(&self.vault), id.clone());
            let opened = self.read(move |reader| vault.load(reader, &name)).await?;
            self.decoded(id, opened)
        })
    }

    fn lease<'a>(&'a self, id: &'a GrantId, patience: Duration) -> BoxFuture<'a, Result<Lease, StoreError>> {
        Box::pin(async move {
            let held = lease::acquire(&self.home, id, patience).await?;
            let name = id.clone();
            // Only now: before, another holder could still write.
            let epoch = self.read(move |reader| reader.epoch(&name)).await?;
            let is_held = held.watch(&self.home, id);
            Ok(Lease::new(id.clone(), Fence(epoch), held).watched(is_held))
        })
    }

    fn commit<'a>(
        &'a self,
        lease: &'a Lease,
        expected: Generation,
        next: &'a Grant,
    ) -> BoxFuture<'a, Result<(), StoreError>> {
        Box::pin(async move {
            if lease.grant() != &next.id || next.generation < expected {
                return Err(StoreError::Fenced { grant: next.id.clone() });
            }
            // A new token set is this place's own, whoever holds what came before it (F15).
            self.put(lease, expected, next, next.generation > expected).await
        })
    }

    fn forget<'a>(&'a self, lease: &'a Lease, expected: Generation) -> BoxFuture<'a, Result<(), StoreError>> {
        Box::pin(async move {
            self.write(lease, expected, Change::Forget).await?;
            locked(&self.unknown).remove(lease.grant());
            Ok(())
        })
    }

    fn changed<'a>(&'a self, grants: &'a [GrantId]) -> BoxFuture<'a, Result<Option<Vec<GrantId>>, StoreError>> {
        Box::pin(async move {
            let grants = grants.to_vec();
            self.read(move |reader| reader.changed(&grants)).await.map(Some)
        })
    }

    fn copied<'a>(&'a self, id: &'a GrantId) -> BoxFuture<'a, Result<Option<Copied>, StoreError>> {
        Box::pin(async move {
            let store = self.vault.store();
            let highest = HighWater::new(&self.home, store, id).read();
            let name = id.clone();
            let Whereabouts { bound, epoch, newest } = self.read(move |reader| reader.whereabouts(&name)).await?;
            if epoch < highest.max(newest) {
                return Ok(Some(Copied::PutBack));
            }
            let Some(bound) = bound else { return Ok(None) };
            Ok(Place::of(&self.home.database(), store)?.differs_from(&bound))
        })
    }

    fn adopt<'a>(&'a self, lease: &'a Lease) -> BoxFuture<'a, Result<(), StoreError>> {
        Box::pin(async move {
            match self.load(lease.grant()).await? {
                Some(held) => self.put(lease, held.generation, &held, true).await,
                None => Ok(()),
            }
        })
    }

    fn outage<'a>(
        &'a self,
        server: &'a str,
        change: &'a (dyn Fn(Outage) -> Outage + Send + Sync),
    ) -> BoxFuture<'a, Result<Option<Outage>, StoreError>> {
        Box::pin(async move { outage::change(&self.home, server, change).await.map(Some) })
    }
}

/// Reads one grant of the store in `folder` and nothing else: no thread, no write, no lock beyond
/// SQLite's own. For the command that prints a token. None if there is no store or no such record.
pub fn read_grant(folder: &Path, source: &KeySource, id: &GrantId) -> Result<Option<Grant>, StoreError> {
    let home = Home::new(folder);
    if !home.check()? || !home::check_file(&home.database())? {
        return Ok(None);
    }
    let mut reader = Reader::new(home.clone());
    let (unlocked, meta, raw) = key::unlock(source, &home, || reader.meta_and_record(id))?;
    let Some(raw) = raw else { return Ok(None) };
    let plain = raw.open(&unlocked.key, meta.store, id)?;
    record::decode(id, Generation(raw.generation), &plain).map(|(grant, _)| Some(grant))
}

/// Makes a store where there is none. It takes its name only when it is whole, so that an empty or
/// torn database is never one of ours.
fn create(home: &Home, source: &KeySource) -> Result<(), StoreError> {
    home.create()?;
    let queue = Queue::open(home)?;
    let Some(_turn) = queue.turn(home)? else {
        return Err(holder::locked(home));
    };
    if home::check_file(&home.database())? {
        return Ok(());
    }
    refuse_hot_journal(&home.journal())?;
    let meta = key::create(source, home, StoreId::draw()?)?;
    let unfinished = home.unfinished_database();
    fill(&unfinished, 0)?;
    build(&unfinished, &meta)?;
    fill(&home.journal(), JOURNAL_BYTES)?;
    home::publish(home, &unfinished, &home.database())
}

/// A journal with something in it belongs to a database that has gone: SQLite would write it into
/// ours.
fn refuse_hot_journal(journal: &Path) -> Result<(), StoreError> {
    use std::io::Read;
    let mut first = [0];
    let mut file = home::open_to_read(journal)?;
    let read = file.as_mut().map_or(Ok(0), |file| file.read(&mut first));
    match read.map_err(|cause| unwritable("reading", journal, cause))? {
        1.. if first != [0] => Err(StoreError::Corrupt {
            detail: format!("{} is there without its database; put both back, or neither", journal.display()),
        }),
        _ => Ok(()),
    }
}

/// Makes a file of zeros, in place of what an earlier attempt may have left. It is closed before
/// SQLite opens it: closing it later would release SQLite's locks.
fn fill(path: &Path, bytes: usize) -> Result<(), StoreError> {
    use std::io::Write;
    if home::check_file(path)? {
        std::fs::remove_file(path).map_err(|cause| unwritable("clearing", path, cause))?;
    }
    let mut file = home::create_file(path)?;
    let written = file.write_all(&vec![0; bytes]).and_then(|()| file.sync_all());
    written.map_err(|cause| unwritable("writing", path, cause))
}

fn build(path: &Path, meta: &migrate::Meta) -> Result<(), StoreError> {
    let failed = |cause: rusqlite::Error| refused("making the database", &cause);
    let mut connection = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_WRITE).map_err(failed)?;
    // No journal: until the file has its name, a failure leaves nothing worth undoing.
    connection.pragma_update_and_check(None, "journal_mode", "OFF", |_| Ok(())).map_err(failed)?;
    connection.pragma_update(None, "synchronous", "FULL").map_err(failed)?;
    migrate::build(&mut connection, path, meta)?;
    connection.close().map_err(|(_, cause)| failed(cause))
}

fn stopped() -> StoreError {
    StoreError::Unwritable { detail: "the thread that reads has ended".to_owned() }
}

/// A panic while it was held leaves nothing half-done behind: what it guards is only ever replaced.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
