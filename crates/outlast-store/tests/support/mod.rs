//! What several tests need: a folder with a store, and children that are this test binary again.

#![allow(clippy::disallowed_methods, reason = "children are told by environment; files are damaged on purpose")]
#![allow(dead_code, clippy::unwrap_used, clippy::print_stdout, missing_docs, unreachable_pub)]

use outlast_core::{Generation, Grant, GrantId, StoreError, TokenStore};
use outlast_store::{KeySource, SqliteStore, read_grant};
pub use outlast_testkit::contract::token_store::{grant, id};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

pub const PATIENCE: Duration = Duration::from_secs(60);

/// In the environment of a child: the folder of its store.
pub const HOME: &str = "OUTLAST_TEST_CHILD_HOME";

pub struct Folder {
    _parent: tempfile::TempDir,
    pub home: PathBuf,
}

impl Folder {
    pub fn new() -> Self {
        let parent = tempfile::tempdir().unwrap();
        let home = parent.path().join("home");
        Self { _parent: parent, home }
    }

    pub fn open(&self) -> SqliteStore {
        open(&self.home)
    }

    pub fn database(&self) -> PathBuf {
        self.home.join("outlast.db")
    }

    /// What a new process would read.
    pub fn read(&self, name: &str) -> Result<Option<Grant>, StoreError> {
        read_grant(&self.home, &KeySource::File, &id(name))
    }
}

pub fn open(home: &Path) -> SqliteStore {
    SqliteStore::open(home, KeySource::File).unwrap()
}

pub async fn put(store: &SqliteStore, expected: u64, next: &Grant) -> Result<(), StoreError> {
    let lease = store.lease(&next.id, PATIENCE).await?;
    store.commit(&lease, Generation(expected), next).await
}

/// One generation on, under the lease, from whatever is there.
pub async fn increment(store: &SqliteStore, name: &GrantId) -> Result<u64, StoreError> {
    let lease = store.lease(name, PATIENCE).await?;
    let held = store.load(name).await?.map_or(0, |held| held.generation.0);
    store.commit(&lease, Generation(held), &grant(name.as_str(), held + 1)).await?;
    Ok(held + 1)
}

/// This test binary again, to run the one test `child`, which does nothing unless told a folder.
pub fn child(home: &Path) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "child", "--nocapture"]).env(HOME, home);
    command
}

/// The folder, in a child.
pub fn told_home() -> Option<PathBuf> {
    std::env::var_os(HOME).map(PathBuf::from)
}

pub fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_time().build().unwrap()
}

/// Whether this is the superuser, who alone can mount and give files away; says so if not.
pub fn is_superuser(test: &str) -> bool {
    let superuser = rustix::process::geteuid().is_root();
    if !superuser {
        println!("SKIPPED {test}: it needs the superuser");
    }
    superuser
}
