//! Clients of the control socket: one for ordinary commands, and one without a runtime for the
//! command that only prints a token.

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HOST};
use http::{Method, Request};
use http_body_util::{BodyExt, Full, Limited};
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use outlast::Secret;
use serde::Deserialize;
use std::fmt;
use std::io::{self, Read, Write};
use std::path::Path;
use std::time::Duration;

/// Largest answer that is read.
const ANSWER_BYTES_MAX: usize = 4 * 1024 * 1024;
/// Largest answer with the output of a step.
const OUTPUT_ANSWER_BYTES_MAX: usize = 96 * 1024 * 1024;
/// Longest silence of the sidecar that the blocking client bears.
const SILENCE_MAX: Duration = Duration::from_secs(2);

/// A connection to a sidecar's control socket.
#[derive(Debug)]
pub struct ControlClient {
    sender: SendRequest<Full<Bytes>>,
    connection: tokio::task::JoinHandle<()>,
}

impl ControlClient {
    /// Connects to the socket at `path`.
    ///
    /// # Errors
    /// If nobody answers there.
    pub async fn connect(path: &Path) -> io::Result<Self> {
        let stream = tokio::net::UnixStream::connect(path).await?;
        let (sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(io::Error::other)?;
        let connection = tokio::spawn(async move {
            // What goes wrong shows in the answer that does not come.
            let _ = connection.await;
        });
        Ok(Self { sender, connection })
    }

    /// `GET path`: the status and the body.
    ///
    /// # Errors
    /// If the connection breaks or the answer is larger than 4 MiB.
    pub async fn get(&mut self, path: &str) -> io::Result<(u16, Bytes)> {
        self.send(Method::GET, path, Bytes::new()).await
    }

    /// `POST path` with a body of JSON: the status and the body.
    ///
    /// # Errors
    /// If the connection breaks or the answer is larger than 4 MiB.
    pub async fn post(&mut self, path: &str, json: impl Into<Bytes>) -> io::Result<(u16, Bytes)> {
        self.send(Method::POST, path, json.into()).await
    }

    /// Any request, with a body of JSON: the status and the body.
    ///
    /// # Errors
    /// If the connection breaks or the answer is larger than 96 MiB.
    pub async fn request(&mut self, method: Method, path: &str, json: impl Into<Bytes>) -> io::Result<(u16, Bytes)> {
        self.exchange(method, path, json.into(), OUTPUT_ANSWER_BYTES_MAX).await
    }

    async fn send(&mut self, method: Method, path: &str, body: Bytes) -> io::Result<(u16, Bytes)> {
        self.exchange(method, path, body, ANSWER_BYTES_MAX).await
    }

    async fn exchange(&mut self, method: Method, path: &str, body: Bytes, most: usize) -> io::Result<(u16, Bytes)> {
        let request = Request::builder().method(method).uri(path).header(HOST, "localhost");
        let request =
            request.header(CONTENT_TYPE, "application/json").body(Full::new(body)).map_err(io::Error::other)?;
        self.sender.ready().await.map_err(io::Error::other)?;
        let response = self.sender.send_request(request).await.map_err(io::Error::other)?;
        let status = response.status().as_u16();
        let body = Limited::new(response.into_body(), most).collect().await.map_err(io::Error::other)?;
        Ok((status, body.to_bytes()))
    }
}

impl Drop for ControlClient {
    fn drop(&mut self) {
        self.connection.abort();
    }
}

/// An access token that a sidecar handed out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FetchedToken {
    /// The access token.
    pub access_token: Secret,
    /// How it is presented: `Bearer`, say.
    pub token_type: String,
    /// When it ends, in seconds since the epoch, where known.
    pub expires_at: Option<u64>,
    /// Names the token set.
    pub generation: u64,
}

/// Why a sidecar handed no token out.
#[derive(Debug)]
pub enum FetchError {
    /// The answer is not one of a sidecar.
    Misread,
    /// The sidecar refuses.
    Refused {
        /// HTTP status.
        status: u16,
        /// What kind of problem, as a `Code`.
        code: String,
        /// In words that are safe for agents to read.
        detail: String,
        /// When to try again, in seconds from now.
        retry_after: Option<u64>,
    },
    /// No answer within two seconds: a renewal may be under way. Ask the keeper directly, which
    /// joins it.
    TimedOut,
    /// Nobody answers at the socket.
    Unreachable(io::Error),
}

impl fmt::Display for FetchError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Misread => f.write_str("what answers at the control socket is no sidecar of this version"),
            Self::Refused { detail, .. } => f.write_str(detail),
            Self::TimedOut => f.write_str("the sidecar did not answer in time"),
            Self::Unreachable(cause) => write!(f, "no sidecar answers at the control socket: {cause}"),
        }
    }
}

impl std::error::Error for FetchError {}

#[derive(Deserialize)]
struct TokenAnswer {
    access_token: String,
    token_type: String,
    expires_at: Option<u64>,
    generation: u64,
}

#[derive(Deserialize)]
struct ProblemAnswer {
    code: String,
    detail: String,
    retry_after: Option<u64>,
}

/// Asks the sidecar at `socket` for an access token with at least `min_ttl` to live, without a
/// runtime and within a few seconds. `grant` has to be a grant's name.
pub fn fetch_token_blocking(socket: &Path, grant: &str, min_ttl: Duration) -> Result<FetchedToken, FetchError> {
    // Names hold nothing that would need escaping in a path; anything else is no grant.
    if outlast::GrantId::parse(grant).is_err() {
        return Err(FetchError::Misread);
    }
    let answer = converse(socket, grant, min_ttl).map_err(|cause| match cause.kind() {
        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => FetchError::TimedOut,
        _ => FetchError::Unreachable(cause),
    })?;
    read_answer(&answer).ok_or(FetchError::Misread)?
}

fn converse(socket: &Path, grant: &str, min_ttl: Duration) -> io::Result<Vec<u8>> {
    let mut stream = std::os::unix::net::UnixStream::connect(socket)?;
    stream.set_read_timeout(Some(SILENCE_MAX))?;
    stream.set_write_timeout(Some(SILENCE_MAX))?;
    let secs = min_ttl.as_secs();
    // HTTP/1.0: the answer is never chunked and ends with the connection.
    write!(stream, "GET /v1/grants/{grant}/token?min_ttl={secs} HTTP/1.0\r\nHost: localhost\r\n\r\n")?;
    let mut answer = Vec::new();
    stream.take(ANSWER_BYTES_MAX as u64).read_to_end(&mut answer)?;
    Ok(answer)
}

fn read_answer(answer: &[u8]) -> Option<Result<FetchedToken, FetchError>> {
    let head_end = answer.windows(4).position(|window| window == b"\r\n\r\n")?;
    let head = std::str::from_utf8(&answer[..head_end]).ok()?;
    let body = &answer[head_end + 4..];
    let status: u16 = head.strip_prefix("HTTP/1.")?.get(2..5)?.parse().ok()?;
    if status == 200 {
        let token: TokenAnswer = serde_json::from_slice(body).ok()?;
        return Some(Ok(FetchedToken {
            access_token: Secret::new(token.access_token),
            token_type: token.token_type,
            expires_at: token.expires_at,
            generation: token.generation,
        }));
    }
    let ProblemAnswer { code, detail, retry_after } = serde_json::from_slice(body).ok()?;
    Some(Err(FetchError::Refused { status, code, detail, retry_after }))
}
