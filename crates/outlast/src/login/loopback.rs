//! Listens on loopback for the browser that comes back (RFC 8252 7.3). Everything it answers is
//! constant: no text of a request is repeated.

use super::redirect::{Listen, LoopbackHost, Redirect};
use bytes::Bytes;
use http::header::{ALLOW, CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY};
use http::header::{X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS};
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use rustix::io::Errno;
use std::convert::Infallible;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::time::timeout;

/// Most connections at once; more wait to be accepted.
const CONNECTIONS_MAX: usize = 16;
/// Longest life of one connection.
const CONNECTION_MAX: Duration = Duration::from_secs(5);
/// Largest head of a request, in bytes.
const HEAD_BYTES_MAX: usize = 16 * 1024;
/// Most header fields of a request.
const HEAD_FIELDS_MAX: usize = 64;
/// How often a port is chosen anew because the other family's is taken.
const PORTS_MAX: usize = 16;

const DONE: &str = "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>Outlast</title>\
    <body style=\"font-family:sans-serif;max-width:36em;margin:4em auto\"><h1>Outlast has the answer</h1>\
    <p>You can close this window. How it went is told where the sign-in was begun.</p></body></html>\n";
const NOTHING_HERE: &str = "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>Outlast</title>\
    <body style=\"font-family:sans-serif;max-width:36em;margin:4em auto\"><h1>This is not used</h1>\
    <p>It does not belong to the sign-in that is waited for.</p></body></html>\n";

/// A listener. Closed when it is dropped.
pub(super) struct Loopback {
    /// The address the browser comes back to.
    pub(super) redirect_uri: String,
    arrivals: mpsc::Receiver<Arrival>,
    accepting: JoinHandle<()>,
    places: Arc<Semaphore>,
}

/// The query of a request to the redirect address.
pub(super) struct Arrival {
    pub(super) query: String,
    answer: oneshot::Sender<bool>,
}

impl Arrival {
    /// Tells the browser whether its answer was the one that is waited for.
    pub(super) fn answer(self, ours: bool) {
        // The browser may have gone; it misses a page.
        let _ = self.answer.send(ours);
    }
}

impl Loopback {
    /// Binds. Nothing is listened to on any other interface.
    pub(super) async fn bind(redirect: &Redirect, listen: &Listen) -> Result<Self, String> {
        let bound = bind(listen).await.map_err(|error| described(listen, &error))?;
        let unreadable = |error: io::Error| described(listen, &error);
        let address = bound[0].local_addr().map_err(unreadable)?;
        let redirect_uri = redirect.at(listen, address.port(), address.is_ipv6());
        let (sender, arrivals) = mpsc::channel(CONNECTIONS_MAX);
        let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
        let accepting = tokio::spawn(accept(bound, listen.path.clone(), sender, Arc::clone(&places)));
        Ok(Self { redirect_uri, arrivals, accepting, places })
    }

    /// The next request to the redirect address.
    pub(super) async fn next(&mut self) -> Arrival {
        match self.arrivals.recv().await {
            Some(arrival) => arrival,
            // It lives as long as the listener.
            None => std::future::pending().await,
        }
    }

    /// Takes no more connections, and lets those there are get their page (N17).
    pub(super) async fn close(mut self) {
        self.accepting.abort();
        let _gone = (&mut self.accepting).await;
        self.arrivals.close();
        while let Ok(late) = self.arrivals.try_recv() {
            late.answer(false);
        }
        let all = u32::try_from(CONNECTIONS_MAX).unwrap_or(u32::MAX);
        let _idle = timeout(CONNECTION_MAX, self.places.acquire_many(all)).await;
    }
}

impl Drop for Loopback {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

fn described(listen: &Listen, error: &io::Error) -> String {
    match (error.kind(), listen.port) {
        (io::ErrorKind::AddrInUse, Some(port)) => format!(
            "another program listens on port {port} of this machine, where its redirect_uri points: end that program, \
             or set a redirect_uri without a port"
        ),
        (kind, _) => format!("nothing can listen on loopback ({kind}): mend the machine, or sign in by pasting"),
    }
}

async fn bind(listen: &Listen) -> io::Result<Vec<TcpListener>> {
    let (v4, v6) = (IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST));
    let port = listen.port.unwrap_or(0);
    let one = async |address| TcpListener::bind((address, port)).await.map(|bound| vec![bound]);
    match listen.host {
        LoopbackHost::V4 => one(v4).await,
        LoopbackHost::V6 => one(v6).await,
        LoopbackHost::Either => match one(v4).await {
            Err(error) if is_absent(&error) => one(v6).await,
            bound => bound,
        },
        LoopbackHost::Name => both(v4, v6, port).await,
    }
}

/// The same port of both families, where the machine has both: on the one left free, somebody else
/// could listen for the code (F73).
async fn both(v4: IpAddr, v6: IpAddr, port: u16) -> io::Result<Vec<TcpListener>> {
    for _ in 0..PORTS_MAX {
        let first = match TcpListener::bind((v4, port)).await {
            Err(error) if is_absent(&error) => return Ok(vec![TcpListener::bind((v6, port)).await?]),
            bound => bound?,
        };
        match TcpListener::bind((v6, first.local_addr()?.port())).await {
            Ok(second) => return Ok(vec![first, second]),
            Err(error) if is_absent(&error) => return Ok(vec![first]),
            Err(error) if port != 0 => return Err(error),
            Err(_taken) => {}
        }
    }
    Err(io::ErrorKind::AddrInUse.into())
}

/// Whether the machine has no addresses of the family: none on loopback, or it was started without the
/// family, for which the standard library has no kind of its own.
fn is_absent(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::AddrNotAvailable || Errno::from_io_error(error) == Some(Errno::AFNOSUPPORT)
}

async fn accept(bound: Vec<TcpListener>, path: String, arrivals: mpsc::Sender<Arrival>, places: Arc<Semaphore>) {
    loop {
        let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
        let Ok(stream) = next_of(&bound).await else { continue };
        let (path, arrivals) = (path.clone(), arrivals.clone());
        tokio::spawn(async move {
            let _over = timeout(CONNECTION_MAX, serve(stream, &path, &arrivals)).await;
            drop(place);
        });
    }
}

async fn next_of(bound: &[TcpListener]) -> io::Result<TcpStream> {
    match bound {
        [first, second, ..] => tokio::select! {
            taken = first.accept() => taken,
            taken = second.accept() => taken,
        },
        [only] => only.accept().await,
        [] => std::future::pending().await,
    }
    .map(|(stream, _)| stream)
}

async fn serve(stream: TcpStream, path: &str, arrivals: &mpsc::Sender<Arrival>) {
    let service = service_fn(|request| async move { Ok::<_, Infallible>(answer(&request, path, arrivals).await) });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(CONNECTION_MAX)
        .max_buf_size(HEAD_BYTES_MAX)
        .max_headers(HEAD_FIELDS_MAX)
        .keep_alive(false)
        .serve_connection(TokioIo::new(stream), service);
    // What a broken connection meant to say is of no interest.
    let _over = connection.await;
}

async fn answer(request: &Request<Incoming>, path: &str, arrivals: &mpsc::Sender<Arrival>) -> Response<Full<Bytes>> {
    if request.uri().path() != path {
        return page(StatusCode::NOT_FOUND, NOTHING_HERE);
    }
    if request.method() != Method::GET {
        let mut refused = page(StatusCode::METHOD_NOT_ALLOWED, NOTHING_HERE);
        refused.headers_mut().insert(ALLOW, HeaderValue::from_static("GET"));
        return refused;
    }
    let Some(query) = request.uri().query().filter(|_| !is_prefetch(request.headers())) else {
        return page(StatusCode::NOT_FOUND, NOTHING_HERE);
    };
    let (sender, judged) = oneshot::channel();
    let arrival = Arrival { query: query.to_owned(), answer: sender };
    let ours = arrivals.send(arrival).await.is_ok() && judged.await.unwrap_or(false);
    if ours { page(StatusCode::OK, DONE) } else { page(StatusCode::BAD_REQUEST, NOTHING_HERE) }
}

/// A browser that only looks ahead shows the person nothing, and would use the code up (F73).
fn is_prefetch(headers: &HeaderMap) -> bool {
    let ahead = |value: &HeaderValue| value.to_str().is_ok_and(|purpose| purpose.contains("prefetch"));
    ["sec-purpose", "purpose", "x-moz"].iter().any(|name| headers.get(*name).is_some_and(ahead))
}

fn page(status: StatusCode, text: &'static str) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from_static(text.as_bytes())));
    *response.status_mut() = status;
    let policy = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; \
                  frame-ancestors 'none'";
    for (name, value) in [
        (CACHE_CONTROL, "no-store"),
        (CONTENT_SECURITY_POLICY, policy),
        (CONTENT_TYPE, "text/html; charset=utf-8"),
        (REFERRER_POLICY, "no-referrer"),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (X_FRAME_OPTIONS, "DENY"),
    ] {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn n16_a_kernel_without_a_family_has_none_of_its_addresses() {
        for absent in [Errno::AFNOSUPPORT, Errno::ADDRNOTAVAIL] {
            assert!(is_absent(&absent.into()), "{absent}");
        }
        for other in [Errno::ADDRINUSE, Errno::ACCESS, Errno::MFILE] {
            assert!(!is_absent(&other.into()), "{other}: somebody else may listen there");
        }
    }
}
