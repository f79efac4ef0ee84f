//! Keeps OAuth credentials alive for as long as a task runs.
//!
//! A [`Keeper`] holds grants. Ask it for an access token before every request: the fresh path takes
//! no lock and does no IO; a token is renewed behind the callers before it expires, once for all
//! callers of all processes, and what was renewed is on disk before anybody sees it.
//!
//! ```no_run
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! use outlast::{Ask, ClientAuth, GrantId, GrantSettings, Server, Settings};
//!
//! let crm = GrantId::parse("crm")?;
//! let issuer = Server::Issuer("https://login.example.com".to_owned());
//! let keeper = Settings::new("/var/lib/agent/outlast")
//!     .grant(GrantSettings {
//!         client_id: "agent".to_owned(),
//!         client_auth: ClientAuth::Basic(outlast::Secret::new("from your secret store")),
//!         scope: vec!["api".to_owned()],
//!         ..GrantSettings::new(crm.clone(), "client_credentials", issuer)
//!     })
//!     .open()?;
//! let _refresher = keeper.refresh_in_background();
//!
//! let grant = keeper.grant(&crm)?;
//! let token = grant.access_token(Ask::default()).await?;
//! println!("good until {:?}", token.expires_at());
//! # Ok(()) }
//! ```

mod at_disk;
mod command;
mod copied;
mod discovery;
mod flight;
mod handle;
mod introspection;
mod keeper;
mod key_request;
mod latest;
mod login;
mod logout;
mod look_out;
pub mod middleware;
mod open;
mod park;
mod presentation;
mod published;
mod redeem;
mod refresher;
mod retire;
mod servers;
mod settings;
mod spending;
mod subject_grant;
mod sync;
mod system_clock;
pub mod task;
mod token_error;
mod unpersisted;
mod window;

pub use handle::GrantHandle;
pub use introspection::Introspected;
pub use keeper::{Keeper, PATIENCE};
pub use login::{LoggedIn, LoginError, LoginOptions, LoginPrompt, LoginStep, LoginWay};
pub use logout::{AtServer, LoggedOut};
pub use open::{OpenError, Settings, read_record, rotate_key};
pub use outlast_core::classify;
pub use outlast_core::freshness;
pub use outlast_core::grant::{Cause, ClientAuth, Grant, GrantId, Standing, Terms, Trouble, Wanted};
pub use outlast_core::history::{EVENTS_MAX, Event, Happening, History, Process};
pub use outlast_core::key_request::KeyRequest;
pub use outlast_core::options::{GrantOption, OptionKind, OptionValue, Options};
pub use outlast_core::plan::{Ask, By, Rejected};
pub use outlast_core::secret::Secret;
pub use outlast_core::store::{Copied, StoreError};
pub use outlast_core::strategy::{GrantType, Recovery, Renewal, Rotation, Strategy};
pub use outlast_core::task_plan;
pub use outlast_core::token::{Generation, TokenSet, TokenType};
pub use outlast_core::token_response::read_token_set;
pub use outlast_core::wire::{Provider, SigningKey, TokenResponse};
pub use outlast_core::{Advice, BoxFuture, Clock, Code, Outage, Reach, Timestamp};
pub use outlast_oauth::introspection::Introspection;
pub use outlast_oauth::resource_metadata::{FoundResource, ResourceError, discover_resource};
pub use outlast_oauth::{ClientAuthMethod, assertion, client_document, dpop, grant_type, metadata, provider};
pub use outlast_store::Rotated;
pub use outlast_store::key::KeySource;
pub use presentation::Presentation;
pub use published::{AccessToken, FreshToken};
pub use refresher::Refresher;
pub use settings::{GrantSettings, LoginSettings, Server};
pub use system_clock::{SystemClock, time_asleep};
pub use token_error::TokenError;
pub use window::Window;
