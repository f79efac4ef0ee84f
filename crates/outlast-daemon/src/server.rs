//! Accepts connections and serves them until told to stop.

use crate::proxy::AnswerBody;
use http::{Request, Response};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::server::graceful::GracefulShutdown;
use std::convert::Infallible;
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, UnixListener};
use tokio::sync::{Semaphore, watch};

/// Connections served at once by one listener; further ones wait.
const CONNECTIONS_MAX: usize = 4096;
/// How long a connection may take to send the head of a request.
const HEAD_TIME_MAX: Duration = Duration::from_secs(30);
/// Requests at once on one HTTP/2 connection.
const STREAMS_MAX: u32 = 256;
/// Longest header section of a request over HTTP/2, in bytes.
const HEADER_BYTES_MAX: u32 = 64 * 1024;
/// Pause after a failed accept: the process may be out of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// How long requests under way may take to end once the server is told to stop.
pub(crate) const DRAIN_TIME_MAX: Duration = Duration::from_secs(25);

/// Where connections come from.
pub(crate) trait Door: Send + 'static {
    type Stream: AsyncRead + AsyncWrite + Unpin + Send + 'static;
    /// The next connection that may be served.
    fn next(&self) -> impl Future<Output = io::Result<Self::Stream>> + Send;
}

impl Door for TcpListener {
    type Stream = tokio::net::TcpStream;

    async fn next(&self) -> io::Result<Self::Stream> {
        let (stream, _) = self.accept().await?;
        stream.set_nodelay(true)?;
        Ok(stream)
    }
}

impl Door for UnixListener {
    type Stream = tokio::net::UnixStream;

    async fn next(&self) -> io::Result<Self::Stream> {
        let (stream, _) = self.accept().await?;
        let peer = stream.peer_cred()?.uid();
        // The socket's mode says the same; this holds even where a file system ignores modes.
        if peer != rustix::process::geteuid().as_raw() {
            return Err(io::Error::new(io::ErrorKind::PermissionDenied, "the peer is another user"));
        }
        Ok(stream)
    }
}

/// The connection that a request came on, among its extensions.
#[derive(Clone, Debug)]
pub(crate) struct Connection(watch::Receiver<()>);

impl Connection {
    /// Whether it has ended.
    pub(crate) fn has_ended(&self) -> bool {
        self.0.has_changed().is_err()
    }
}

/// Answers requests.
pub(crate) trait Answerer: Send + Sync + 'static {
    fn answer(&self, request: Request<Incoming>) -> impl Future<Output = Response<AnswerBody>> + Send;
}

/// Serves what comes through `door` until `stop` says so, then lets requests under way end.
pub(crate) async fn serve<D: Door, A: Answerer>(door: D, answerer: Arc<A>, mut stop: watch::Receiver<bool>) {
    let graceful = GracefulShutdown::new();
    let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    loop {
        let next = async {
            let place = Arc::clone(&places).acquire_owned().await;
            (door.next().await, place)
        };
        let (stream, place) = tokio::select! {
            next = next => next,
            // An error means that whoever could say stop is gone: that is the same.
            _ = stop.wait_for(|stop| *stop) => break,
        };
        let stream = match stream {
            Ok(stream) => stream,
            Err(error) => {
                tracing::debug!(%error, "connection not served");
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        let (alive, ended) = watch::channel(());
        let connection = connection(stream, Arc::clone(&answerer), Connection(ended));
        let connection = graceful.watch(connection);
        tokio::spawn(async move {
            // It ended well or the client went away: neither is news.
            let _ = connection.await;
            drop((place, alive));
        });
    }
    drop(door);
    if tokio::time::timeout(DRAIN_TIME_MAX, graceful.shutdown()).await.is_err() {
        tracing::warn!("requests under way did not end in time and are cut off");
    }
}

fn connection<S, A>(
    stream: S,
    answerer: Arc<A>,
    own: Connection,
) -> impl hyper_util::server::graceful::GracefulConnection<Output: Send> + Send + 'static
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    A: Answerer,
{
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new()).header_read_timeout(HEAD_TIME_MAX);
    let mut http2 = builder.http2();
    http2.timer(TokioTimer::new()).max_concurrent_streams(STREAMS_MAX).max_header_list_size(HEADER_BYTES_MAX);
    let service = service_fn(move |mut request: Request<Incoming>| {
        request.extensions_mut().insert(own.clone());
        let answerer = Arc::clone(&answerer);
        async move { Ok::<_, Infallible>(answerer.answer(request).await) }
    });
    builder.serve_connection(TokioIo::new(stream), service).into_owned()
}
