//! What `flight.rs` and `latest.rs` are made of. A test compiles the same two files over an imitation of
//! this one whose every step is scheduled: `crates/outlast/tests/interleavings.rs`.

pub(crate) use arc_swap::ArcSwapOption;
pub(crate) use std::sync::{Mutex, MutexGuard};
pub(crate) use tokio::spawn;
pub(crate) use tokio::sync::Notify;
pub(crate) use tokio::task::AbortHandle;

/// A borrowed value of an [`ArcSwapOption`].
pub(crate) type Guard<T> = arc_swap::Guard<Option<std::sync::Arc<T>>>;
