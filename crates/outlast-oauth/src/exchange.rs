//! One exchange with an authorization server: the hardened client under the token endpoint and
//! discovery. Says exactly what is known of a request's fate, for a refresh token hangs on it.

use crate::address;
use crate::guarded_body::LeaseLost;
use crate::reach::{OutOfReach, Resolver};
use bytes::Bytes;
use http::header::{ACCEPT, ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_LENGTH, TRANSFER_ENCODING};
use http::{HeaderMap, HeaderValue};
use outlast_core::Secret;
use outlast_core::reach::Reach;
use outlast_core::wire::{Answer, Fault, Reply};
use reqwest::{Client, Identity, Request, Response};
use std::error::Error;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::pin::pin;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::OnceCell;
use tokio::time::timeout;
use url::Url;

/// Largest body that is read, in bytes.
pub const BODY_BYTES_MAX: usize = 256 * 1024;
/// Largest sum of the header fields that is taken, in bytes.
pub const HEADER_BYTES_MAX: usize = 64 * 1024;
/// Most header fields that are taken.
const HEADER_FIELDS_MAX: usize = 128;
/// For how many certificates of our own a client is kept.
const CERTIFICATES_MAX: usize = 16;
/// How long an answer that has arrived may take to be read after the time is up. A process that was
/// stopped for minutes wakes to find both; to drop the answer would lose the grant it belongs to.
const READ_AFTER: Duration = Duration::from_millis(250);

/// How long an exchange may take. The default is what everything but tests uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// For resolving the name, connecting and agreeing on TLS; at most half of `total` is used, so
    /// that running out of `total` always means the connection was there.
    pub connect: Duration,
    /// For the whole exchange, to the last byte of the answer.
    pub total: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self { connect: Duration::from_secs(5), total: Duration::from_secs(20) }
    }
}

/// The clients, built when first needed: loading the machine's trusted roots takes longer than a
/// whole `outlast token` with a fresh token may.
#[derive(Debug, Default)]
pub(crate) struct Exchange {
    limits: Limits,
    resolver: Resolver,
    /// For http on loopback: knows no roots, so that it also works on a machine without any.
    plain: OnceCell<Client>,
    secure: OnceCell<Client>,
    /// For those that authenticate by a certificate (RFC 8705): one each, the latest last. None is
    /// ever used for a request that names another certificate, or none.
    certified: Mutex<Vec<(Secret, Client)>>,
}

impl Exchange {
    /// Builds nothing yet.
    pub(crate) fn new(limits: Limits) -> Self {
        Self { limits, ..Self::default() }
    }

    /// The same for addresses that a stranger's document names: only what is within `reach` is
    /// connected to, each time.
    pub(crate) fn within(limits: Limits, reach: Reach) -> Self {
        Self::resolving(limits, Resolver::within(reach))
    }

    fn resolving(limits: Limits, resolver: Resolver) -> Self {
        Self { limits, resolver, ..Self::default() }
    }

    /// Sends the request that `prepare` completes, once, and reads the answer whole. Over TLS, the
    /// client shows `certificate`.
    pub(crate) async fn send(
        &self,
        address: &str,
        certificate: Option<&Secret>,
        prepare: impl FnOnce(Url) -> Option<Request>,
    ) -> Answer {
        self.send_and_tell(address, certificate, prepare).await.0
    }

    /// [`Exchange::send`], and where the answer came from.
    pub(crate) async fn send_and_tell(
        &self,
        address: &str,
        certificate: Option<&Secret>,
        prepare: impl FnOnce(Url) -> Option<Request>,
    ) -> (Answer, Option<IpAddr>) {
        let (client, mut request) = match self.prepare(address, certificate, prepare).await {
            Ok(prepared) => prepared,
            Err(fault) => return (Answer::Unsent(fault), None),
        };
        request.headers_mut().insert(ACCEPT, HeaderValue::from_static("application/json"));
        let mut conversation = pin!(converse(&client, request));
        let mut answered = timeout(self.limits.total, conversation.as_mut()).await;
        if answered.is_err() {
            answered = timeout(READ_AFTER, conversation).await;
        }
        // Connecting has the shorter limit, so the request was at least begun.
        answered.unwrap_or((Answer::Lost(Fault::Timeout), None))
    }

    /// Sends a request for the head of its answer alone: a body that never ends is not waited for.
    /// Says also where the answer came from.
    pub(crate) async fn head(
        &self,
        address: &str,
        prepare: impl FnOnce(Url) -> Option<Request>,
    ) -> Result<(Reply, Option<IpAddr>), Fault> {
        let (client, request) = self.prepare(address, None, prepare).await?;
        let response = timeout(self.limits.total, client.execute(request)).await.map_err(|_elapsed| Fault::Timeout)?;
        let mut response = response.map_err(|error| match failed(&error) {
            Answer::Lost(fault) | Answer::Unsent(fault) => fault,
            Answer::Complete(_) => Fault::Broken,
        })?;
        check_head(response.headers())?;
        let peer = response.remote_addr().map(|peer| peer.ip());
        let headers = std::mem::take(response.headers_mut());
        Ok((Reply { status: response.status().as_u16(), headers, body: Vec::new() }, peer))
    }

    async fn prepare(
        &self,
        address: &str,
        certificate: Option<&Secret>,
        prepare: impl FnOnce(Url) -> Option<Request>,
    ) -> Result<(Client, Request), Fault> {
        let url = address::check(address).map_err(|_| Fault::Insecure)?;
        if !self.resolver.reach.allows_host(&url) {
            return Err(Fault::OutOfReach);
        }
        let client = self.client(&url, certificate).await?;
        let mut request = prepare(url).ok_or(Fault::Broken)?;
        request.headers_mut().insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        Ok((client, request))
    }

    async fn client(&self, url: &Url, certificate: Option<&Secret>) -> Result<Client, Fault> {
        let secure = url.scheme() == "https";
        if let (true, Some(certificate)) = (secure, certificate) {
            return self.certified_client(certificate).await;
        }
        let cell = if secure { &self.secure } else { &self.plain };
        let roots = if secure { Roots::OfTheMachine } else { Roots::None };
        // Not kept when it fails: the roots may be readable the next time.
        cell.get_or_try_init(|| built(self.limits, self.resolver, roots, None)).await.cloned()
    }

    async fn certified_client(&self, certificate: &Secret) -> Result<Client, Fault> {
        let known = {
            let kept = self.certified.lock().unwrap_or_else(PoisonError::into_inner);
            kept.iter().find(|(held, _)| held == certificate).map(|(_, client)| client.clone())
        };
        if let Some(client) = known {
            return Ok(client);
        }
        let identity = Identity::from_pem(certificate.expose().as_bytes()).map_err(|_| Fault::Unsigned)?;
        let client = built(self.limits, self.resolver, Roots::OfTheMachine, Some(identity)).await?;
        let mut kept = self.certified.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() >= CERTIFICATES_MAX {
            kept.remove(0);
        }
        kept.push((certificate.clone(), client.clone()));
        Ok(client)
    }
}

/// One exchange for each reach: a client resolves names for one alone.
#[derive(Debug, Default)]
pub(crate) struct Exchanges {
    anywhere: Exchange,
    loopback: Exchange,
    private: Exchange,
    public: Exchange,
}

impl Exchanges {
    pub(crate) fn new(limits: Limits) -> Self {
        Self::each(|reach| Exchange::within(limits, reach))
    }

    fn each(exchange: impl Fn(Reach) -> Exchange) -> Self {
        Self {
            anywhere: exchange(Reach::Anywhere),
            loopback: exchange(Reach::Loopback),
            private: exchange(Reach::Private),
            public: exchange(Reach::Public),
        }
    }

    pub(crate) fn within(&self, reach: Reach) -> &Exchange {
        match reach {
            Reach::Anywhere => &self.anywhere,
            Reach::Loopback => &self.loopback,
            Reach::Private => &self.private,
            Reach::Public => &self.public,
        }
    }
}

/// Whether a connection can be made with `certificate`: a chain and the key that belongs to it.
pub(crate) fn can_identify(certificate: &Secret) -> bool {
    let identity = Identity::from_pem(certificate.expose().as_bytes());
    identity.is_ok_and(|identity| build(Limits::default(), Resolver::default(), Roots::None, Some(identity)).is_ok())
}

/// Whose word is taken for who a server is.
#[derive(Clone, Copy)]
enum Roots {
    None,
    OfTheMachine,
}

async fn built(limits: Limits, resolver: Resolver, roots: Roots, identity: Option<Identity>) -> Result<Client, Fault> {
    // Off the worker thread: it reads and parses some hundred certificates.
    let built = tokio::task::spawn_blocking(move || build(limits, resolver, roots, identity)).await;
    built.ok().and_then(Result::ok).ok_or(Fault::Tls)
}

fn build(limits: Limits, resolver: Resolver, roots: Roots, identity: Option<Identity>) -> reqwest::Result<Client> {
    // An error says that a provider is installed already, by us or by the host program: fine.
    drop(rustls::crypto::aws_lc_rs::default_provider().install_default());
    let loopback = [IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)];
    let mut builder = Client::builder()
        .user_agent(concat!("outlast/", env!("CARGO_PKG_VERSION")))
        // A redirect would carry the form, refresh token and all, to wherever it points (F38).
        .redirect(reqwest::redirect::Policy::none())
        .referer(false)
        // http_proxy in the environment would get the refresh token.
        .no_proxy()
        // Without HTTP/2 and kept connections nothing is left that it would retry; said all the same.
        .retry(reqwest::retry::never())
        // A connection for each exchange. Token requests are minutes apart, so a kept connection is
        // mostly one the server is about to close, and a request that dies on it is a lost answer:
        // a grant in doubt, to save one handshake a life.
        .pool_max_idle_per_host(0)
        // The framing of HTTP/1.1 is what `arrived_whole` reasons about, and one request per
        // connection has no use for HTTP/2.
        .http1_only()
        .http1_max_headers(HEADER_FIELDS_MAX)
        .connect_timeout(limits.connect.min(limits.total / 2))
        // A name service cannot send the plain http that is allowed for this name elsewhere.
        .resolve_to_addrs("localhost", &loopback.map(|address| SocketAddr::new(address, 0)));
    if let Some(identity) = identity {
        builder = builder.identity(identity);
    }
    if resolver.reach != Reach::Anywhere {
        // What is checked is what is connected to. Addresses without a name never come here.
        builder = builder.dns_resolver(resolver);
    }
    match roots {
        Roots::None => builder.tls_certs_only([]).build(),
        Roots::OfTheMachine => builder.build(),
    }
}

async fn converse(client: &Client, request: Request) -> (Answer, Option<IpAddr>) {
    let mut response = match client.execute(request).await {
        Ok(response) => response,
        Err(error) => return (failed(&error), None),
    };
    let peer = response.remote_addr().map(|peer| peer.ip());
    let answer = match read(&mut response).await {
        Ok(body) => Answer::Complete(Reply {
            status: response.status().as_u16(),
            headers: std::mem::take(response.headers_mut()),
            body,
        }),
        Err(fault) => Answer::Lost(fault),
    };
    (answer, peer)
}

/// What an error before the answer's head says of the request. The error itself is dropped: its
/// text holds the whole address.
fn failed(error: &reqwest::Error) -> Answer {
    if error.is_connect() {
        let fault = if has_source::<OutOfReach>(error) {
            Fault::OutOfReach
        } else if has_source::<rustls::Error>(error) {
            Fault::Tls
        } else {
            Fault::Connect
        };
        return Answer::Unsent(fault);
    }
    if has_source::<LeaseLost>(error) {
        return Answer::Unsent(Fault::LeaseLost);
    }
    if error.is_builder() {
        return Answer::Unsent(Fault::Broken);
    }
    Answer::Lost(if error.is_timeout() { Fault::Timeout } else { Fault::Broken })
}

fn has_source<E: Error + 'static>(error: &(dyn Error + 'static)) -> bool {
    if error.is::<E>() {
        return true;
    }
    // An io::Error passes over what it wraps when it is asked for its source.
    let wrapped = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
    wrapped.is_some_and(|inner| has_source::<E>(inner)) || error.source().is_some_and(has_source::<E>)
}

async fn read(response: &mut Response) -> Result<Vec<u8>, Fault> {
    check_head(response.headers())?;
    let mut body = Vec::new();
    loop {
        let chunk = response.chunk().await;
        match chunk.map_err(|error| if error.is_timeout() { Fault::Timeout } else { Fault::Broken })? {
            None => break,
            Some(chunk) => take(&mut body, &chunk)?,
        }
    }
    if arrived_whole(response.status().as_u16(), response.headers(), &body) { Ok(body) } else { Err(Fault::Broken) }
}

fn take(body: &mut Vec<u8>, chunk: &Bytes) -> Result<(), Fault> {
    if body.len() + chunk.len() > BODY_BYTES_MAX {
        return Err(Fault::TooLarge);
    }
    body.extend_from_slice(chunk);
    Ok(())
}

fn check_head(headers: &HeaderMap) -> Result<(), Fault> {
    let size: usize = headers.iter().map(|(name, value)| name.as_str().len() + value.len() + ": \r\n".len()).sum();
    let encodings = headers.get_all(CONTENT_ENCODING).iter();
    // We said we take no encoding; to decode one that came anyway is to open a bomb (F36).
    let encoded = encodings.into_iter().any(|value| !value.as_bytes().eq_ignore_ascii_case(b"identity"));
    if size > HEADER_BYTES_MAX {
        Err(Fault::TooLarge)
    } else if encoded {
        Err(Fault::Broken)
    } else {
        Ok(())
    }
}

/// Whether the body that ended is known to be all of it. A length or chunks tell, and the client
/// has checked them. Without either the body ends when the connection does, which a break does too
/// (F03): then only a complete JSON object is known to be whole.
fn arrived_whole(status: u16, headers: &HeaderMap, body: &[u8]) -> bool {
    let codings = headers.get_all(TRANSFER_ENCODING);
    let chunked = |value: &HeaderValue| value.as_bytes().trim_ascii().eq_ignore_ascii_case(b"chunked");
    if codings.iter().next().is_some() {
        // Any other coding would have to be decoded.
        return codings.iter().all(chunked);
    }
    // 204 and 304 never have a body (RFC 9112 6.3).
    headers.contains_key(CONTENT_LENGTH) || matches!(status, 204 | 304) || is_json_object(body)
}

fn is_json_object(body: &[u8]) -> bool {
    let body = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body);
    serde_json::from_slice::<serde_json::Map<String, serde_json::Value>>(body).is_ok()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use http::Method;
    use std::net::TcpListener;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    /// What the name resolves to at present: whoever owns it may change that between two requests.
    static NAME_LEADS_TO: Mutex<Vec<&str>> = Mutex::new(Vec::new());

    fn lookup(name: &str) -> io::Result<Vec<IpAddr>> {
        assert_eq!(name, "as.example");
        Ok(NAME_LEADS_TO.lock().unwrap().iter().map(|address| address.parse().unwrap()).collect())
    }

    /// Takes connections and ends them; how many there were, and its port.
    fn door() -> (Arc<AtomicUsize>, u16) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let (knocks, port) = (Arc::new(AtomicUsize::new(0)), listener.local_addr().unwrap().port());
        let counter = Arc::clone(&knocks);
        std::thread::spawn(move || {
            for _stream in listener.incoming() {
                counter.fetch_add(1, Ordering::SeqCst);
            }
        });
        (knocks, port)
    }

    #[tokio::test]
    async fn n40_a_name_that_turns_private_after_it_was_public_is_not_connected_to() {
        let certificate =
            Secret::new(concat!(include_str!("../tests/tls/good.pem"), "\n", include_str!("../tests/tls/server.key")));
        let (knocks, port) = door();
        let exchanges = Exchanges::each(|reach| Exchange::resolving(Limits::default(), Resolver { reach, lookup }));
        let address = format!("https://as.example:{port}/token");
        let ask = async |reach, certificate: Option<&Secret>, addresses: &[&'static str]| {
            *NAME_LEADS_TO.lock().unwrap() = addresses.to_vec();
            let post = |url| Some(Request::new(Method::POST, url));
            match exchanges.within(reach).send(&address, certificate, post).await {
                Answer::Unsent(fault) => fault,
                other => panic!("{addresses:?}: {other:?}"),
            }
        };
        // The same client each time: what it found the name to be before is not what it finds now.
        for certificate in [None, Some(&certificate)] {
            let before = knocks.load(Ordering::SeqCst);
            let connected = ask(Reach::Loopback, certificate, &["127.0.0.1"]).await;
            assert_ne!(connected, Fault::OutOfReach);
            // Of several addresses, only those within reach are tried.
            assert_ne!(ask(Reach::Loopback, certificate, &["10.0.0.1", "127.0.0.1"]).await, Fault::OutOfReach);
            let reached = knocks.load(Ordering::SeqCst);
            assert_eq!(reached - before, 2, "the door is there, for those who may reach it");
            for (reach, addresses) in [
                (Reach::Public, &["127.0.0.1"] as &[_]),
                (Reach::Public, &["::1", "127.0.0.1"]),
                (Reach::Public, &["::ffff:127.0.0.1"]),
                (Reach::Public, &["0.0.0.0"]),
                (Reach::Public, &["169.254.169.254", "192.168.0.1"]),
                (Reach::Private, &["127.0.0.1"]),
                (Reach::Loopback, &["10.0.0.1", "fd00::1"]),
            ] {
                assert_eq!(ask(reach, certificate, addresses).await, Fault::OutOfReach, "{reach:?} {addresses:?}");
            }
            assert_eq!(knocks.load(Ordering::SeqCst), reached, "nobody knocked again");
        }
    }
}
