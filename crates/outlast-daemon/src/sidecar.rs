//! The sidecar: the proxy, the control socket and the refresher, started and stopped together.

use crate::control::{Control, ControlSocket, Desk, Logins, OUTPUTS_AT_ONCE_MAX, TaskReach};
use crate::metrics::Metrics;
use crate::proxy::{Admission, AnswerBody, Capabilities, Parts, Proxy, draw};
use crate::record::{RecordCounts, Recorder};
use crate::server::{Answerer, serve};
use http::{Request, Response};
use hyper::body::Incoming;
use outlast::middleware::Policy;
use outlast::task::{Task, TaskError, TaskId};
use outlast::{Code, GrantId, Keeper, Refresher, Secret};
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinHandle;

/// What a sidecar is started with.
#[derive(Clone, Debug)]
pub struct Options {
    /// Where the control socket is; none is opened without it.
    pub socket: Option<PathBuf>,
    /// Where the proxy listens: a loopback address; port 0 takes any free one.
    pub proxy: SocketAddr,
    /// For how long a request waits while its grant cannot be served.
    pub hold: Duration,
    /// Whether logins may be begun at the control socket: not where an agent is handed the socket.
    pub logins: bool,
    /// Which tasks are reached here: no other than its own where a program is handed the socket.
    pub tasks: TaskReach,
    /// The word that opens the proxy for every grant; see [`draw_capability`].
    pub capability: Secret,
}

/// Why a sidecar could not be started.
#[derive(Debug)]
#[non_exhaustive]
pub enum SidecarError {
    /// The proxy's address is not a loopback address.
    NotLoopback {
        /// The address.
        address: SocketAddr,
    },
    /// The operating system has no random numbers.
    NoRandomNumbers,
    /// The proxy's address cannot be listened at.
    Proxy {
        /// The address.
        address: SocketAddr,
        /// Why.
        cause: io::Error,
    },
    /// The control socket cannot be opened.
    Socket {
        /// Where.
        path: PathBuf,
        /// Why.
        cause: io::Error,
    },
    /// The task cannot be recorded.
    Task(TaskError),
    /// The platform's trusted certificates cannot be had.
    Tls(String),
    /// There are more capabilities than are kept.
    TooManyCapabilities,
}

impl SidecarError {
    /// Its code.
    pub fn code(&self) -> Code {
        match self {
            Self::NotLoopback { .. } => Code::InsecureAddress,
            Self::NoRandomNumbers | Self::TooManyCapabilities => Code::Internal,
            Self::Proxy { .. } | Self::Socket { .. } | Self::Tls(_) => Code::ConfigurationInvalid,
            Self::Task(cause) => cause.code(),
        }
    }
}

impl fmt::Display for SidecarError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotLoopback { address } => {
                write!(f, "{address} is not a loopback address; set `listen` in [proxy] to 127.0.0.1:7788")
            }
            Self::NoRandomNumbers => f.write_str("the operating system has no random numbers; stop and report it"),
            Self::Proxy { address, cause } => {
                write!(f, "the proxy cannot listen at {address}: {cause}; set another `listen` in [proxy]")
            }
            Self::Socket { path, cause } => {
                write!(f, "the control socket {} cannot be opened: {cause}", path.display())
            }
            Self::Task(cause) => cause.fmt(f),
            Self::Tls(cause) => {
                write!(f, "the trusted certificates of this system cannot be read: {cause}; install ca-certificates")
            }
            Self::TooManyCapabilities => f.write_str("there are too many capabilities; restart the sidecar"),
        }
    }
}

impl std::error::Error for SidecarError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Proxy { cause, .. } | Self::Socket { cause, .. } => Some(cause),
            Self::Task(cause) => Some(cause),
            Self::NotLoopback { .. } | Self::NoRandomNumbers | Self::Tls(_) | Self::TooManyCapabilities => None,
        }
    }
}

/// A new capability: 256 random bits.
///
/// # Errors
/// If the operating system has no random numbers.
pub fn draw_capability() -> Result<Secret, SidecarError> {
    draw().map_err(|_| SidecarError::NoRandomNumbers)
}

/// The recording of a task's requests, which goes on as long as its sidecar runs.
#[derive(Debug)]
pub struct Recording(Arc<Recorder>);

impl Recording {
    /// The program is started again: its requests are counted from the first.
    pub fn rewind(&self) {
        self.0.rewind();
    }

    /// The program has come to its end by itself, and well: an error that it was answered last is taken for
    /// the outcome of its request.
    pub async fn ended_well(&self) {
        self.0.ended_well().await;
    }

    /// How many requests were answered from the record so far, and how many were sent.
    pub fn counts(&self) -> RecordCounts {
        self.0.counts()
    }

    /// Waits until no answer is coming in that is to be recorded. One that was under way when its program
    /// ended is taken in for at most a minute.
    pub async fn settled(&self) {
        self.0.settled().await;
    }
}

/// A running sidecar. Dropping it stops it at once; [`Sidecar::shutdown`] lets requests end first.
#[derive(Debug)]
pub struct Sidecar {
    capabilities: Arc<Capabilities>,
    capability: Secret,
    proxy_address: SocketAddr,
    stop: watch::Sender<bool>,
    servers: Vec<JoinHandle<()>>,
    socket: Option<ControlSocket>,
    refresher: Option<Refresher>,
}

impl Sidecar {
    /// Starts the proxy, the control socket where one is wanted, and the background refresher. When
    /// this returns, both are listening.
    pub async fn start(keeper: Keeper, options: Options) -> Result<Self, SidecarError> {
        let address = options.proxy;
        if !address.ip().is_loopback() {
            return Err(SidecarError::NotLoopback { address });
        }
        let refused = |cause| SidecarError::Proxy { address, cause };
        let listener = TcpListener::bind(address).await.map_err(refused)?;
        let proxy_address = listener.local_addr().map_err(refused)?;
        let socket = options.socket.as_deref().map(open_socket).transpose()?;

        let capabilities = Arc::new(Capabilities::default());
        if !capabilities.add(options.capability.clone(), None) {
            return Err(SidecarError::NoRandomNumbers);
        }
        let (metrics, clock) = (Arc::new(Metrics::default()), Arc::clone(keeper.clock()));
        let (stop, stopped) = watch::channel(false);
        let desk = Desk::start(&keeper, options.tasks, stopped.clone());
        let proxy = Proxy::new(Parts {
            desk: Arc::clone(&desk),
            keeper: keeper.clone(),
            capabilities: Arc::clone(&capabilities),
            metrics: Arc::clone(&metrics),
            clock: Arc::clone(&clock),
            policy: Policy { hold: options.hold, ..Policy::default() },
            port: proxy_address.port(),
        });
        let proxy = proxy.map_err(|cause| SidecarError::Tls(cause.to_string()))?;

        let mut servers = vec![tokio::spawn(serve(listener, Arc::new(proxy), stopped.clone()))];
        let socket = socket.map(|(file, listener)| {
            let control = Control {
                keeper: keeper.clone(),
                capabilities: Arc::clone(&capabilities),
                metrics,
                clock,
                desk,
                outputs: Semaphore::new(OUTPUTS_AT_ONCE_MAX),
                logins: options.logins.then(|| Logins::new(stopped.clone())),
                url: format!("http://{proxy_address}"),
            };
            servers.push(tokio::spawn(serve(listener, Arc::new(control), stopped)));
            file
        });
        let refresher = keeper.refresh_in_background();
        let capability = options.capability;
        Ok(Self { capabilities, capability, proxy_address, stop, servers, socket, refresher: Some(refresher) })
    }

    /// Where the proxy listens.
    pub fn proxy_address(&self) -> SocketAddr {
        self.proxy_address
    }

    /// The base address of the proxy, without a slash at its end.
    pub fn url(&self) -> String {
        format!("http://{}", self.proxy_address)
    }

    /// The word that opens the proxy for every grant.
    pub fn capability(&self) -> &Secret {
        &self.capability
    }

    /// A new word that opens the proxy for `grants`, or for all of them.
    ///
    /// # Errors
    /// If there are no random numbers or too many capabilities.
    pub fn mint_capability(&self, grants: Option<Vec<GrantId>>) -> Result<Secret, SidecarError> {
        self.mint_capability_for(grants, None)
    }

    /// The same, which reaches one task. One for some grants reaches no task otherwise.
    ///
    /// # Errors
    /// As [`Sidecar::mint_capability`].
    pub fn mint_capability_for(
        &self,
        grants: Option<Vec<GrantId>>,
        task: Option<TaskId>,
    ) -> Result<Secret, SidecarError> {
        let secret = draw_capability()?;
        let grants = grants.map(|grants| grants.into_iter().collect());
        let admission = Admission { grants, task, ..Admission::default() };
        let kept = self.capabilities.add_for(secret.clone(), admission);
        if kept { Ok(secret) } else { Err(SidecarError::TooManyCapabilities) }
    }

    /// A new word like that, whose requests are recorded as steps of `task`, and answered from its record
    /// when they come again. Requests of the `repeatable` grants may be sent again that have no outcome.
    ///
    /// # Errors
    /// If the task cannot be read, there are no random numbers or too many capabilities.
    pub async fn record(
        &self,
        grants: Option<Vec<GrantId>>,
        task: Task,
        repeatable: Vec<GrantId>,
    ) -> Result<(Secret, Recording), SidecarError> {
        let id = task.id().clone();
        let recorder = Recorder::open(task, repeatable.into_iter().collect()).await.map_err(SidecarError::Task)?;
        let recorder = Arc::new(recorder);
        let secret = draw_capability()?;
        let grants = grants.map(|grants| grants.into_iter().collect());
        let admission = Admission { grants, recorder: Some(Arc::clone(&recorder)), task: Some(id) };
        let kept = self.capabilities.add_for(secret.clone(), admission);
        if kept { Ok((secret, Recording(recorder))) } else { Err(SidecarError::TooManyCapabilities) }
    }

    /// Takes no more requests, waits at most 25 s for those under way, and removes the socket.
    pub async fn shutdown(mut self) {
        // What would come due now is renewed by whoever runs next.
        self.refresher = None;
        // Nobody listens any more where a server has failed: then it has stopped already.
        let _ = self.stop.send(true);
        for server in std::mem::take(&mut self.servers) {
            let _ = server.await;
        }
        self.socket = None;
    }
}

impl Drop for Sidecar {
    fn drop(&mut self) {
        for server in &self.servers {
            server.abort();
        }
    }
}

fn open_socket(path: &Path) -> Result<(ControlSocket, tokio::net::UnixListener), SidecarError> {
    ControlSocket::open(path).map_err(|cause| SidecarError::Socket { path: path.to_owned(), cause })
}

impl Answerer for Proxy {
    async fn answer(&self, request: Request<Incoming>) -> Response<AnswerBody> {
        Proxy::answer(self, request).await
    }
}

impl Answerer for Control {
    async fn answer(&self, request: Request<Incoming>) -> Response<AnswerBody> {
        Control::answer(self, request).await
    }
}
