//! Reading the database, on a connection that cannot write.

use crate::failure::{is_busy, needs_rollback, refused};
use crate::holder::locked;
use crate::home::{self, Home};
use crate::migrate::{self, Meta, Number};
use crate::place::{self, Place};
use crate::seal::{self, Binding, KeyId, StoreId, StoreKey};
use outlast_core::{GrantId, StoreError};
use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags, OptionalExtension};
use std::collections::HashMap;
use std::time::Duration;
use zeroize::Zeroizing;

/// For how long a commit of another connection is waited for.
pub(crate) const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// A record as it lies there.
#[derive(Debug)]
pub(crate) struct Raw {
    /// Its generation.
    pub(crate) generation: u64,
    /// Its epoch.
    pub(crate) epoch: u64,
    /// What is sealed in it.
    pub(crate) sealed: Vec<u8>,
}

impl Raw {
    /// What the key is called that it was sealed with.
    pub(crate) fn key_id(&self) -> Option<KeyId> {
        seal::key_id(&self.sealed)
    }

    /// Opens the seal.
    pub(crate) fn open(&self, key: &StoreKey, store: StoreId, id: &GrantId) -> Result<Zeroizing<Vec<u8>>, StoreError> {
        let (generation, epoch) = (self.generation, self.epoch);
        seal::open(key, &Binding { store, name: id.as_str(), generation, epoch }, &self.sealed)
    }
}

/// Where a grant is at home, and how far its record has come.
#[derive(Debug)]
pub(crate) struct Whereabouts {
    /// The place it is bound to, where the store knows one.
    pub(crate) bound: Option<Place>,
    /// The epoch of its record; zero if there is none.
    pub(crate) epoch: u64,
    /// The highest epoch that this process has seen.
    pub(crate) newest: u64,
}

/// Reads one database, and remembers the newest it has seen of each record.
#[derive(Debug)]
pub(crate) struct Reader {
    home: Home,
    connection: Option<Connection>,
    /// The file that the connection is to: another one may have been put in its place.
    mark: Option<(u64, u64)>,
    newest: HashMap<GrantId, u64>,
    /// How many connections there were, which tells this one from those before it.
    connections: u64,
    /// What [`Reader::changed`] found last: which connection it asked, and what that one said.
    looked: Option<(u64, i64)>,
}

impl Reader {
    /// Touches nothing yet.
    pub(crate) fn new(home: Home) -> Self {
        Self { home, connection: None, mark: None, newest: HashMap::new(), connections: 0, looked: None }
    }

    /// What the store says of itself.
    pub(crate) fn meta(&mut self) -> Result<Meta, StoreError> {
        self.read("reading what the store says of itself", migrate::meta)?.ok_or_else(nameless)
    }

    /// Which schema it has.
    pub(crate) fn schema(&mut self) -> Result<u32, StoreError> {
        self.read("reading the schema", migrate::schema)
    }

    /// The record of a grant, if there is one.
    pub(crate) fn load(&mut self, id: &GrantId) -> Result<Option<Raw>, StoreError> {
        let row = self.read("reading a record", |connection| row(connection, id))?;
        self.remember(id, row.as_ref().map_or(0, |(_, epoch, _)| *epoch))?;
        Ok(row.and_then(into_raw))
    }

    /// Both of the above, seen at one time.
    pub(crate) fn meta_and_record(&mut self, id: &GrantId) -> Result<(Meta, Option<Raw>), StoreError> {
        let (meta, row) =
            self.read("reading a record", |connection| Ok((migrate::meta(connection)?, row(connection, id)?)))?;
        Ok((meta.ok_or_else(nameless)?, row.and_then(into_raw)))
    }

    /// The epoch of a grant's record; zero if there never was one.
    pub(crate) fn epoch(&mut self, id: &GrantId) -> Result<u64, StoreError> {
        let epoch = self.read("reading an epoch", |connection| epoch(connection, id))?;
        self.remember(id, epoch)?;
        Ok(epoch)
    }

    /// Those of these grants whose records have another epoch than when they were last read here. Looks at
    /// one number where nobody has written anything.
    pub(crate) fn changed(&mut self, ids: &[GrantId]) -> Result<Vec<GrantId>, StoreError> {
        let version = self.read("looking for changes", |connection| {
            connection.pragma_query_value(None, "data_version", |row| row.get(0))
        })?;
        let seen = Some((self.connections, version));
        if self.looked == seen {
            return Ok(Vec::new());
        }
        let epochs = self.read("reading epochs", |connection| {
            ids.iter().map(|id| epoch(connection, id)).collect::<rusqlite::Result<Vec<_>>>()
        })?;
        let known = |id| self.newest.get(id).copied().unwrap_or(0);
        let changed: Vec<GrantId> =
            ids.iter().zip(epochs).filter(|(id, epoch)| *epoch != known(id)).map(|(id, _)| id.clone()).collect();
        // What could not be read at once is told again, though nobody has written since.
        self.looked = seen.filter(|_| changed.is_empty());
        Ok(changed)
    }

    /// The place that a grant is bound to, where one is known, its epoch, and the highest that was seen.
    pub(crate) fn whereabouts(&mut self, id: &GrantId) -> Result<Whereabouts, StoreError> {
        let (bound, epoch) = self.read("reading where a grant is at home", |connection| {
            let known = migrate::schema(connection)? >= migrate::SCHEMA_WITH_PLACES;
            let bound = if known { place::bound(connection, id)? } else { None };
            Ok((bound, row(connection, id)?.map_or(0, |(_, epoch, _)| epoch)))
        })?;
        Ok(Whereabouts { bound, epoch, newest: self.newest.get(id).copied().unwrap_or(0) })
    }

    /// The names of all grants that have a record.
    pub(crate) fn list(&mut self) -> Result<Vec<GrantId>, StoreError> {
        let names = self.read("reading the names", |connection| {
            let sql = "SELECT name FROM grants WHERE sealed IS NOT NULL ORDER BY name";
            let mut statement = connection.prepare_cached(sql)?;
            statement.query_map([], |row| row.get::<_, String>(0))?.collect::<rusqlite::Result<Vec<_>>>()
        })?;
        Ok(names.iter().filter_map(|name| parsed(name)).collect())
    }

    /// An epoch never falls, not even when a grant is forgotten: a lower one than we have seen means that
    /// the file was put back to an earlier state under us, with a spent token in it. [`Reader::whereabouts`]
    /// tells; a record that has gone altogether is damage.
    fn remember(&mut self, id: &GrantId, epoch: u64) -> Result<(), StoreError> {
        let newest = self.newest.get(id).copied().unwrap_or(0);
        if epoch == 0 && newest > 0 {
            let detail = format!("the record of {id} has gone while it was in use");
            return Err(StoreError::Corrupt { detail });
        }
        // Names that have no record are not kept: a caller may ask for any number of them.
        if epoch > newest {
            self.newest.insert(id.clone(), epoch);
        }
        Ok(())
    }

    fn read<T>(&mut self, doing: &str, query: impl Fn(&Connection) -> rusqlite::Result<T>) -> Result<T, StoreError> {
        let mut answer = self.attempt(&query)?;
        if answer.as_ref().is_err_and(needs_rollback) {
            roll_back(&self.home)?;
            answer = self.attempt(&query)?;
        }
        answer.map_err(|cause| if is_busy(&cause) { locked(&self.home) } else { refused(doing, &cause) })
    }

    /// One try, on the connection at hand or a new one; after a failure it is not used again.
    fn attempt<T>(
        &mut self,
        query: impl Fn(&Connection) -> rusqlite::Result<T>,
    ) -> Result<rusqlite::Result<T>, StoreError> {
        let mark = home::mark(&self.home.database());
        let current = self.connection.take().filter(|_| self.mark == mark);
        self.mark = mark;
        let connection = match current {
            Some(connection) => connection,
            None => match connect(&self.home, OpenFlags::SQLITE_OPEN_READ_ONLY)? {
                Ok(connection) => {
                    self.connections += 1;
                    connection
                }
                Err(cause) => return Ok(Err(cause)),
            },
        };
        let answer = in_one_view(&connection, query)?;
        if answer.is_ok() {
            self.connection = Some(connection);
        }
        Ok(answer)
    }
}

/// Opens the database with `flags`, hardened against a file that somebody else wrote.
pub(crate) fn connect(home: &Home, flags: OpenFlags) -> Result<rusqlite::Result<Connection>, StoreError> {
    let path = home.database();
    if !home::check_file(&path)? {
        return Err(StoreError::Corrupt { detail: format!("{} has gone", path.display()) });
    }
    let opened = Connection::open_with_flags(&path, flags | OpenFlags::SQLITE_OPEN_NO_MUTEX);
    Ok(opened.and_then(|connection| {
        harden(&connection)?;
        connection.busy_timeout(BUSY_TIMEOUT)?;
        // D7: with mmap, a failing disk is a signal that kills the process, not an error.
        connection.pragma_update(None, "mmap_size", 0)?;
        Ok(connection)
    }))
}

fn harden(connection: &Connection) -> rusqlite::Result<()> {
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_TRIGGER, false)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_VIEW, false)?;
    Ok(())
}

/// Runs a query on one state of the database, whose schema this version knows.
fn in_one_view<T>(
    connection: &Connection,
    query: impl Fn(&Connection) -> rusqlite::Result<T>,
) -> Result<rusqlite::Result<T>, StoreError> {
    let view = match connection.unchecked_transaction() {
        Ok(view) => view,
        Err(cause) => return Ok(Err(cause)),
    };
    match migrate::schema(&view) {
        Ok(schema) => migrate::judge(schema)?,
        Err(cause) => return Ok(Err(cause)),
    }
    Ok(query(&view))
}

/// Undoes the commit that a writer died in. Takes a connection that may write; SQLite does it
/// before it reads.
fn roll_back(home: &Home) -> Result<(), StoreError> {
    let failed = |cause: rusqlite::Error| match is_busy(&cause) {
        true => locked(home),
        false => refused("undoing an unfinished commit", &cause),
    };
    let connection = connect(home, OpenFlags::SQLITE_OPEN_READ_WRITE)?.map_err(failed)?;
    migrate::schema(&connection).map(drop).map_err(failed)
}

type Row = (u64, u64, Option<Vec<u8>>);

fn row(connection: &Connection, id: &GrantId) -> rusqlite::Result<Option<Row>> {
    let sql = "SELECT generation, epoch, sealed FROM grants WHERE name = ?";
    let mut statement = connection.prepare_cached(sql)?;
    statement
        .query_row([id.as_str()], |row| {
            let (Number(generation), Number(epoch)) = (row.get(0)?, row.get(1)?);
            Ok((generation, epoch, row.get(2)?))
        })
        .optional()
}

/// Zero where there is no record.
fn epoch(connection: &Connection, id: &GrantId) -> rusqlite::Result<u64> {
    let mut statement = connection.prepare_cached("SELECT epoch FROM grants WHERE name = ?")?;
    let found = statement.query_row([id.as_str()], |row| row.get(0)).optional()?;
    Ok(found.map_or(0, |Number(epoch)| epoch))
}

fn into_raw((generation, epoch, sealed): Row) -> Option<Raw> {
    sealed.map(|sealed| Raw { generation, epoch, sealed })
}

fn nameless() -> StoreError {
    StoreError::Corrupt { detail: "the store does not say which one it is".to_owned() }
}

fn parsed(name: &str) -> Option<GrantId> {
    let parsed = GrantId::parse(name);
    if let Err(why) = parsed {
        tracing::warn!(why, "a record has a name that no grant can have; it is left out");
    }
    parsed.ok()
}
