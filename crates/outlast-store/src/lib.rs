//! Makes bytes durable; cannot open a socket. Not an API boundary; use `outlast`.
//!
//! [`SqliteStore`] keeps grants in one folder, sealed, and hands out the leases that allow one
//! holder at a time to change one; [`MemoryStore`] does the same without a disk, for tests. What
//! lies on disk is described byte by byte in `docs/formats.md`.

mod aside;
mod boot;
mod failure;
mod file_system;
mod high_water;
mod holder;
mod home;
#[cfg(any(test, fuzzing))]
pub mod hostile;
mod journal;
pub mod key;
mod lease;
mod memory;
mod migrate;
mod note;
mod outage;
mod place;
mod queue;
mod reader;
mod record;
mod rotate;
mod seal;
mod sqlite;
mod upgrade;
mod vault;
mod writer;

pub use boot::boot_began;
pub use journal::{FileJournal, MemoryJournal, sha256};
pub use key::KeySource;
pub use memory::MemoryStore;
pub use rotate::{Rotated, rotate_key};
pub use sqlite::{SqliteStore, read_grant};
