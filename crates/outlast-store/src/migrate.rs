//! The schema of the database, its version, and what a store says of itself.

use crate::failure::refused;
use crate::key::Derivation;
use crate::place;
use crate::seal::{KeyId, StoreId};
use outlast_core::StoreError;
use rusqlite::types::{FromSql, FromSqlResult, ToSql, ToSqlOutput, ValueRef};
use rusqlite::{Connection, OptionalExtension, Row, TransactionBehavior, params};
use std::path::Path;

/// The schema that this version writes; kept in `PRAGMA user_version`.
pub(crate) const SCHEMA: u32 = 2;
/// The oldest that this version reads and writes as it is, until it can be brought up to date.
pub(crate) const SCHEMA_OLDEST: u32 = 1;
/// The first that knows where its grants are at home.
pub(crate) const SCHEMA_WITH_PLACES: u32 = 2;
/// "OUTL"; kept in `PRAGMA application_id`.
pub(crate) const APPLICATION_ID: u32 = 0x4F55_544C;

/// Pages kept free inside the database for a record that grows while the disk is full (F20).
const RESERVE_BYTES: u32 = 64 * 1024;

const TABLES: &str = "
    CREATE TABLE meta (
        one INTEGER PRIMARY KEY CHECK (one = 1),
        store_id BLOB NOT NULL,
        key_source TEXT NOT NULL,
        key_id BLOB NOT NULL,
        key_check BLOB NOT NULL,
        passphrase_salt BLOB,
        passphrase_memory_kib INTEGER,
        passphrase_passes INTEGER,
        passphrase_lanes INTEGER
    ) STRICT;
    CREATE TABLE grants (
        name TEXT PRIMARY KEY,
        generation INTEGER NOT NULL,
        epoch INTEGER NOT NULL,
        sealed BLOB
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE quarantine (
        number INTEGER PRIMARY KEY,
        name TEXT NOT NULL,
        generation INTEGER NOT NULL,
        epoch INTEGER NOT NULL,
        kept_since INTEGER NOT NULL,
        sealed BLOB NOT NULL
    ) STRICT;
    CREATE TABLE reserve (one INTEGER PRIMARY KEY CHECK (one = 1), filler BLOB NOT NULL) STRICT;
";

/// What schema 2 has besides.
const PLACES: &str = "
    CREATE TABLE places (
        name TEXT PRIMARY KEY,
        machine BLOB,
        inode INTEGER,
        born INTEGER
    ) STRICT, WITHOUT ROWID;
";

/// What a store says of itself.
#[derive(Clone, Debug)]
pub(crate) struct Meta {
    /// Which store it is.
    pub(crate) store: StoreId,
    /// What kind of source its key comes from.
    pub(crate) key_source: String,
    /// What its key is called.
    pub(crate) key_id: KeyId,
    /// Something sealed with its key.
    pub(crate) key_check: Vec<u8>,
    /// How its key is derived, where that is from a passphrase.
    pub(crate) derivation: Option<Derivation>,
}

/// Makes the tables of an empty database, the file at `path`.
pub(crate) fn build(connection: &mut Connection, path: &Path, meta: &Meta) -> Result<(), StoreError> {
    let failed = |cause: rusqlite::Error| refused("making the database", &cause);
    let transaction = connection.transaction().map_err(failed)?;
    transaction.execute_batch(TABLES).map_err(failed)?;
    transaction.execute_batch(PLACES).map_err(failed)?;
    place::settle_at(&transaction, path, meta.store)?;
    let derivation = meta.derivation.as_ref();
    let columns = params![
        meta.store.0,
        meta.key_source,
        meta.key_id.0,
        meta.key_check,
        derivation.map(|d| d.salt),
        derivation.map(|d| d.memory_kib),
        derivation.map(|d| d.passes),
        derivation.map(|d| d.lanes),
    ];
    transaction.execute("INSERT INTO meta VALUES (1, ?, ?, ?, ?, ?, ?, ?, ?)", columns).map_err(failed)?;
    transaction.execute("INSERT INTO reserve VALUES (1, zeroblob(?))", [RESERVE_BYTES]).map_err(failed)?;
    transaction.pragma_update(None, "application_id", APPLICATION_ID).map_err(failed)?;
    transaction.pragma_update(None, "user_version", SCHEMA).map_err(failed)?;
    transaction.commit().map_err(failed)
}

/// From the oldest schema to this one, in one commit: the file at `path` is left as it was, or is whole.
pub(crate) fn bring_up_to_date(connection: &mut Connection, path: &Path, store: StoreId) -> Result<(), StoreError> {
    let failed = |cause: rusqlite::Error| refused("bringing the database up to date", &cause);
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(failed)?;
    if schema(&transaction).map_err(failed)? != SCHEMA_OLDEST {
        return Ok(());
    }
    transaction.execute_batch(PLACES).map_err(failed)?;
    place::settle_at(&transaction, path, store)?;
    transaction.pragma_update(None, "user_version", SCHEMA).map_err(failed)?;
    transaction.commit().map_err(failed)
}

/// Which key the store is sealed with now.
pub(crate) fn key_id(connection: &Connection) -> rusqlite::Result<Option<KeyId>> {
    connection.prepare_cached("SELECT key_id FROM meta")?.query_row([], |row| row.get(0).map(KeyId)).optional()
}

/// Names another key in what the store says of itself.
pub(crate) fn name_key(connection: &Connection, meta: &Meta) -> rusqlite::Result<()> {
    let derivation = meta.derivation.as_ref();
    let sql = "UPDATE meta SET key_id = ?, key_check = ?, passphrase_salt = ?, passphrase_memory_kib = ?, \
               passphrase_passes = ?, passphrase_lanes = ?";
    let columns = params![
        meta.key_id.0,
        meta.key_check,
        derivation.map(|d| d.salt),
        derivation.map(|d| d.memory_kib),
        derivation.map(|d| d.passes),
        derivation.map(|d| d.lanes),
    ];
    connection.execute(sql, columns).map(drop)
}

/// Puts the reserve back where it was given up; true if it is whole.
pub(crate) fn refill(connection: &Connection) -> bool {
    // A full disk refuses this; the statement then undoes itself, and the next commit tries again.
    let sql = "INSERT INTO reserve VALUES (1, zeroblob(?)) ON CONFLICT DO NOTHING";
    connection.execute(sql, [RESERVE_BYTES]).is_ok()
}

/// Gives the reserve's pages up to whatever else the transaction writes; true if there was one.
pub(crate) fn spend_reserve(connection: &Connection) -> rusqlite::Result<bool> {
    connection.execute("DELETE FROM reserve", []).map(|rows| rows > 0)
}

/// A number of 64 bits as it lies in a column: SQLite's integers are signed, so the upper half of
/// the range is stored as negative ones. Only ever compared for equality there.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Number(pub(crate) u64);

impl ToSql for Number {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(self.0.cast_signed().into())
    }
}

impl FromSql for Number {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        i64::column_result(value).map(|number| Self(number.cast_unsigned()))
    }
}

/// What the database's schema is, for [`judge`].
pub(crate) fn schema(connection: &Connection) -> rusqlite::Result<u32> {
    connection.prepare_cached("PRAGMA user_version")?.query_row([], |row| row.get(0))
}

/// Refuses a schema that this version does not know.
pub(crate) fn judge(schema: u32) -> Result<(), StoreError> {
    match schema {
        SCHEMA_OLDEST..=SCHEMA => Ok(()),
        0 => Err(StoreError::Corrupt {
            detail: "outlast.db is empty or not a store of Outlast; put the right file in its place".to_owned(),
        }),
        found => Err(StoreError::TooNew { found, known: SCHEMA }),
    }
}

/// What the store says of itself; none where that is missing or makes no sense.
pub(crate) fn meta(connection: &Connection) -> rusqlite::Result<Option<Meta>> {
    let columns = "store_id, key_source, key_id, key_check, \
         passphrase_salt, passphrase_memory_kib, passphrase_passes, passphrase_lanes";
    connection.prepare_cached(&format!("SELECT {columns} FROM meta"))?.query_row([], meta_row).optional()
}

fn meta_row(row: &Row<'_>) -> rusqlite::Result<Meta> {
    let derivation = match row.get::<_, Option<[u8; 16]>>(4)? {
        Some(salt) => Some(Derivation { salt, memory_kib: row.get(5)?, passes: row.get(6)?, lanes: row.get(7)? }),
        None => None,
    };
    Ok(Meta {
        store: StoreId(row.get(0)?),
        key_source: row.get(1)?,
        key_id: KeyId(row.get(2)?),
        key_check: row.get(3)?,
        derivation,
    })
}
