//! Changes the key that seals a store, so that either side of a crash opens (F26).
//!
//! The new key is kept beside the old one first, and each task's journal opens with it too. Then one commit
//! seals every record anew and names the new key. Only when all that is on disk opens with it, and what was
//! sealed with the old one has been removed, does it take the old one's place. Whatever is left by a crash in
//! between is ended by whoever opens the store next. SQLite's lock is held wherever a key is made or erased: two
//! of us never do it together.

use crate::failure::refused;
use crate::holder::locked;
use crate::home::{self, Home};
use crate::journal::{self, Journals};
use crate::key::{self, Beside, Both, KeySource};
use crate::lease::{self, Held};
use crate::migrate::{self, Meta, Number};
use crate::queue::Queue;
use crate::reader::Reader;
use crate::seal::{self, Binding, StoreId, StoreKey};
use crate::writer;
use outlast_core::{GrantId, StoreError};
use rusqlite::types::Value;
use rusqlite::{Connection, Transaction, TransactionBehavior, params};
use std::path::Path;
use std::time::Duration;

/// For how long the leases are waited for: a renewal that is under way comes to its end first.
const LEASES_PATIENCE: Duration = Duration::from_secs(30);
/// For how long those that were got are held while another is missing, and how long they are let go of then.
const ROUND_PATIENCE: Duration = Duration::from_secs(2);
const BETWEEN_ROUNDS: Duration = Duration::from_millis(100);
/// First and longest wait between two looks at one.
const LOOK_FIRST: Duration = Duration::from_millis(1);
const LOOK_LAST: Duration = Duration::from_millis(5);
/// Whoever only opens the store waits no longer to end a change that was cut off.
const PASSING_BY: Duration = Duration::from_millis(50);

/// The tables of sealed records, each with what tells its rows apart. A test holds that there are no more.
const SEALED: [(&str, &str); 2] = [(GRANTS, "name"), ("quarantine", "number")];
const GRANTS: &str = "grants";

/// What was sealed anew.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rotated {
    /// Records of grants.
    pub grants: usize,
    /// Records that were forgotten or set aside, and are kept for a while.
    pub aside: usize,
    /// Journals of tasks.
    pub tasks: usize,
    /// Records aside and journals that did not open with the old key either, and were left as they are.
    pub damaged: usize,
}

/// Changes the key of the store in `folder`; none if there is no store. No grant is renewed meanwhile, and
/// processes that use the store go on with the new key by themselves.
///
/// # Errors
/// [`StoreError::Busy`] if a renewal did not come to its end in time. Before the one commit, every error leaves
/// the store as it was; after it, the new key is the store's, and what is left of the old one is removed when
/// the store is opened next.
pub fn rotate_key(folder: &Path, source: &KeySource) -> Result<Option<Rotated>, StoreError> {
    let home = Home::new(folder);
    home.refuse_network()?;
    if !home.check()? || !home::check_file(&home.database())? {
        return Ok(None);
    }
    home.check_all()?;
    let mut reader = Reader::new(home.clone());
    // Before anybody is kept waiting: whether the present key can be had at all.
    key::unlock(source, &home, || Ok((reader.meta()?, ())))?;
    let _leases = leases(&home, &mut reader, LEASES_PATIENCE)?;
    let queue = Queue::open(&home)?;
    let Some(_turn) = queue.turn(&home)? else { return Err(locked(&home)) };
    let mut connection = open(&home)?;
    end(&mut connection, &home, source)?;
    let rotated = seal_anew(&mut connection, &home, source)?;
    drop(connection);
    // Opened anew: what was just written is to be read from the file (F23).
    open(&home).and_then(|mut connection| complete(&mut connection, &home, source)).map_err(not_erased)?;
    Ok(Some(rotated))
}

/// Ends a change that its process did not live to end, if that can be done in passing.
pub(crate) fn end_if_cut_off(home: &Home, source: &KeySource) {
    let ended = open(home).and_then(|mut connection| {
        connection.busy_timeout(PASSING_BY).map_err(|cause| failed(&cause))?;
        end(&mut connection, home, source)
    });
    match ended {
        Ok(()) => tracing::info!("a change of the store's key that was cut off is ended"),
        Err(cause) => {
            tracing::warn!(%cause, "a change of the store's key is under way, or was cut off; it is ended later")
        }
    }
}

/// The leases of all grants. Those that were got are given back now and then while one is missing: its holder
/// may be waiting for another, and nobody is to wait for long.
fn leases(home: &Home, reader: &mut Reader, mut patience: Duration) -> Result<Vec<Held>, StoreError> {
    let grants = reader.list()?;
    loop {
        let mut round = ROUND_PATIENCE.min(patience);
        patience -= round;
        let busy = match leases_within(home, &grants, &mut round)? {
            Ok(held) => return Ok(held),
            Err(busy) => busy,
        };
        if patience.is_zero() {
            return Err(StoreError::Busy { grant: busy });
        }
        std::thread::park_timeout(BETWEEN_ROUNDS);
    }
}

/// The same in one go, or the grant whose lease was not to be had.
fn leases_within(
    home: &Home,
    grants: &[GrantId],
    patience: &mut Duration,
) -> Result<Result<Vec<Held>, GrantId>, StoreError> {
    let mut held = Vec::new();
    for grant in grants {
        let mut pause = LOOK_FIRST;
        loop {
            if let Some(lease) = lease::try_acquire(home, &home.lease(grant))? {
                held.push(lease);
                break;
            }
            if patience.is_zero() {
                return Ok(Err(grant.clone()));
            }
            let nap = lease::jittered(pause)?.min(*patience);
            // Nobody wakes this thread; it may wake early, which only makes it look sooner.
            std::thread::park_timeout(nap);
            *patience -= nap;
            pause = (pause * 2).min(LOOK_LAST);
        }
    }
    Ok(Ok(held))
}

/// The one commit.
fn seal_anew(connection: &mut Connection, home: &Home, source: &KeySource) -> Result<Rotated, StoreError> {
    let transaction = begin(connection)?;
    let meta = meta(&transaction)?;
    let Both { own, beside } = key::both(source, home, &meta)?;
    // Before anything is removed or made: that the key in its place is the store's.
    let old = own.ok().filter(|own| own.id() == meta.key_id).ok_or_else(in_use)?;
    key::check(&old, &meta)?;
    if !matches!(beside, Beside::Nothing) {
        key::discard(source, home, meta.store)?;
    }
    let sealed = key::draw_beside(source, home, &meta).and_then(|(next, next_meta)| {
        let Journals { whole, damaged } = journal::seal_beside(home, meta.store, &old, &next)?;
        let mut rotated = seal_records(&transaction, meta.store, &old, &next)?;
        (rotated.tasks, rotated.damaged) = (whole, rotated.damaged + damaged);
        migrate::name_key(&transaction, &next_meta).map_err(|cause| failed(&cause))?;
        Ok(rotated)
    });
    if sealed.is_err() {
        // While the lock is held, or it might be another's. What cannot be removed now is when the store is
        // opened next.
        drop(key::discard(source, home, meta.store));
    }
    let rotated = sealed?;
    // If this fails nobody knows which key the store is sealed with: both stay where they are (F23).
    transaction.commit().map_err(|cause| failed(&cause))?;
    Ok(rotated)
}

fn seal_records(
    transaction: &Transaction<'_>,
    store: StoreId,
    old: &StoreKey,
    next: &StoreKey,
) -> Result<Rotated, StoreError> {
    let mut rotated = Rotated::default();
    each_record(transaction, |table, row, binding, sealed| {
        let binding = Binding { store, ..binding };
        let plain = match seal::open(old, &binding, sealed) {
            Err(StoreError::Corrupt { .. }) if table != GRANTS => {
                rotated.damaged += 1;
                return Ok(());
            }
            opened => opened?,
        };
        let (_, key_column) = SEALED.into_iter().find(|(name, _)| *name == table).unwrap_or(SEALED[0]);
        let update = format!("UPDATE {table} SET sealed = ? WHERE {key_column} = ?");
        let sealed = seal::seal(next, &binding, &plain)?;
        let mut statement = transaction.prepare_cached(&update).map_err(|cause| failed(&cause))?;
        statement.execute(params![sealed, row]).map_err(|cause| failed(&cause))?;
        *if table == GRANTS { &mut rotated.grants } else { &mut rotated.aside } += 1;
        Ok(())
    })?;
    Ok(rotated)
}

/// Hands each sealed record over: its table, what tells its row, where it lies, and its bytes. The store is
/// left to be filled in.
fn each_record(
    connection: &Connection,
    mut each: impl FnMut(&str, &Value, Binding<'_>, &[u8]) -> Result<(), StoreError>,
) -> Result<(), StoreError> {
    for (table, key_column) in SEALED {
        let select =
            |columns: &str, rest: &str| format!("SELECT {columns} FROM {table} WHERE sealed IS NOT NULL{rest}");
        let keys = connection
            .prepare(&select(key_column, &format!(" ORDER BY {key_column}")))
            .and_then(|mut rows| rows.query_map([], |row| row.get(0))?.collect::<rusqlite::Result<Vec<Value>>>())
            .map_err(|cause| failed(&cause))?;
        let one = select("name, generation, epoch, sealed", &format!(" AND {key_column} = ?"));
        for key in keys {
            let mut statement = connection.prepare_cached(&one).map_err(|cause| failed(&cause))?;
            let (name, generation, epoch, sealed): (String, Number, Number, Vec<u8>) = statement
                .query_row([&key], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?)))
                .map_err(|cause| failed(&cause))?;
            let binding = Binding { store: StoreId([0; 16]), name: &name, generation: generation.0, epoch: epoch.0 };
            each(table, &key, binding, &sealed)?;
        }
    }
    Ok(())
}

/// Ends what a change has left, whether its commit took place or not.
fn end(connection: &mut Connection, home: &Home, source: &KeySource) -> Result<(), StoreError> {
    // The commit may have failed at its very last sync: what is seen is made to be what a power cut leaves.
    writer::make_certain(connection).map_err(|cause| failed(&cause))?;
    let transaction = begin(connection)?;
    let meta = meta(&transaction)?;
    let Both { own, beside } = key::both(source, home, &meta)?;
    let took_place = match (&own, &beside) {
        (_, Beside::Nothing) => return Ok(()),
        (_, Beside::Key(next)) if next.id() == meta.key_id => true,
        (Ok(own), _) if own.id() == meta.key_id => false,
        // Neither opens the store, and neither is touched.
        (_, Beside::Key(_) | Beside::NoKey) => return Err(in_use()),
    };
    if !took_place {
        key::discard(source, home, meta.store)?;
        return Ok(());
    }
    drop(transaction);
    complete(connection, home, source)
}

/// Erases the old key, once nothing that is on disk needs it, and nothing that it opens is left.
fn complete(connection: &mut Connection, home: &Home, source: &KeySource) -> Result<(), StoreError> {
    remove_what_was(connection).map_err(|cause| failed(&cause))?;
    let transaction = begin(connection)?;
    let meta = meta(&transaction)?;
    let Both { own, beside } = key::both(source, home, &meta)?;
    let is_beside = matches!(&beside, Beside::Key(next) if next.id() == meta.key_id);
    let (next, old) = match (own, beside) {
        (own, Beside::Key(next)) if is_beside => (next, own.ok()),
        (Ok(own), _) if own.id() == meta.key_id => (own, None),
        (_, Beside::Key(_) | Beside::NoKey | Beside::Nothing) => return Err(in_use()),
    };
    verify(&transaction, &meta, &next, old.as_ref())?;
    journal::seal_alone(home, meta.store, &next, old.as_ref())?;
    home::remove(&home.backup(migrate::SCHEMA_OLDEST))?;
    // No writer is at work while the lock is held, and one that died was undone when it was taken: the journal
    // holds nothing that is needed.
    home::blank(&home.journal())?;
    if is_beside {
        key::promote(source, home, meta.store)?;
    }
    Ok(())
}

/// Every record opens with the key that will be the only one. What is aside and opens with neither was
/// damaged before.
fn verify(
    transaction: &Transaction<'_>,
    meta: &Meta,
    next: &StoreKey,
    old: Option<&StoreKey>,
) -> Result<(), StoreError> {
    key::check(next, meta)?;
    each_record(transaction, |table, _, binding, sealed| {
        let binding = Binding { store: meta.store, ..binding };
        let needed = || table == GRANTS || old.is_none_or(|old| seal::open(old, &binding, sealed).is_ok());
        match seal::open(next, &binding, sealed) {
            Err(cause) if needed() => Err(cause),
            Ok(_) | Err(_) => Ok(()),
        }
    })
}

/// Writes the database anew without the pages that records lay in once: they would open with the old key.
fn remove_what_was(connection: &Connection) -> rusqlite::Result<()> {
    // In memory, not in a folder of temporary files.
    connection.pragma_update(None, "temp_store", "MEMORY")?;
    connection.execute_batch("VACUUM")
}

fn begin(connection: &mut Connection) -> Result<Transaction<'_>, StoreError> {
    let transaction =
        connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(|cause| failed(&cause))?;
    migrate::judge(migrate::schema(&transaction).map_err(|cause| failed(&cause))?)?;
    Ok(transaction)
}

fn meta(transaction: &Transaction<'_>) -> Result<Meta, StoreError> {
    let found = migrate::meta(transaction).map_err(|cause| failed(&cause))?;
    found.ok_or_else(|| StoreError::Corrupt { detail: "the store does not say which one it is".to_owned() })
}

fn open(home: &Home) -> Result<Connection, StoreError> {
    writer::open(home)?.map_err(|cause| failed(&cause))
}

fn failed(cause: &rusqlite::Error) -> StoreError {
    refused("changing the key of the store", cause)
}

fn in_use() -> StoreError {
    StoreError::Unwritable { detail: "another process was changing its key all the while; try again".to_owned() }
}

/// The commit is made: nothing may be said that sounds as if the key were the old one.
fn not_erased(cause: StoreError) -> StoreError {
    let why = match cause {
        StoreError::Unwritable { detail } => detail,
        locked @ StoreError::Locked { .. } => locked.to_string(),
        other => return other,
    };
    StoreError::Unwritable {
        detail: format!(
            "the key was changed and every record is sealed with the new one; the old one could not be erased yet, \
             and is when the store is opened next: {why}"
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sqlite::SqliteStore;
    use std::collections::BTreeSet;

    fn store() -> (tempfile::TempDir, Home) {
        let folder = tempfile::tempdir().unwrap();
        let home = Home::new(&folder.path().join("home"));
        SqliteStore::open(home.folder(), KeySource::File).unwrap();
        (folder, home)
    }

    #[test]
    fn f26_whatever_kept_the_old_key_from_being_erased_it_is_said_that_the_key_was_changed() {
        for cause in [StoreError::Locked { holder: Some(7) }, StoreError::Unwritable { detail: "full".to_owned() }] {
            assert!(not_erased(cause).to_string().contains("the key was changed"));
        }
    }

    /// Whoever adds a table of sealed records finds out here that a change of the key has to reach it.
    #[test]
    fn f26_no_table_of_sealed_records_is_left_out() {
        let (_folder, home) = store();
        let sql = "SELECT tables.name FROM sqlite_master AS tables, pragma_table_info(tables.name) AS columns \
                   WHERE tables.type = 'table' AND columns.name LIKE '%seal%'";
        let connection = open(&home).unwrap();
        let mut tables = connection.prepare(sql).unwrap();
        let found: BTreeSet<String> =
            tables.query_map([], |row| row.get(0)).unwrap().collect::<rusqlite::Result<_>>().unwrap();
        assert_eq!(found, SEALED.into_iter().map(|(table, _)| table.to_owned()).collect());
    }

    #[test]
    fn f26_the_key_is_not_changed_under_a_renewal_and_no_other_grant_waits_for_it() {
        let (_folder, home) = store();
        let sql = "INSERT INTO grants VALUES ('busy', 1, 1, x'00'), ('a', 1, 1, x'00')";
        open(&home).unwrap().execute(sql, []).unwrap();
        let id = |name| GrantId::parse(name).unwrap();
        let _renewing = lease::try_acquire(&home, &home.lease(&id("busy"))).unwrap().unwrap();
        let refused = leases(&home, &mut Reader::new(home.clone()), Duration::from_millis(20)).unwrap_err();
        assert!(matches!(refused, StoreError::Busy { grant } if grant == id("busy")));
        assert!(lease::try_acquire(&home, &home.lease(&id("a"))).unwrap().is_some());
    }
}
