//! What must hold for any damage to a store's file. Used by the test beside it and by a fuzz target.

use outlast_core::{Generation, TokenStore};
use outlast_store::{KeySource, SqliteStore, read_grant};
use outlast_testkit::contract::token_store::{grant, id};
use std::path::{Path, PathBuf};
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(60);
/// Names and generations of the grants that are in it.
const GRANTS: [(&str, u64); 3] = [("crm", 2), ("mail", 1), ("other", 1)];

struct Bed {
    _folder: tempfile::TempDir,
    home: PathBuf,
    whole: Vec<u8>,
    runtime: tokio::runtime::Runtime,
}

impl Bed {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let home = folder.path().join("home");
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
        let store = SqliteStore::open(&home, KeySource::File).expect("a store");
        runtime.block_on(async {
            for (name, last) in GRANTS {
                for generation in 1..=last {
                    let lease = store.lease(&id(name), PATIENCE).await.expect("a lease");
                    let next = grant(name, generation);
                    store.commit(&lease, Generation(generation - 1), &next).await.expect("a commit");
                }
            }
        });
        drop(store);
        let whole = std::fs::read(home.join("outlast.db")).expect("the file");
        Self { _folder: folder, home, whole, runtime }
    }
}

thread_local! {
    static BED: Bed = Bed::new();
}

/// A store: what is read of it is what was written last, or it is missed; nothing else. The input is a list of
/// damages, four bytes each.
pub fn store(input: &[u8]) {
    BED.with(|bed| {
        let damaged = damaged(&bed.whole, input);
        let database = bed.home.join("outlast.db");
        std::fs::write(&database, &damaged).expect("damage");
        for (name, last) in GRANTS {
            if let Ok(Some(read)) = read_grant(&bed.home, &KeySource::File, &id(name)) {
                assert_eq!(read, grant(name, last));
            }
        }
        bed.runtime.block_on(used(&bed.home));
        // A reader may have begun a journal; the next input is a store of its own.
        let _ = std::fs::remove_file(bed.home.join("outlast.db-journal"));
    });
}

/// What a process does that works with it.
async fn used(home: &Path) {
    let Ok(store) = SqliteStore::open(home, KeySource::File) else { return };
    let _ = store.list().await;
    for (name, last) in GRANTS {
        if let Ok(Some(read)) = store.load(&id(name)).await {
            assert_eq!(read, grant(name, last));
        }
    }
    let (name, last) = GRANTS[0];
    let Ok(lease) = store.lease(&id(name), PATIENCE).await else { return };
    if store.commit(&lease, Generation(last), &grant(name, last + 1)).await.is_ok()
        && let Ok(read) = store.load(&id(name)).await
    {
        assert_eq!(read, Some(grant(name, last + 1)));
    }
}

fn damaged(whole: &[u8], input: &[u8]) -> Vec<u8> {
    let mut bytes = whole.to_vec();
    for damage in input.chunks_exact(4).take(16) {
        let length = bytes.len().max(1);
        let (at, value) = (usize::from(u16::from_be_bytes([damage[0], damage[1]])) % length, damage[3]);
        let end = (at + usize::from(value) + 1).min(bytes.len());
        match damage[2] % 6 {
            0 if at < bytes.len() => bytes[at] ^= value.max(1),
            1 if at < bytes.len() => bytes[at] = value,
            2 => bytes.truncate(at),
            3 => bytes[at.min(end)..end].fill(0),
            4 => {
                let part = bytes[at.min(end)..end].to_vec();
                let to = (at + 4096) % length;
                let room = part.len().min(bytes.len().saturating_sub(to));
                bytes[to.min(length - 1)..][..room].copy_from_slice(&part[..room]);
            }
            _ => bytes.extend(std::iter::repeat_n(value, usize::from(value))),
        }
    }
    bytes
}
