//! Sends a request to its upstream and streams the answer back, both ways unbuffered.

use super::answer::Failure;
use super::strip;
use arc_swap::ArcSwap;
use bytes::Bytes;
use http::{Request, Response, StatusCode, Version};
use http_body_util::{Either, Empty, Full};
use hyper::body::{Body, Incoming};
use hyper_rustls::{ConfigBuilderExt, HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::{Client, Error};
use hyper_util::rt::{TokioExecutor, TokioTimer};
use outlast::dpop::PROOF;
use outlast::middleware::ReplayBody;
use outlast::{Code, time_asleep};
use rustls::client::Resumption;
use rustls::{ClientConfig, RootCertStore};
use std::fmt;
use std::io::ErrorKind;
use std::sync::Arc;
use std::time::Duration;

/// How long making a connection may take.
const CONNECT_TIME_MAX: Duration = Duration::from_secs(5);
/// How long the head of an answer may take: agents wait for minutes on a model that thinks.
const HEAD_TIME_MAX: Duration = Duration::from_secs(15 * 60);
/// How long a connection that nobody uses is kept.
const IDLE_TIME_MAX: Duration = Duration::from_secs(50);
/// Connections that nobody uses, kept for each grant.
const IDLE_CONNECTIONS_MAX: usize = 64;
/// How long the machine has to have slept for its connections to be given up: less is the grain of
/// two clocks that are read one after the other.
const SLEEP_MIN: Duration = Duration::from_secs(2);
/// TLS sessions remembered for each grant.
const SESSIONS_MAX: usize = 16;

/// The connections of one grant to its one origin. No two grants share one, for some servers bind
/// who asks to the connection (D8, F69).
pub(crate) struct Upstream {
    tls: ClientConfig,
    pool: ArcSwap<Pool>,
}

/// Connections that were made since the machine last woke up.
struct Pool {
    client: Client<HttpsConnector<HttpConnector>, Sent>,
    /// For how long the machine had been asleep by then.
    asleep: Duration,
}

/// The body of a request: as it comes in, or known as a whole.
pub(crate) type Asked = Either<Incoming, Full<Bytes>>;

/// What is sent: a request's own body, or on a second way that of a request that has none.
type Sent = Either<ReplayBody<Asked>, Empty<Bytes>>;

/// Why an upstream gave no answer.
#[derive(Debug)]
pub(crate) enum SendError {
    Client(Error),
    Timeout,
}

impl fmt::Display for SendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Client(error) if error.is_connect() => {
                f.write_str("no connection to the upstream could be made, and nothing was sent")
            }
            Self::Client(_) => f.write_str(
                "the connection to the upstream broke before its answer; whether it acted on the request is not known",
            ),
            Self::Timeout => {
                f.write_str("the upstream did not answer in time; whether it acted on the request is not known")
            }
        }
    }
}

impl std::error::Error for SendError {}

impl SendError {
    /// Whether nothing at all was sent.
    pub(crate) fn is_unsent(&self) -> bool {
        match self {
            Self::Client(error) => error.is_connect(),
            Self::Timeout => false,
        }
    }

    /// The answer to give for it.
    pub(crate) fn failure(&self) -> Failure {
        let status = match self {
            Self::Client(_) => StatusCode::BAD_GATEWAY,
            Self::Timeout => StatusCode::GATEWAY_TIMEOUT,
        };
        let code = Code::UpstreamUnreachable;
        let detail = format!("{self}. Wait and try again if repeating the request does no harm");
        Failure { status, code, detail, retry_after: super::answer::retry_after(code, None) }
    }
}

/// What TLS connections are made with: the platform's trust, and one crypto provider. Where no upstream
/// speaks TLS, nothing is trusted and the platform is not asked.
///
/// # Errors
/// If the platform's trust cannot be had.
pub(crate) fn tls(wanted: bool) -> Result<ClientConfig, rustls::Error> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
    if wanted {
        Ok(builder.try_with_platform_verifier()?.with_no_client_auth())
    } else {
        Ok(builder.with_root_certificates(RootCertStore::empty()).with_no_client_auth())
    }
}

impl Upstream {
    /// A pool of its own, sharing nothing with another grant's but the trust in `tls`.
    pub(crate) fn new(mut tls: ClientConfig) -> Self {
        tls.resumption = Resumption::in_memory_sessions(SESSIONS_MAX);
        let pool = Pool { client: client(tls.clone()), asleep: time_asleep() };
        Self { tls, pool: ArcSwap::from_pointee(pool) }
    }

    /// The connections at hand. After a sleep those from before are dead, though nothing on this side
    /// says so: a request on one would wait for minutes (F17).
    fn client(&self, asleep: Duration) -> Client<HttpsConnector<HttpConnector>, Sent> {
        let pool = self.pool.load();
        if asleep.saturating_sub(pool.asleep) < SLEEP_MIN {
            return pool.client.clone();
        }
        let fresh = client(self.tls.clone());
        self.pool.store(Arc::new(Pool { client: fresh.clone(), asleep }));
        fresh
    }

    /// Sends one request. Redirects are answers like any other and are not followed (F60).
    ///
    /// Servers close idle connections at any moment, also while a request is on its way. Where that
    /// happens to a request that may be repeated without harm, it is sent once more (RFC 9110 9.2.2);
    /// not where `once` forbids it, and not with a proof.
    pub(crate) async fn send(
        &self,
        mut request: Request<ReplayBody<Asked>>,
        once: bool,
    ) -> Result<Response<Incoming>, SendError> {
        // Which version the upstream speaks is settled when connecting; what the client speaks has no say.
        *request.version_mut() = Version::HTTP_11;
        request.extensions_mut().clear();
        let again = (!once && is_repeatable(&request)).then(|| copy_without_body(&request));
        let mut response = match (self.attempt(request.map(Either::Left)).await, again) {
            (Err(SendError::Client(error)), Some(again)) if broke_off(&error) => self.attempt(again).await?,
            (answered, _) => answered?,
        };
        strip::response(response.headers_mut());
        *response.version_mut() = Version::HTTP_11;
        response.extensions_mut().clear();
        Ok(response)
    }

    async fn attempt(&self, request: Request<Sent>) -> Result<Response<Incoming>, SendError> {
        let client = self.client(time_asleep());
        let answered = tokio::time::timeout(HEAD_TIME_MAX, client.request(request)).await;
        answered.map_err(|_| SendError::Timeout)?.map_err(SendError::Client)
    }
}

fn client(tls: ClientConfig) -> Client<HttpsConnector<HttpConnector>, Sent> {
    let mut tcp = HttpConnector::new();
    tcp.enforce_http(false);
    tcp.set_nodelay(true);
    tcp.set_connect_timeout(Some(CONNECT_TIME_MAX));
    let connector =
        HttpsConnectorBuilder::new().with_tls_config(tls).https_or_http().enable_all_versions().wrap_connector(tcp);
    Client::builder(TokioExecutor::new())
        .timer(TokioTimer::new())
        .pool_timer(TokioTimer::new())
        .pool_idle_timeout(IDLE_TIME_MAX)
        .pool_max_idle_per_host(IDLE_CONNECTIONS_MAX)
        // A request of which no byte was written, because its idle connection had just been closed, goes out on
        // another one. What was begun is never sent again behind our back.
        .retry_canceled_requests(true)
        .build(connector)
}

/// Whether sending it twice as it is does no harm. A proof is for one request (RFC 9449 4.2): the upstream may have
/// seen it, and would call the second one a replay.
fn is_repeatable<B: Body>(request: &Request<B>) -> bool {
    request.method().is_safe() && request.body().is_end_stream() && !request.headers().contains_key(PROOF)
}

fn copy_without_body<B>(request: &Request<B>) -> Request<Sent> {
    let mut copy = Request::new(Either::Right(Empty::new()));
    *copy.method_mut() = request.method().clone();
    *copy.uri_mut() = request.uri().clone();
    *copy.headers_mut() = request.headers().clone();
    copy
}

/// Whether the connection ended before any of an answer came.
fn broke_off(error: &Error) -> bool {
    let cause = std::error::Error::source(error).and_then(|cause| cause.downcast_ref::<hyper::Error>());
    cause.is_some_and(|cause| {
        let io = std::error::Error::source(cause).and_then(|io| io.downcast_ref::<std::io::Error>());
        let reset = io.is_some_and(|io| {
            matches!(io.kind(), ErrorKind::BrokenPipe | ErrorKind::ConnectionAborted | ErrorKind::ConnectionReset)
        });
        cause.is_incomplete_message() || cause.is_canceled() || cause.is_closed() || reset
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    #[test]
    fn n31_a_request_with_a_proof_is_never_sent_twice_as_it_is() {
        let mut request = Request::new(Empty::<Bytes>::new());
        assert!(is_repeatable(&request));
        request.headers_mut().insert(PROOF, HeaderValue::from_static("a.b.c"));
        assert!(!is_repeatable(&request));
    }

    #[tokio::test]
    async fn f17_connections_from_before_a_sleep_are_given_up_once() {
        let upstream = Upstream::new(tls(false).unwrap());
        let at = |asleep: Duration| {
            upstream.client(asleep);
            upstream.pool.load_full()
        };
        let awake = upstream.pool.load_full();
        assert!(Arc::ptr_eq(&awake, &at(awake.asleep + Duration::from_secs(1))), "no sleep, no new connections");
        let slept = awake.asleep + Duration::from_secs(3600);
        let woken = at(slept);
        assert!(!Arc::ptr_eq(&awake, &woken));
        assert!(Arc::ptr_eq(&woken, &at(slept + Duration::from_secs(1))), "once");
    }
}
