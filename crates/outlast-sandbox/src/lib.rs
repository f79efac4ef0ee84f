//! A strict authorization server and a protected API, in memory on loopback, that misbehave on request.
//!
//! The authorization server is as unforgiving as real ones can be: every refresh rotates the refresh
//! token, a rotated one may not be used again (no grace unless asked for), and its reuse revokes the
//! whole family including the access tokens in use. It ships with the product, because `outlast demo`
//! and `outlast sandbox` run it; tests use it too. Nothing it hands out opens anything but itself.
//!
//! Two addresses, both on 127.0.0.1 and HTTP/1.1 only, so that a token for one origin can be seen
//! leaking to the other:
//!
//! | where | path | what |
//! |---|---|---|
//! | issuer | `GET /.well-known/oauth-authorization-server` | discovery, RFC 8414 |
//! | issuer | `POST /token` | `refresh_token` and `client_credentials`, RFC 6749; device codes, RFC 8628 |
//! | issuer | `POST /device_authorization` | a device code and a user code, RFC 8628 |
//! | issuer | `GET /device`, `POST /device` | where a person enters the user code |
//! | issuer | `POST /revoke` | RFC 7009 |
//! | issuer | `POST /mint` | a new family, as the token endpoint would have answered it |
//! | issuer | `GET /counters` | [`Counters`] as JSON |
//! | issuer | `POST /faults` | one fault or act, see [`Order`] |
//! | api | `ANY /api/echo` | the request as it arrived; the credential is counted, never repeated |
//! | api | `GET /api/whoami` | subject, family and the seconds the token has left |
//! | api | `ANY /api/step/{n}` | an idempotent step of work |
//! | api | `ANY /api/step/{n}/call/{m}` | one call of such a step; one that comes again is counted as such |
//! | api | `POST /api/charge` | a counted side effect; an `Idempotency-Key` is honoured |
//! | api | `GET /api/stream?events=&interval_ms=` | server-sent events |
//! | api | `GET /api/big?bytes=` | a large answer |
//! | api | `POST /api/upload` | length and SHA-256 of what arrived |
//! | api | `ANY /api/status/{n}` | an answer with that status |
//!
//! The decisions (`state`, `device`, `fault`, `ledger`) do no IO and are told the time; the rest is a thin shell.

mod admin;
mod api;
mod body;
mod counters;
mod device;
mod device_endpoint;
mod fault;
mod form;
mod ledger;
mod remembered;
mod server;
mod settings;
mod state;
mod token;

pub use counters::Counters;
pub use fault::{Fault, Lasting, Order, OrderError};
pub use server::Sandbox;
pub use settings::{Clock, IssuedTokens, Settings};
