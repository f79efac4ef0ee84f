//! One HTTP/1.1 exchange over a bare socket, so that a test can also send what no client library would.
#![allow(dead_code)] // Each test file uses its own share.

use outlast_sandbox::{Sandbox, Settings};
use serde_json::Value;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).expect("a JSON body")
    }

    pub(crate) fn field(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| {
            line.split_once(": ").filter(|(field, _)| field.eq_ignore_ascii_case(name)).map(|(_, value)| value)
        })
    }

    pub(crate) fn error(&self) -> String {
        self.json()["error"].as_str().unwrap_or_default().to_owned()
    }
}

/// Sends one request and reads until the server closes; an error if it closed without an answer.
pub(crate) async fn send(base: &str, head: &str, body: &[u8]) -> io::Result<Answer> {
    let host = base.strip_prefix("http://").expect("an http base");
    let mut stream = TcpStream::connect(host).await?;
    let (first, fields) = head.split_once('\n').unwrap_or((head, ""));
    let mut text = format!("{first} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n");
    for field in fields.lines() {
        text.push_str(&format!("{field}\r\n"));
    }
    if !body.is_empty() {
        text.push_str(&format!("Content-Length: {}\r\n", body.len()));
    }
    stream.write_all(format!("{text}\r\n").as_bytes()).await?;
    stream.write_all(body).await?;
    let mut received = Vec::new();
    stream.read_to_end(&mut received).await?;
    let end = received.windows(4).position(|window| window == b"\r\n\r\n").ok_or(io::ErrorKind::UnexpectedEof)?;
    let head = String::from_utf8(received[..end].to_vec()).expect("a head in ASCII");
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status line");
    Ok(Answer { status, head, body: received[end + 4..].to_vec() })
}

pub(crate) async fn token(sandbox: &Sandbox, form: &str) -> io::Result<Answer> {
    let head = "POST /token\nContent-Type: application/x-www-form-urlencoded";
    send(sandbox.issuer(), head, form.as_bytes()).await
}

/// A refresh with the default client's credentials in the body.
pub(crate) async fn refresh(sandbox: &Sandbox, refresh_token: &str) -> io::Result<Answer> {
    token(sandbox, &format!("grant_type=refresh_token&refresh_token={refresh_token}&{CLIENT}")).await
}

pub(crate) const CLIENT: &str = "client_id=sandbox&client_secret=sandbox-secret";

/// `request` is a method and a path, and further lines are header fields.
pub(crate) async fn api(sandbox: &Sandbox, access: &str, request: &str, body: &[u8]) -> Answer {
    send(sandbox.api(), &format!("{request}\nAuthorization: Bearer {access}"), body).await.expect("an answer")
}

pub(crate) async fn order(sandbox: &Sandbox, json: &str) -> Answer {
    send(sandbox.issuer(), "POST /faults", json.as_bytes()).await.expect("an answer")
}

pub(crate) async fn strict() -> Sandbox {
    Sandbox::start(Settings::default()).await.expect("a free port")
}

/// A sandbox whose time stands still until the test moves it on.
pub(crate) async fn with_clock(settings: Settings) -> (Sandbox, impl Fn(Duration)) {
    let millis = Arc::new(AtomicU64::new(0));
    let hand = Arc::clone(&millis);
    let clock: outlast_sandbox::Clock = Arc::new(move || Duration::from_millis(millis.load(Ordering::SeqCst)));
    let sandbox = Sandbox::start(Settings { clock: Some(clock), ..settings }).await.expect("a free port");
    (sandbox, move |by: Duration| {
        hand.fetch_add(by.as_millis() as u64, Ordering::SeqCst);
    })
}

/// Waits for a promise that no event announces; a test that hangs here has found it broken.
pub(crate) async fn until(promise: impl Fn() -> bool) {
    while !promise() {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}
