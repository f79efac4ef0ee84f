//! A server that answers what it is told to, byte by byte, and remembers what it was sent.
#![allow(dead_code, unreachable_pub, clippy::unwrap_used)]

use outlast_core::wire::{Answer, Reply};
use outlast_core::{BoxFuture, Clock, Timestamp};
use outlast_core::{Fence, GrantId, Lease, Secret, TokenEndpoint, TokenRequest};
use outlast_oauth::{HttpTokenEndpoint, Limits};
use std::process::{Command, Output, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// What follows the bytes of an answer.
#[derive(Clone, Copy)]
pub enum Ending {
    /// The connection is closed.
    Close,
    /// The connection stays open and silent.
    Hold,
    /// The same bytes again and again, as fast as they are taken.
    Repeat(&'static [u8]),
    /// The connection is reset.
    Reset,
    /// The same bytes again and again, with a pause between.
    Trickle(&'static [u8]),
}

/// A running server.
pub struct Server {
    /// `127.0.0.1:port`.
    pub host: String,
    requests: Arc<Mutex<Vec<String>>>,
    connections: Arc<Mutex<usize>>,
    bytes: Arc<Mutex<usize>>,
}

impl Server {
    /// Gives every request the same answer.
    pub async fn always(answer: impl Into<Vec<u8>>, ending: Ending) -> Self {
        let answer = answer.into();
        Self::start(move |_| (answer.clone(), ending)).await
    }

    /// Answers by the request's head and body.
    pub async fn start(answer: impl Fn(&str) -> (Vec<u8>, Ending) + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let host = listener.local_addr().unwrap().to_string();
        let (requests, connections, bytes) = (Arc::default(), Arc::default(), Arc::default());
        let server = Self { host, requests, connections, bytes };
        let (requests, connections) = (Arc::clone(&server.requests), Arc::clone(&server.connections));
        let bytes = Arc::clone(&server.bytes);
        let answer = Arc::new(answer);
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                *connections.lock().unwrap() += 1;
                let (answer, requests, received) = (Arc::clone(&answer), Arc::clone(&requests), Arc::clone(&bytes));
                tokio::spawn(async move {
                    while let Some(request) = read_request(&mut stream, &received).await {
                        requests.lock().unwrap().push(request.clone());
                        let (bytes, ending) = answer(&request);
                        if stream.write_all(&bytes).await.is_err() || !finish(&mut stream, ending).await {
                            return;
                        }
                    }
                });
            }
        });
        server
    }

    pub fn address(&self, path: &str) -> String {
        format!("http://{}{path}", self.host)
    }

    /// Every request so far, head and body.
    pub fn requests(&self) -> Vec<String> {
        self.requests.lock().unwrap().clone()
    }

    /// How much was received, requests or not.
    pub fn bytes(&self) -> usize {
        *self.bytes.lock().unwrap()
    }

    pub fn connections(&self) -> usize {
        *self.connections.lock().unwrap()
    }
}

async fn read_request(stream: &mut TcpStream, received: &Mutex<usize>) -> Option<String> {
    let mut bytes = Vec::new();
    let mut buffer = [0_u8; 4096];
    loop {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = field(head, "content-length").map_or(0, |value| value.parse().unwrap());
            if body.len() >= length {
                return Some(text);
            }
        }
        match stream.read(&mut buffer).await {
            Ok(0) | Err(_) => return None,
            Ok(count) => {
                *received.lock().unwrap() += count;
                bytes.extend_from_slice(&buffer[..count]);
            }
        }
    }
}

/// Whether the connection goes on.
async fn finish(stream: &mut TcpStream, ending: Ending) -> bool {
    match ending {
        Ending::Close => stream.shutdown().await.ok().is_some_and(|()| false),
        Ending::Hold => true,
        Ending::Repeat(bytes) => loop {
            if stream.write_all(bytes).await.is_err() {
                return false;
            }
        },
        Ending::Reset => stream.set_zero_linger().ok().is_some_and(|()| false),
        Ending::Trickle(bytes) => loop {
            tokio::time::sleep(Duration::from_millis(20)).await;
            if stream.write_all(bytes).await.is_err() {
                return false;
            }
        },
    }
}

/// The value of a field in a request's head, and a panic if it is there twice.
pub fn field<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    let mut values = head.lines().filter_map(|line| {
        let (key, value) = line.split_once(':')?;
        key.eq_ignore_ascii_case(name).then(|| value.trim())
    });
    let value = values.next();
    assert_eq!(values.next(), None, "{name} is there twice");
    value
}

/// A whole answer with a Content-Length.
pub fn answer(status: &str, fields: &str, body: &str) -> Vec<u8> {
    format!("HTTP/1.1 {status}\r\n{fields}Content-Length: {}\r\n\r\n{body}", body.len()).into_bytes()
}

pub const TOKENS: &str = r#"{"access_token":"fresh","token_type":"Bearer","expires_in":60}"#;

/// An answer of 200 with a token set.
pub fn tokens() -> Vec<u8> {
    answer("200 OK", "Content-Type: application/json\r\n", TOKENS)
}

pub fn refresh_request(endpoint: String) -> TokenRequest {
    let form = vec![("grant_type", Secret::new("refresh_token")), ("refresh_token", Secret::new("CANARY+r/1 &="))];
    TokenRequest { authorization: Some(Secret::new("Basic Q0FOQVJZ")), ..TokenRequest::form(&endpoint, form) }
}

/// Sends a refresh request with limits that no test waits for.
pub async fn send(endpoint: String) -> Answer {
    send_within(endpoint, Limits { connect: Duration::from_secs(10), total: Duration::from_secs(60) }).await
}

pub async fn send_within(endpoint: String, limits: Limits) -> Answer {
    let lease = Lease::new(GrantId::parse("test").unwrap(), Fence(1), ());
    HttpTokenEndpoint::with_limits(Arc::new(Standing), limits).send(&lease, &refresh_request(endpoint)).await
}

/// A clock that stands at 2027-01-15T08:00:00Z.
pub struct Standing;

impl Standing {
    pub const AT: Timestamp = Timestamp::from_secs(1_800_000_000);
}

impl Clock for Standing {
    fn now(&self) -> Timestamp {
        Self::AT
    }

    fn sleep(&self, _at_most: Duration) -> BoxFuture<'_, ()> {
        Box::pin(std::future::ready(()))
    }
}

/// Limits for tests in which the time has to run out: long enough to connect on a busy machine.
pub fn brief() -> Limits {
    Limits { connect: Duration::from_secs(1), total: Duration::from_millis(2500) }
}

pub fn complete(answer: Answer) -> Reply {
    match answer {
        Answer::Complete(reply) => reply,
        Answer::Lost(fault) | Answer::Unsent(fault) => panic!("no reply: {fault:?}"),
    }
}

/// Runs one test of this binary, marked as ignored, in a process of its own: with `environment`,
/// and `input` on its standard input.
pub fn in_child(test: &str, environment: &[(&str, String)], input: &str) -> Output {
    use std::io::Write;
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", test, "--ignored", "--nocapture"])
        .envs(environment.iter().map(|(name, value)| (*name, value.as_str())))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(said.contains("1 passed"), "{said} {}", String::from_utf8_lossy(&output.stderr));
    output
}

/// The standard input of a child of [`in_child`]; nothing when the test was started by hand.
pub fn input() -> Option<String> {
    use std::io::{IsTerminal, Read, stdin};
    let mut text = String::new();
    if !stdin().is_terminal() {
        stdin().read_to_string(&mut text).unwrap();
    }
    (!text.is_empty()).then_some(text)
}
