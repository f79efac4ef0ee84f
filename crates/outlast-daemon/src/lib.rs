//! The sidecar: serves the library over HTTP and a unix socket, with nothing but its public interface.
//!
//! [`Config`](config::Config) says which grants there are. [`Sidecar`] runs the injecting proxy on
//! loopback, the control interface on a unix socket, and the background refresher.

pub mod client;
pub mod config;
mod control;
pub mod login_event;
mod metrics;
mod proxy;
mod record;
mod server;
mod sidecar;
pub mod status;
pub mod task_api;
pub mod task_plan;
pub mod token_file;

pub use control::TaskReach;
pub use record::RecordCounts;
pub use sidecar::{Options, Recording, Sidecar, SidecarError, draw_capability};
