//! More than a hundred and twenty ways in which a store goes bad (T13): each is found, none is used, none is
//! made anew, and the other grants go on where theirs is not touched.

#![allow(clippy::disallowed_methods, reason = "files are damaged on purpose")]
#![allow(clippy::unwrap_used, clippy::print_stdout, missing_docs)]

mod support;

use outlast_core::{Copied, StoreError, TokenStore};
use outlast_store::{KeySource, SqliteStore};
use rusqlite::{Connection, params};
use std::path::{Path, PathBuf};
use support::{Folder, PATIENCE, grant, id, put, runtime};

/// What the folder holds when nothing is wrong with it.
struct Good {
    folder: Folder,
    whole: Vec<u8>,
    key: Vec<u8>,
    /// The record of `crm`, now and one generation ago.
    now: Vec<u8>,
    ago: Vec<u8>,
    other: Vec<u8>,
}

impl Good {
    fn new() -> Self {
        let folder = Folder::new();
        let ago = runtime().block_on(async {
            let store = folder.open();
            put(&store, 0, &grant("crm", 1)).await.unwrap();
            let ago = sealed(&folder.database(), "crm");
            put(&store, 1, &grant("crm", 2)).await.unwrap();
            put(&store, 0, &grant("other", 1)).await.unwrap();
            ago
        });
        let (whole, key) = (std::fs::read(folder.database()).unwrap(), std::fs::read(key_of(&folder)).unwrap());
        let (now, other) = (sealed(&folder.database(), "crm"), sealed(&folder.database(), "other"));
        Self { folder, whole, key, now, ago, other }
    }

    /// Puts everything back.
    fn restore(&self) {
        std::fs::write(self.folder.database(), &self.whole).unwrap();
        std::fs::write(key_of(&self.folder), &self.key).unwrap();
    }

    fn put_record(&self, bytes: &[u8]) {
        let connection = self.connect();
        connection.execute("UPDATE grants SET sealed = ? WHERE name = 'crm'", params![bytes]).unwrap();
    }

    fn connect(&self) -> Connection {
        let connection = Connection::open(self.folder.database()).unwrap();
        connection.pragma_update(None, "synchronous", "OFF").unwrap();
        connection
    }
}

fn key_of(folder: &Folder) -> PathBuf {
    folder.home.join("key-beside-data")
}

fn sealed(database: &Path, name: &str) -> Vec<u8> {
    let connection = Connection::open(database).unwrap();
    connection.query_row("SELECT sealed FROM grants WHERE name = ?", [name], |row| row.get(0)).unwrap()
}

/// A record that is not the one that was written there.
fn records(good: &Good) -> Vec<(String, Vec<u8>)> {
    let (now, length) = (&good.now, good.now.len());
    let mut rows = Vec::new();
    // Format and algorithm, the key's name, the nonce, the body's first bytes, the tag.
    for at in (1..38).chain(length - 16..length) {
        let mut flipped = now.clone();
        flipped[at] ^= 1 << (at % 8);
        rows.push((format!("bit {} of byte {at}", at % 8), flipped));
    }
    for kept in [0, 1, 2, 9, 10, 11, 21, 22, 23, 37, 38, length / 2, length - 16, length - 1] {
        rows.push((format!("cut to {kept}"), now[..kept].to_vec()));
    }
    let longer = [&b"\0"[..], b"\xff", &[0; 16], &[0; 4096], now];
    rows.extend(longer.map(|more| (format!("{} bytes more", more.len()), [now.as_slice(), more].concat())));
    for fill in [0x00, 0xff, 0x20, 0x7b] {
        rows.push((format!("all of it {fill:#x}"), [&[1, 1][..], &vec![fill; length - 2]].concat()));
    }
    rows.push(("text".to_owned(), br#"{"tokens":{"access":"planted"}}"#.to_vec()));
    rows.push(("a shift by one".to_owned(), [&[1][..], &now[..length - 1]].concat()));
    rows.push(("two halves swapped".to_owned(), [&now[length / 2..], &now[..length / 2]].concat()));
    rows.push(("another grant's".to_owned(), good.other.clone()));
    rows.push(("an earlier one of its own".to_owned(), good.ago.clone()));
    rows.push(("its own head, an earlier body".to_owned(), [&now[..22], &good.ago[22..]].concat()));
    rows.push(("its own body, an earlier tag".to_owned(), spliced(now, &good.ago)));
    rows
}

fn spliced(now: &[u8], ago: &[u8]) -> Vec<u8> {
    [&now[..now.len() - 16], &ago[ago.len() - 16..]].concat()
}

const STATEMENTS: [&str; 12] = [
    "UPDATE grants SET generation = 0 WHERE name = 'crm'",
    "UPDATE grants SET generation = 1 WHERE name = 'crm'",
    "UPDATE grants SET generation = 3 WHERE name = 'crm'",
    "UPDATE grants SET generation = -2 WHERE name = 'crm'",
    "UPDATE grants SET generation = 9223372036854775807 WHERE name = 'crm'",
    "UPDATE grants SET epoch = 0 WHERE name = 'crm'",
    "UPDATE grants SET epoch = 1 WHERE name = 'crm'",
    "UPDATE grants SET epoch = epoch + 1 WHERE name = 'crm'",
    "UPDATE grants SET epoch = -1 WHERE name = 'crm'",
    "UPDATE grants SET epoch = 9223372036854775807 WHERE name = 'crm'",
    "UPDATE grants SET generation = 1, epoch = 1 WHERE name = 'crm'",
    "UPDATE grants SET sealed = x'' WHERE name = 'crm'",
];

#[test]
fn t13_every_record_that_is_not_the_one_that_was_written_is_found_and_can_be_set_aside() {
    let good = Good::new();
    let tried = |what: &str| {
        match good.folder.read("crm") {
            Err(StoreError::Corrupt { detail }) => assert!(!detail.contains("planted"), "{what}: {detail}"),
            unexpected => panic!("{what}: {unexpected:?}"),
        }
        assert_eq!(good.folder.read("other").unwrap(), Some(grant("other", 1)), "{what}: others go on");
    };
    let records = records(&good);
    for (place, (what, bytes)) in records.iter().enumerate() {
        good.put_record(bytes);
        tried(what);
        if !bytes.is_empty() && place % 8 == 0 {
            set_aside(&good, bytes, what);
        }
        good.restore();
    }
    for sql in STATEMENTS {
        good.connect().execute_batch(sql).unwrap();
        tried(sql);
        good.restore();
    }
    let count = records.len() + STATEMENTS.len();
    println!("{count} records");
    assert!(count >= 90, "{count}");
}

/// Kept as it is for whoever wants to know, and out of the way.
fn set_aside(good: &Good, bytes: &[u8], what: &str) {
    let store = good.folder.open();
    runtime().block_on(async {
        let lease = store.lease(&id("crm"), PATIENCE).await.unwrap();
        store.set_aside(&lease).await.unwrap();
        assert_eq!(store.load(&id("crm")).await.unwrap(), None, "{what}");
    });
    let kept: Vec<u8> = good
        .connect()
        .query_row("SELECT sealed FROM quarantine WHERE name = 'crm' ORDER BY number DESC LIMIT 1", [], |row| {
            row.get(0)
        })
        .unwrap();
    assert_eq!(kept, bytes, "{what}");
}

#[test]
fn t13_two_records_that_changed_places_are_both_found() {
    let good = Good::new();
    good.put_record(&good.other);
    good.connect().execute("UPDATE grants SET sealed = ? WHERE name = 'other'", params![good.now]).unwrap();
    let both_are_found = || {
        for name in ["crm", "other"] {
            assert!(matches!(good.folder.read(name), Err(StoreError::Corrupt { .. })), "{name}");
        }
        good.restore();
    };
    both_are_found();
    // The whole rows, generation and epoch with them; names are unique at every step, so by way of a third.
    let steps = "UPDATE grants SET name = 'x' WHERE name = 'crm'; UPDATE grants SET name = 'crm' WHERE name = 'other';
        UPDATE grants SET name = 'other' WHERE name = 'x'";
    good.connect().execute_batch(steps).unwrap();
    both_are_found();
}

/// A whole folder that is not as it was left: what is done to it, by name.
fn folders(good: &Good) -> Vec<(String, Vec<u8>, Vec<u8>)> {
    let (whole, key) = (&good.whole, &good.key);
    let mut rows = Vec::new();
    let mut database = |what: String, bytes: Vec<u8>| rows.push((what, bytes, key.clone()));
    // The file's own head: magic, page size, versions, sizes, schema cookie and format, encoding, our version.
    for at in [0, 8, 15, 16, 17, 18, 19, 20, 21, 22, 23, 40, 44, 47, 56, 59, 60, 63] {
        let mut flipped = whole.clone();
        flipped[at] ^= 0xff;
        database(format!("head byte {at}"), flipped);
    }
    for kept in [0, 1, 15, 16, 99, 100, 1024, 4095, 4096, 4097, 8192, whole.len() / 2, whole.len() - 1] {
        database(format!("cut to {kept}"), whole[..kept].to_vec());
    }
    for page in 0..(whole.len() / 4096).min(6) {
        let mut blank = whole.clone();
        blank[page * 4096..(page + 1) * 4096].fill(0);
        database(format!("page {page} blank"), blank);
    }
    for page in 1..(whole.len() / 4096).min(6) {
        let mut doubled = whole.clone();
        doubled.copy_within((page - 1) * 4096..page * 4096, page * 4096);
        database(format!("page {page} a copy of the one before"), doubled);
    }
    database("text".to_owned(), b"not a database\n".repeat(1000));
    database("zeros".to_owned(), vec![0; whole.len()]);
    let mut with_key = |what: String, bytes: Vec<u8>| rows.push((what, whole.clone(), bytes));
    for at in [0, key.len() / 2, key.len() - 2] {
        let mut flipped = key.clone();
        flipped[at] ^= 0x01;
        with_key(format!("key byte {at}"), flipped);
    }
    for kept in [0, 1, key.len() / 2] {
        with_key(format!("key cut to {kept}"), key[..kept].to_vec());
    }
    with_key("key doubled".to_owned(), [key.as_slice(), key].concat());
    with_key("key of zeros".to_owned(), vec![0; key.len()]);
    rows
}

#[test]
fn t13_no_damage_to_the_folder_yields_another_grant_or_a_new_store() {
    let good = Good::new();
    let (mut count, mut found) = (0, 0);
    for (what, database, key) in folders(&good) {
        std::fs::write(good.folder.database(), &database).unwrap();
        std::fs::write(key_of(&good.folder), &key).unwrap();
        let opened = SqliteStore::open(&good.folder.home, KeySource::File).map(drop);
        for (name, generation) in [("crm", 2), ("other", 1)] {
            match good.folder.read(name) {
                Ok(Some(read)) => assert_eq!(read, grant(name, generation), "{what}"),
                Ok(None) => assert!(database != good.whole, "{what}: a wrong key hides nothing"),
                Err(_) => found += 1,
            }
        }
        if opened.is_err() {
            assert_eq!(std::fs::read(good.folder.database()).unwrap(), database, "{what}: nothing was touched");
        }
        assert_eq!(std::fs::read(key_of(&good.folder)).unwrap(), key, "{what}: no key is made anew");
        count += 1;
        good.restore();
    }
    println!("{count} folders, {found} of {} reads refused", 2 * count);
    assert!(count >= 45 && found >= count, "{count} {found}");
}

const META: [&str; 12] = [
    "UPDATE meta SET store_id = randomblob(16)",
    "UPDATE meta SET store_id = zeroblob(16)",
    "UPDATE meta SET store_id = x'00'",
    "UPDATE meta SET store_id = x''",
    "UPDATE meta SET key_id = randomblob(8)",
    "UPDATE meta SET key_id = x''",
    "UPDATE meta SET key_check = randomblob(length(key_check))",
    "UPDATE meta SET key_check = x''",
    "DELETE FROM meta",
    "DROP TABLE meta",
    "DROP TABLE grants",
    "ALTER TABLE grants RENAME COLUMN sealed TO opened",
];

#[test]
fn t13_a_store_that_says_something_else_of_itself_is_refused() {
    let good = Good::new();
    for sql in META {
        good.connect().execute_batch(sql).unwrap();
        let damaged = std::fs::read(good.folder.database()).unwrap();
        let opened = SqliteStore::open(&good.folder.home, KeySource::File).map(drop);
        assert!(good.folder.read("crm").is_err(), "{sql}");
        assert!(good.folder.read("other").is_err(), "{sql}");
        assert_eq!(std::fs::read(key_of(&good.folder)).unwrap(), good.key, "{sql}: no key is made anew");
        if opened.is_err() {
            assert_eq!(std::fs::read(good.folder.database()).unwrap(), damaged, "{sql}: nothing was touched");
        }
        good.restore();
    }
}

#[test]
fn t13_a_record_that_is_put_back_under_a_running_process_is_found_at_every_generation() {
    let folder = Folder::new();
    let store = folder.open();
    runtime().block_on(async {
        let mut earlier = Vec::new();
        for generation in 1..=12 {
            put(&store, generation - 1, &grant("crm", generation)).await.unwrap();
            let connection = Connection::open(folder.database()).unwrap();
            let row: (i64, i64, Vec<u8>) = connection
                .query_row("SELECT generation, epoch, sealed FROM grants WHERE name = 'crm'", [], |row| {
                    Ok((row.get(0)?, row.get(1)?, row.get(2)?))
                })
                .unwrap();
            assert_eq!(store.load(&id("crm")).await.unwrap(), Some(grant("crm", generation)));
            let write = |(generation, epoch, sealed): &(i64, i64, Vec<u8>)| {
                let sql = "UPDATE grants SET generation = ?, epoch = ?, sealed = ? WHERE name = 'crm'";
                connection.execute(sql, params![generation, epoch, sealed]).unwrap();
            };
            for old in &earlier {
                write(old);
                // It opens, for it was one of ours; and it is told, so that nothing of it is spent (F15).
                assert_eq!(store.copied(&id("crm")).await.unwrap(), Some(Copied::PutBack), "{generation}");
            }
            write(&row);
            assert_eq!(store.copied(&id("crm")).await.unwrap(), None);
            assert_eq!(store.load(&id("crm")).await.unwrap(), Some(grant("crm", generation)), "as it was");
            earlier.push(row);
        }
    });
}

#[test]
fn t13_no_flipped_byte_of_a_store_of_64_kib_is_read_wrongly() {
    let folder = Folder::new();
    let names: Vec<String> = (0..20).map(|number| format!("g{number}")).collect();
    runtime().block_on(async {
        let store = folder.open();
        for name in &names {
            put(&store, 0, &grant(name, 1)).await.unwrap();
        }
    });
    let nightly = std::env::var("OUTLAST_NIGHTLY").is_ok_and(|value| value == "1");
    let whole = std::fs::read(folder.database()).unwrap();
    let (mut right, mut missed, mut refused) = (0_u64, 0_u64, 0_u64);
    let runtime = runtime();
    for position in (0..whole.len()).step_by(if nightly { 1 } else { 499 }) {
        let mut flipped = whole.clone();
        flipped[position] ^= 0xff;
        std::fs::write(folder.database(), &flipped).unwrap();
        let Ok(store) = SqliteStore::open(&folder.home, KeySource::File) else {
            refused += names.len() as u64;
            continue;
        };
        for name in &names {
            match runtime.block_on(store.load(&id(name))) {
                Ok(Some(read)) if read == grant(name, 1) => right += 1,
                Ok(Some(read)) => panic!("byte {position}: {name} is read as {read:?}"),
                Ok(None) => missed += 1,
                Err(_) => refused += 1,
            }
        }
    }
    let bytes = whole.len();
    println!("{bytes} bytes, {} grants: 0 wrong reads; {right} right, {refused} refused, {missed} missed", names.len());
    assert!(bytes >= 64 * 1024 && right > refused && refused > 0);
}
