//! Brings a store of an older schema up to date: a backup first, then one commit.
//!
//! The change is made in the file that is there, and not in a copy that takes its name: an older version
//! that is running looks at the schema in every transaction and stops; one whose file lost its name would
//! go on writing to it, and spend what it has. SQLite's journal leaves the old or the new one, whatever
//! happens in between.

use crate::failure::{refused, unwritable};
use crate::home::{self, Home};
use crate::lease;
use crate::migrate;
use crate::queue::Queue;
use crate::reader::Reader;
use crate::seal::StoreId;
use crate::writer;
use outlast_core::StoreError;
use rusqlite::{Connection, OpenFlags};
use std::fs::File;
use std::path::Path;

/// Does it if no lease of the store is held. Otherwise, and where nothing can be written, the store is used as
/// it is: this version reads and writes both.
pub(crate) fn if_nobody_uses_it(home: &Home, reader: &mut Reader, store: StoreId) {
    match reader.schema() {
        Ok(schema) if schema < migrate::SCHEMA => {}
        Ok(_) | Err(_) => return,
    }
    match upgrade(home, reader, store) {
        Ok(true) => tracing::info!("the store was brought up to date; the one before is kept beside it"),
        Ok(false) => tracing::debug!("the store is in use, and is brought up to date another time"),
        Err(cause) => tracing::warn!(%cause, "the store could not be brought up to date, and is used as it is"),
    }
}

fn upgrade(home: &Home, reader: &mut Reader, store: StoreId) -> Result<bool, StoreError> {
    // An older version that has sent a refresh token must be able to write down what came back.
    let mut leases = Vec::new();
    for grant in reader.list()? {
        let Some(held) = lease::try_acquire(home, &home.lease(&grant))? else { return Ok(false) };
        leases.push(held);
    }
    let queue = Queue::open(home)?;
    let Some(_turn) = queue.turn(home)? else { return Ok(false) };
    if reader.schema()? != migrate::SCHEMA_OLDEST {
        return Ok(true);
    }
    let failed = |cause: rusqlite::Error| refused("bringing the store up to date", &cause);
    let mut connection = writer::open(home)?.map_err(failed)?;
    back_up(home, &connection)?;
    migrate::bring_up_to_date(&mut connection, &home.database(), store)?;
    check(&connection, migrate::SCHEMA).map_err(failed)?;
    Ok(true)
}

/// A whole copy under another name. It takes that name when it is synced and has been looked through.
fn back_up(home: &Home, connection: &Connection) -> Result<(), StoreError> {
    let backup = home.backup(migrate::SCHEMA_OLDEST);
    let unfinished = backup.with_extension(format!("schema-{}.new", migrate::SCHEMA_OLDEST));
    home::remove(&unfinished)?;
    drop(home::create_file(&unfinished)?);
    let failed = |cause: rusqlite::Error| refused("making a backup of the store", &cause);
    // SQLite takes an empty file for a place to write to, and it keeps the mode it was made with.
    let path = unfinished.to_str().ok_or_else(|| unwritable("naming", &unfinished, "the path is no text"))?;
    connection.execute("VACUUM INTO ?", [path]).map_err(failed)?;
    File::open(&unfinished)
        .and_then(|file| file.sync_all())
        .map_err(|cause| unwritable("syncing", &unfinished, cause))?;
    verify(&unfinished).map_err(failed)?;
    home::replace(home, &unfinished, &backup)
}

fn verify(path: &Path) -> rusqlite::Result<()> {
    let copy = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    check(&copy, migrate::SCHEMA_OLDEST)
}

fn check(connection: &Connection, schema: u32) -> rusqlite::Result<()> {
    let found = migrate::schema(connection)?;
    let whole: String = connection.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
    if found == schema && whole == "ok" { Ok(()) } else { Err(rusqlite::Error::InvalidQuery) }
}
