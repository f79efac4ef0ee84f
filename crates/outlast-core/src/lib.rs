//! Words and decisions of Outlast. Not an API boundary; use `outlast`.
//!
//! Nothing here does IO or reads a clock: time comes in by argument, and every judgement is a
//! function over plain data. The ports at the edge ([`Clock`], [`GrantType`], [`TokenEndpoint`],
//! [`TokenStore`]) live here too, so that each can be faked and each implementation tested.

pub mod breaker;
pub mod classify;
pub mod clock;
pub mod error;
pub mod freshness;
pub mod grant;
pub mod history;
pub mod id_token;
pub mod journal;
pub mod key_request;
pub mod options;
pub mod outage;
pub mod outcome;
pub mod plan;
pub mod reach;
pub mod replay;
pub mod rotation;
pub mod secret;
pub mod settle;
pub mod sign_in;
pub mod store;
pub mod strategy;
pub mod task;
pub mod task_plan;
pub mod token;
pub mod token_response;
pub mod wanted;
pub mod wire;

pub use classify::{EndpointKind, Judgement, Quirks, Verdict, classify};
pub use clock::{Clock, Timestamp};
pub use error::{Advice, Code};
pub use grant::{Cause, ClientAuth, Grant, GrantId, Standing, Terms, Trouble};
pub use history::{Event, Happening, History, Process};
pub use journal::{Claim, Journal, JournalError};
pub use key_request::KeyRequest;
pub use outage::Outage;
pub use outcome::Outcome;
pub use plan::{Ask, Plan, plan};
pub use reach::Reach;
pub use secret::Secret;
pub use settle::settle;
pub use store::{Copied, Fence, Lease, LeaseWatch, StoreError, TokenStore};
pub use strategy::{GrantType, Renewing, Strategy};
pub use task::{StepKey, TaskId, TaskView};
pub use token::{Generation, TokenSet};
pub use wire::{Answer, Provider, Reply, TokenEndpoint, TokenRequest, TokenResponse};

/// A boxed future, so that the ports can be trait objects.
pub type BoxFuture<'a, T> = std::pin::Pin<Box<dyn Future<Output = T> + Send + 'a>>;
