//! For tests only: the renewal protocol as a state space that is searched whole (T8).
//!
//! Three processes, one store with lease, fence and compare-and-swap, one authorization server;
//! crashes, processes that are stopped and woken, requests and replies that are lost, delayed or
//! delivered twice, and a lock that is taken away. What the processes decide is decided by the
//! product's own `plan`, `begin`, `judge` and `settle`; only the order of the steps is written down
//! again, in `protocol.rs`, and `crates/outlast/tests/model_conformance.rs` holds the keeper to it.
//!
//! The search is our own, breadth first over explicit states. `stateright`, the crate most used for
//! this, brings a web server and 30 crates that we do not have, and its `eventually` is documented
//! to miss violations where paths join, which is where ours would be: liveness here is a deadline in
//! the model's time, and the graph is shown to have no cycle.

pub mod call;
pub mod checker;
pub mod decisions;
pub mod event;
pub mod promise;
pub mod protocol;
pub mod server;
mod trouble;
pub mod world;
