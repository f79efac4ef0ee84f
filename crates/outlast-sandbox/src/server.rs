//! The handle on a running sandbox, its two listeners, and what all connections share.

use crate::body::{self, Answer};
use crate::counters::Counters;
use crate::device::{self, Devices, FreshCodes};
use crate::fault::{Fault, FaultPlan, Lasting, Order};
use crate::ledger::Ledger;
use crate::settings::{Clock, IssuedTokens, Settings};
use crate::state::{AuthorizationServer, FreshTokens};
use crate::{admin, api, device_endpoint, token};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use serde_json::json;
use std::fmt;
use std::io;
use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};

/// How many connections each listener serves at once; further ones wait to be accepted.
const CONNECTIONS_MAX: usize = 4_096;
/// How long a connection may take to send the head of a request.
const HEAD_WAIT_MAX: Duration = Duration::from_secs(60);
/// Pause after a failed accept (the process may be out of file descriptors).
const ACCEPT_PAUSE: Duration = Duration::from_millis(20);
/// Random bytes in a token.
const TOKEN_BYTES: usize = 32;

/// A running sandbox. Dropping it stops it and closes its connections.
pub struct Sandbox {
    shared: Arc<Shared>,
    listeners: [JoinHandle<()>; 2],
}

impl Sandbox {
    /// Starts the authorization server and the API on 127.0.0.1, each on its own port.
    ///
    /// # Errors
    /// If a port cannot be bound.
    pub async fn start(settings: Settings) -> io::Result<Sandbox> {
        let issuer = TcpListener::bind((Ipv4Addr::LOCALHOST, settings.port)).await?;
        let api = TcpListener::bind((Ipv4Addr::LOCALHOST, settings.api_port)).await?;
        let shared = Arc::new(Shared {
            issuer: format!("http://{}", issuer.local_addr()?),
            api: format!("http://{}", api.local_addr()?),
            clock: settings.clock.clone().unwrap_or_else(real_time),
            world: Mutex::new(World {
                server: AuthorizationServer::new(&settings),
                devices: Devices::new(&settings),
                faults: FaultPlan::default(),
                ledger: Ledger::default(),
            }),
            settings,
        });
        let listeners = [
            tokio::spawn(accept(issuer, Surface::AuthorizationServer, Arc::clone(&shared))),
            tokio::spawn(accept(api, Surface::Api, Arc::clone(&shared))),
        ];
        Ok(Sandbox { shared, listeners })
    }

    /// The issuer identifier, which is also the base address of the authorization server: `http://127.0.0.1:PORT`.
    pub fn issuer(&self) -> &str {
        &self.shared.issuer
    }

    /// The address of the token endpoint.
    pub fn token_endpoint(&self) -> String {
        format!("{}{}", self.shared.issuer, token::TOKEN_PATH)
    }

    /// The origin of the protected API, whose paths begin with `/api/`: `http://127.0.0.1:PORT`.
    pub fn api(&self) -> &str {
        &self.shared.api
    }

    /// A new family with its first tokens, as after a login.
    ///
    /// # Panics
    /// If the operating system has no random numbers.
    pub fn issue(&self) -> IssuedTokens {
        let fresh = fresh_tokens();
        self.shared.with(|world, now| world.server.issue(fresh, now))
    }

    /// What has been seen so far.
    pub fn counters(&self) -> Counters {
        self.shared.counters()
    }

    /// Lets something go wrong, from now on and for so long.
    pub fn fault(&self, fault: Fault, lasting: Lasting) {
        self.shared.obey(Order::Fault(fault, lasting));
    }

    /// Forgets all faults that have not run out.
    pub fn clear_faults(&self) {
        self.shared.obey(Order::Clear);
    }

    /// Early revocation: every access token that lives dies now. Tells how many died.
    pub fn kill_access_tokens(&self) -> u64 {
        self.shared.obey(Order::KillAccessTokens)
    }

    /// Revokes one family, or every family, with all tokens. Tells how many families died.
    pub fn revoke_family(&self, family: Option<u64>) -> u64 {
        self.shared.obey(Order::RevokeFamily(family))
    }

    /// The person allows what was asked for by whoever showed this user code (RFC 8628). False if the code
    /// stands for nothing that waits for an answer.
    pub fn approve(&self, user_code: &str) -> bool {
        self.shared.obey(Order::AnswerDevice { user_code: user_code.to_owned(), allowed: true }) > 0
    }

    /// The same, and the person refuses.
    pub fn deny(&self, user_code: &str) -> bool {
        self.shared.obey(Order::AnswerDevice { user_code: user_code.to_owned(), allowed: false }) > 0
    }

    /// Stops the sandbox; when this returns, both ports are free and all connections closed.
    pub async fn shutdown(mut self) {
        for listener in &mut self.listeners {
            listener.abort();
            // The only error is the cancellation just asked for.
            let _cancelled = listener.await;
        }
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        for listener in &self.listeners {
            listener.abort();
        }
    }
}

impl fmt::Debug for Sandbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sandbox")
            .field("issuer", &self.shared.issuer)
            .field("api", &self.shared.api)
            .finish_non_exhaustive()
    }
}

/// What all connections share. The lock is never held across an await.
pub(crate) struct Shared {
    pub(crate) issuer: String,
    pub(crate) api: String,
    pub(crate) settings: Settings,
    clock: Clock,
    world: Mutex<World>,
}

/// Everything that changes.
pub(crate) struct World {
    pub(crate) server: AuthorizationServer,
    pub(crate) devices: Devices,
    pub(crate) faults: FaultPlan,
    pub(crate) ledger: Ledger,
}

impl Shared {
    /// Lets `decide` look at the world and change it, at the present time.
    pub(crate) fn with<T>(&self, decide: impl FnOnce(&mut World, Duration) -> T) -> T {
        let now = (self.clock)();
        decide(&mut self.world.lock().unwrap_or_else(PoisonError::into_inner), now)
    }

    pub(crate) fn counters(&self) -> Counters {
        self.with(|world, now| {
            let mut counters = world.server.counters(now);
            world.ledger.fill(&mut counters);
            counters
        })
    }

    /// Carries an order out and tells how many tokens or families it ended, or logins it answered.
    pub(crate) fn obey(&self, order: Order) -> u64 {
        self.with(|world, now| match order {
            Order::AnswerDevice { user_code, allowed } => u64::from(world.devices.answer(&user_code, allowed, now)),
            Order::Clear => {
                world.faults.clear();
                0
            }
            Order::Fault(fault, lasting) => {
                world.faults.add(fault, lasting, now);
                0
            }
            Order::KillAccessTokens => world.server.kill_access_tokens(now) as u64,
            Order::RevokeFamily(Some(family)) => u64::from(world.server.revoke_family(family)),
            Order::RevokeFamily(None) => world.server.revoke_families() as u64,
        })
    }
}

/// Two new tokens from the operating system's random source.
pub(crate) fn fresh_tokens() -> FreshTokens {
    FreshTokens { access: random_token("sandbox-access-"), refresh: random_token("sandbox-refresh-") }
}

/// Two new codes for a device and its person.
pub(crate) fn fresh_codes() -> FreshCodes {
    FreshCodes { device: random_token("sandbox-device-"), user: device::user_code(random()) }
}

fn random_token(prefix: &str) -> String {
    format!("{prefix}{}", URL_SAFE_NO_PAD.encode(random::<TOKEN_BYTES>()))
}

fn random<const LENGTH: usize>() -> [u8; LENGTH] {
    let mut bytes = [0; LENGTH];
    getrandom::fill(&mut bytes).expect("the operating system has random numbers");
    bytes
}

#[allow(clippy::disallowed_methods, reason = "the default of a clock that can be set")]
fn real_time() -> Clock {
    let start = tokio::time::Instant::now();
    Arc::new(move || start.elapsed())
}

/// The connection is to be closed without an answer.
#[derive(Debug)]
pub(crate) struct Cut;

impl fmt::Display for Cut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("connection cut on request")
    }
}

impl std::error::Error for Cut {}

#[derive(Clone, Copy)]
enum Surface {
    Api,
    AuthorizationServer,
}

/// Accepts until aborted; the connections live in this task's set and die with it.
async fn accept(listener: TcpListener, surface: Surface, shared: Arc<Shared>) {
    let mut connections = JoinSet::new();
    loop {
        while connections.try_join_next().is_some() {}
        if connections.len() >= CONNECTIONS_MAX {
            connections.join_next().await;
        }
        match listener.accept().await {
            Ok((stream, _)) => {
                connections.spawn(serve(stream, surface, Arc::clone(&shared)));
            }
            Err(_) => tokio::time::sleep(ACCEPT_PAUSE).await,
        }
    }
}

async fn serve(stream: TcpStream, surface: Surface, shared: Arc<Shared>) {
    // Without it small answers wait for the peer's delayed acknowledgement.
    let _best_effort = stream.set_nodelay(true);
    let service = service_fn(|request| route(&shared, surface, request));
    // A connection ends with an error when its client goes or a fault cuts it: both are as intended.
    let _ended = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_WAIT_MAX)
        .serve_connection(TokioIo::new(stream), service)
        .await;
}

async fn route(shared: &Arc<Shared>, surface: Surface, request: Request<Incoming>) -> Result<Answer, Cut> {
    match surface {
        Surface::Api => Ok(api::answer(shared, request).await),
        Surface::AuthorizationServer => match request.uri().path() {
            device_endpoint::DEVICE_AUTHORIZATION_PATH => Ok(device_endpoint::authorization(shared, request).await),
            device_endpoint::VERIFICATION_PATH => Ok(device_endpoint::verification(shared, request).await),
            token::DISCOVERY_PATH => Ok(token::discovery(shared, request.method())),
            token::REVOCATION_PATH => Ok(token::revocation(shared, request).await),
            token::TOKEN_PATH => token::token(shared, request).await,
            _ => Ok(admin::answer(shared, request).await.unwrap_or_else(not_found)),
        },
    }
}

/// The answer for a path that is not there.
pub(crate) fn not_found() -> Answer {
    body::json(StatusCode::NOT_FOUND, &json!({ "error": "not_found" }))
}
