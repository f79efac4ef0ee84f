//! What the tests of the sidecar share: an upstream that notes what reaches it, a sidecar before
//! it, and clients that send exactly the bytes they are told to.
#![allow(
    dead_code,
    unreachable_pub,
    clippy::unwrap_used,
    reason = "each test file uses its part; a test stops at the first surprise"
)]

use bytes::Bytes;
use http::{HeaderMap, Request, Response};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use outlast::{
    BoxFuture, ClientAuth, Clock, GrantHandle, GrantId, GrantSettings, Keeper, LoginPrompt, LoginStep, Provider,
    Secret, Server, Settings, SystemClock, TokenSet, read_token_set,
};
use outlast_daemon::client::ControlClient;
use outlast_daemon::{Options, Sidecar, TaskReach, draw_capability};
use outlast_sandbox::Sandbox;
use serde_json::Value;
use std::convert::Infallible;
use std::future::Future;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

pub type Body = UnsyncBoxBody<Bytes, Infallible>;
type Answering = Pin<Box<dyn Future<Output = Response<Body>> + Send>>;

/// A request as the upstream saw it.
#[derive(Clone, Debug)]
pub struct Seen {
    pub connection: usize,
    pub method: String,
    pub target: String,
    pub headers: HeaderMap,
}

impl Seen {
    pub fn all(&self, name: &str) -> Vec<String> {
        self.headers.get_all(name).iter().map(|value| value.to_str().unwrap().to_owned()).collect()
    }
}

/// An upstream on loopback.
pub struct Upstream {
    pub address: SocketAddr,
    seen: Arc<Mutex<Vec<Seen>>>,
}

impl Upstream {
    pub async fn start<F>(answer: impl Fn(Request<Incoming>) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Response<Body>> + Send + 'static,
    {
        let answer = Arc::new(move |request| Box::pin(answer(request)) as Answering);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let noted = Arc::clone(&seen);
        tokio::spawn(async move {
            for connection in 0.. {
                let (stream, _) = listener.accept().await.unwrap();
                let (answer, noted) = (Arc::clone(&answer), Arc::clone(&noted));
                let service = service_fn(move |request: Request<Incoming>| {
                    noted.lock().unwrap().push(Seen {
                        connection,
                        method: request.method().to_string(),
                        target: request.uri().to_string(),
                        headers: request.headers().clone(),
                    });
                    let answering = answer(request);
                    async move { Ok::<_, Infallible>(answering.await) }
                });
                tokio::spawn(async move {
                    let _ =
                        auto::Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(stream), service).await;
                });
            }
        });
        Self { address, seen }
    }

    /// Answers every request with 200 and `text`.
    pub async fn saying(text: &'static str) -> Self {
        Self::start(move |_| async move { plain(200, text) }).await
    }

    pub fn origin(&self) -> String {
        format!("http://{}", self.address)
    }

    pub fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }
}

pub fn plain(status: u16, text: impl Into<Bytes>) -> Response<Body> {
    Response::builder().status(status).body(Full::new(text.into()).boxed_unsync()).unwrap()
}

pub fn id(name: &str) -> GrantId {
    GrantId::parse(name).unwrap()
}

pub fn settings(name: &str, token_endpoint: &str, upstream: Option<&str>) -> GrantSettings {
    GrantSettings {
        client_id: "sandbox".to_owned(),
        client_auth: ClientAuth::Basic(Secret::new("sandbox-secret")),
        upstream: upstream.map(|upstream| upstream.parse().unwrap()),
        ..GrantSettings::new(
            id(name),
            "refresh_token",
            Server::from(Provider {
                name: "custom".to_owned(),
                token_endpoint: token_endpoint.to_owned(),
                ..Provider::default()
            }),
        )
    }
}

pub async fn sandbox() -> Sandbox {
    let settings = outlast_sandbox::Settings { access_ttl: Duration::from_secs(600), ..Default::default() };
    Sandbox::start(settings).await.unwrap()
}

/// Takes a new family of the sandbox over; the tokens, for searches.
pub async fn import(handle: &GrantHandle, sandbox: &Sandbox) -> outlast_sandbox::IssuedTokens {
    let issued = sandbox.issue();
    let response = read_token_set(&issued.token_response().to_string()).unwrap();
    handle.import(TokenSet::first(response, SystemClock::new().now())).await.unwrap();
    issued
}

/// A grant that holds a token of its own making and never needs a server.
pub async fn import_plain(keeper: &Keeper, name: &str, access: &str) {
    let response = read_token_set(&format!(r#"{{"access_token":"{access}","expires_in":3600}}"#)).unwrap();
    let handle = keeper.grant(&id(name)).unwrap();
    handle.import(TokenSet::first(response, SystemClock::new().now())).await.unwrap();
}

/// A keeper whose grants hold the token `token-of-NAME`.
pub async fn keeper(grants: &[(&str, Option<&str>)]) -> Keeper {
    let settings = grants.iter().map(|(name, upstream)| settings(name, "http://127.0.0.1:1/token", *upstream));
    let keeper = Settings::in_memory().grants(settings).open().unwrap();
    for (name, _) in grants {
        import_plain(&keeper, name, &format!("token-of-{name}")).await;
    }
    keeper
}

pub async fn sidecar(keeper: &Keeper, hold: Duration, socket: Option<PathBuf>) -> Sidecar {
    let options = Options {
        socket,
        proxy: SocketAddr::from(([127, 0, 0, 1], 0)),
        hold,
        logins: true,
        tasks: TaskReach::All,
        capability: draw_capability().unwrap(),
    };
    Sidecar::start(keeper.clone(), options).await.unwrap()
}

/// A sidecar before one upstream, as grant `crm`.
pub async fn before(upstream: &Upstream) -> (Keeper, Sidecar) {
    let keeper = keeper(&[("crm", Some(&upstream.origin()))]).await;
    let sidecar = sidecar(&keeper, Duration::ZERO, None).await;
    (keeper, sidecar)
}

/// An answer as it came.
#[derive(Debug)]
pub struct Raw {
    pub status: u16,
    pub head: String,
    pub body: String,
}

impl Raw {
    pub fn field(&self, name: &str) -> Option<&str> {
        self.head.lines().skip(1).find_map(|line| {
            let (found, value) = line.split_once(':')?;
            found.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }

    pub fn parse(text: &str) -> Self {
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or((text, ""));
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0);
        Self { status, head: head.to_owned(), body: body.to_owned() }
    }
}

/// Sends these bytes and reads until the connection ends.
pub async fn exchange(address: SocketAddr, bytes: &[u8]) -> Raw {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(bytes).await.unwrap();
    let mut answer = Vec::new();
    // A reset after an answer is an answer, too.
    let _ = tokio::time::timeout(Duration::from_secs(30), stream.read_to_end(&mut answer)).await.unwrap();
    Raw::parse(&String::from_utf8_lossy(&answer))
}

/// A request in HTTP/1.1 with the sidecar's capability; `fields` are whole lines without their end.
pub async fn ask(sidecar: &Sidecar, request_line: &str, fields: &[&str], body: &str) -> Raw {
    let capability = sidecar.capability().expose();
    let mut text = format!("{request_line} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n", sidecar.proxy_address());
    text.push_str(&format!("Authorization: Bearer {capability}\r\n"));
    for field in fields {
        text.push_str(field);
        text.push_str("\r\n");
    }
    if !body.is_empty() {
        text.push_str(&format!("Content-Length: {}\r\n", body.len()));
    }
    exchange(sidecar.proxy_address(), format!("{text}\r\n{body}").as_bytes()).await
}

pub async fn get(sidecar: &Sidecar, path: &str) -> Raw {
    ask(sidecar, &format!("GET {path}"), &[], "").await
}

/// Reads from a stream until `wanted` has come; panics if it does not.
pub async fn read_until(stream: &mut (impl tokio::io::AsyncRead + Unpin), wanted: &str) -> String {
    let mut text = Vec::new();
    let mut chunk = [0; 4096];
    while !String::from_utf8_lossy(&text).contains(wanted) {
        let read = tokio::time::timeout(Duration::from_secs(20), stream.read(&mut chunk));
        let count = read.await.unwrap_or_else(|_| panic!("no {wanted:?} in {:?}", String::from_utf8_lossy(&text)));
        let count = count.unwrap();
        assert!(count > 0, "the stream ended before {wanted:?}: {:?}", String::from_utf8_lossy(&text));
        text.extend_from_slice(&chunk[..count]);
    }
    String::from_utf8_lossy(&text).into_owned()
}

/// Everything there is.
pub struct Stage {
    pub sandbox: Sandbox,
    pub keeper: Keeper,
    pub sidecar: Sidecar,
    pub issued: outlast_sandbox::IssuedTokens,
    pub socket: PathBuf,
    pub folder: tempfile::TempDir,
}

/// A sidecar with a control socket; `crm` holds a family of the sandbox, `empty` nothing.
pub async fn stage() -> Stage {
    let sandbox = sandbox().await;
    let endpoint = sandbox.token_endpoint();
    let grants = [settings("crm", &endpoint, Some(sandbox.api())), settings("empty", &endpoint, None)];
    let keeper = Settings::in_memory().grants(grants).open().unwrap();
    let issued = import(&keeper.grant(&id("crm")).unwrap(), &sandbox).await;
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("run/control.sock");
    let sidecar = sidecar(&keeper, Duration::ZERO, Some(socket.clone())).await;
    Stage { sandbox, keeper, sidecar, issued, socket, folder }
}

/// `GET` on the control socket.
pub async fn ask_control(socket: &Path, path: &str) -> (u16, Value) {
    let (status, body) = ControlClient::connect(socket).await.unwrap().get(path).await.unwrap();
    (status, serde_json::from_slice(&body).unwrap_or_else(|_| String::from_utf8_lossy(&body).into()))
}

/// Follows redirects with cookies, as a browser does; the server asks its user nothing.
const BROWSER: &str = "import sys, http.cookiejar, urllib.request as u
u.build_opener(u.HTTPCookieProcessor(http.cookiejar.CookieJar())).open(sys.argv[1]).read()";

pub struct Browser;

impl LoginPrompt for Browser {
    fn show(&self, step: LoginStep) {
        let LoginStep::Visit { address, .. } = step else { panic!("{step:?}") };
        let started = Command::new("python3").args(["-c", BROWSER, &address]).stderr(Stdio::null()).spawn();
        drop(started.unwrap());
    }

    fn pasted(&self) -> BoxFuture<'_, String> {
        Box::pin(std::future::pending())
    }

    fn refuse(&self, _why: &str) {}
}
