//! Where a store is at home: this machine and this file, so that a copy is told from the original (F15).

use crate::failure::{refused, unwritable};
use crate::file_system;
use crate::migrate::Number;
use crate::seal::StoreId;
use aws_lc_rs::digest::{SHA256, digest};
use outlast_core::{Copied, GrantId, StoreError};
use rusqlite::{Connection, OptionalExtension, Row, params};
use rustix::fs::{AtFlags, CWD, StatxFlags, statx};
use std::path::Path;

const MACHINE_ID: &str = "/etc/machine-id";
const MACHINE_LABEL: &[u8] = b"outlast machine\0";
const MACHINE_BYTES: usize = 16;
/// Longest machine id that is one.
const MACHINE_ID_BYTES_MAX: usize = 64;
/// What containers leave for who asks whether this is one.
const CONTAINER_MARKS: [&str; 3] = ["/.dockerenv", "/run/.containerenv", "/run/systemd/container"];
/// The name of the place of all grants that have none of their own: no grant's name is empty.
const EVERY_GRANT: &str = "";

/// A place. What is not known of it is not compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    machine: Option<[u8; MACHINE_BYTES]>,
    inode: Option<u64>,
    /// When the file was made, in nanoseconds since 1970.
    born: Option<i64>,
}

impl Place {
    /// The place of the database at `path`. No device numbers: they change from boot to boot.
    pub(crate) fn of(path: &Path, store: StoreId) -> Result<Self, StoreError> {
        let found = statx(CWD, path, AtFlags::SYMLINK_NOFOLLOW, StatxFlags::INO | StatxFlags::BTIME)
            .map_err(|cause| unwritable("looking at", path, cause))?;
        let known = |what: StatxFlags| found.stx_mask & what.bits() != 0;
        let born = found.stx_btime;
        Ok(Self {
            machine: machine(store),
            inode: (known(StatxFlags::INO) && file_system::of(path).keeps_inode_numbers()).then_some(found.stx_ino),
            born: known(StatxFlags::BTIME)
                .then(|| born.tv_sec.saturating_mul(1_000_000_000).saturating_add(i64::from(born.tv_nsec))),
        })
    }

    /// Why what was bound to `bound` is a copy here; nothing if it is not, or if nobody can tell.
    pub(crate) fn differs_from(&self, bound: &Self) -> Option<Copied> {
        fn differ<T: PartialEq>(here: Option<T>, there: Option<T>) -> bool {
            here.zip(there).is_some_and(|(here, there)| here != there)
        }
        if differ(self.machine, bound.machine) {
            return Some(Copied::AnotherMachine);
        }
        (differ(self.inode, bound.inode) || differ(self.born, bound.born)).then_some(Copied::AnotherFile)
    }
}

/// This machine, as this store knows it: the id itself is nobody's business (machine-id(5)). None where
/// it does not last: a container is replaced, and what it is given as an id with it.
fn machine(store: StoreId) -> Option<[u8; MACHINE_BYTES]> {
    let path = Path::new(MACHINE_ID);
    if !file_system::of(path).is_lasting() || CONTAINER_MARKS.iter().any(|mark| Path::new(mark).exists()) {
        return None;
    }
    let text = std::fs::read(path).ok()?;
    let id = text.trim_ascii();
    if id.is_empty() || id.len() > MACHINE_ID_BYTES_MAX || id == b"uninitialized" {
        return None;
    }
    let digest = digest(&SHA256, &[MACHINE_LABEL, &store.0, id].concat());
    digest.as_ref().first_chunk().copied()
}

/// The place that a grant is bound to: its own, or that of all. None where the store knows no places.
pub(crate) fn bound(connection: &Connection, id: &GrantId) -> rusqlite::Result<Option<Place>> {
    let sql = "SELECT machine, inode, born FROM places WHERE name IN (?, ?) ORDER BY name DESC LIMIT 1";
    connection.prepare_cached(sql)?.query_row([id.as_str(), EVERY_GRANT], from_row).optional()
}

/// Binds all grants that have no place of their own.
pub(crate) fn bind_every_grant(connection: &Connection, here: &Place) -> rusqlite::Result<()> {
    insert(connection, EVERY_GRANT, here)
}

/// Binds a grant, if it is not bound to `here` already: that costs a page of the commit.
pub(crate) fn bind(connection: &Connection, id: &GrantId, here: &Place) -> rusqlite::Result<()> {
    match bound(connection, id)? {
        Some(bound) if here.differs_from(&bound).is_none() => Ok(()),
        Some(_) | None => insert(connection, id.as_str(), here),
    }
}

fn insert(connection: &Connection, name: &str, here: &Place) -> rusqlite::Result<()> {
    let sql = "INSERT OR REPLACE INTO places (name, machine, inode, born) VALUES (?, ?, ?, ?)";
    let columns = params![name, here.machine, here.inode.map(Number), here.born];
    connection.prepare_cached(sql)?.execute(columns).map(drop)
}

fn from_row(row: &Row<'_>) -> rusqlite::Result<Place> {
    let inode: Option<Number> = row.get(1)?;
    Ok(Place { machine: row.get(0)?, inode: inode.map(|Number(inode)| inode), born: row.get(2)? })
}

/// [`bind_every_grant`] for the database at `path`, in words of ours.
pub(crate) fn settle_at(connection: &Connection, path: &Path, store: StoreId) -> Result<(), StoreError> {
    let here = Place::of(path, store)?;
    bind_every_grant(connection, &here).map_err(|cause| refused("writing down where the store is", &cause))
}

#[cfg(test)]
mod tests {
    use super::*;

    const HERE: Place = Place { machine: Some([1; 16]), inode: Some(7), born: Some(9) };

    #[test]
    fn f15_another_machine_or_another_file_is_told_and_what_is_not_known_is_no_alarm() {
        let told = |here: Place| here.differs_from(&HERE);
        assert_eq!(told(HERE), None);
        assert_eq!(told(Place { machine: Some([2; 16]), ..HERE }), Some(Copied::AnotherMachine));
        assert_eq!(told(Place { machine: Some([2; 16]), inode: Some(8), ..HERE }), Some(Copied::AnotherMachine));
        assert_eq!(told(Place { inode: Some(8), ..HERE }), Some(Copied::AnotherFile));
        assert_eq!(told(Place { born: Some(8), ..HERE }), Some(Copied::AnotherFile));
        let nothing = Place { machine: None, inode: None, born: None };
        for unknown in
            [Place { machine: None, ..HERE }, Place { inode: None, ..HERE }, Place { born: None, ..HERE }, nothing]
        {
            assert_eq!((told(unknown), HERE.differs_from(&unknown)), (None, None), "{unknown:?}");
        }
    }
}
