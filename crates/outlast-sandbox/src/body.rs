//! Bodies: reading them within a limit, and answering with text, events or many bytes.

use bytes::Bytes;
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::{Body, Frame, Incoming, SizeHint};
use hyper::{Response, StatusCode, header};
use serde_json::Value;
use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::time::{Sleep, sleep, timeout};

/// The largest body that is read into memory.
pub(crate) const BODY_BYTES_MAX: usize = 1024 * 1024;
/// How long a body may take to arrive; one of any length, how long its next piece may take.
pub(crate) const BODY_WAIT_MAX: Duration = Duration::from_secs(60);
/// Size of the pieces in which a large answer is sent.
const PIECE: Bytes = Bytes::from_static(&[b'x'; 64 * 1024]);

/// Every answer of the sandbox.
pub(crate) type Answer = Response<BoxBody<Bytes, Infallible>>;

/// The whole body, or `None` if it broke off, is larger than [`BODY_BYTES_MAX`] or late by [`BODY_WAIT_MAX`].
pub(crate) async fn read(body: Incoming) -> Option<Bytes> {
    let whole = timeout(BODY_WAIT_MAX, Limited::new(body, BODY_BYTES_MAX).collect()).await.ok()?;
    whole.ok().map(|collected| collected.to_bytes())
}

/// Reads up to [`BODY_BYTES_MAX`] and throws it away, so that a client that is still sending sees the answer.
pub(crate) async fn drain(body: Incoming) {
    let _unused = read(body).await;
}

/// An answer in JSON.
pub(crate) fn json(status: StatusCode, value: &Value) -> Answer {
    typed(status, "application/json", value.to_string())
}

/// An answer of this media type.
pub(crate) fn typed(status: StatusCode, media_type: &'static str, text: impl Into<Bytes>) -> Answer {
    let mut answer = Response::new(Full::new(text.into()).boxed());
    *answer.status_mut() = status;
    answer.headers_mut().insert(header::CONTENT_TYPE, header::HeaderValue::from_static(media_type));
    answer
}

/// An answer without a body.
pub(crate) fn empty(status: StatusCode) -> Answer {
    let mut answer = Response::new(Full::new(Bytes::new()).boxed());
    *answer.status_mut() = status;
    answer
}

/// An answer whose body comes piece by piece.
pub(crate) fn streamed<B>(media_type: &'static str, body: B) -> Answer
where
    B: Body<Data = Bytes, Error = Infallible> + Send + Sync + 'static,
{
    let mut answer = Response::new(body.boxed());
    answer.headers_mut().insert(header::CONTENT_TYPE, header::HeaderValue::from_static(media_type));
    answer
}

/// So many bytes, never held in memory at once.
pub(crate) struct ManyBytes {
    left: u64,
}

impl ManyBytes {
    pub(crate) fn new(bytes: u64) -> Self {
        Self { left: bytes }
    }
}

impl Body for ManyBytes {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if self.left == 0 {
            return Poll::Ready(None);
        }
        let length = usize::try_from(self.left).unwrap_or(usize::MAX).min(PIECE.len());
        self.left -= length as u64;
        Poll::Ready(Some(Ok(Frame::data(PIECE.slice(..length)))))
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}

/// Server-sent events at an interval; the first comes at once.
pub(crate) struct Events {
    next: u64,
    total: u64,
    interval: Duration,
    pause: Option<Pin<Box<Sleep>>>,
}

impl Events {
    pub(crate) fn new(total: u64, interval: Duration) -> Self {
        Self { next: 0, total, interval, pause: None }
    }
}

impl Body for Events {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if self.next == self.total {
            return Poll::Ready(None);
        }
        if let Some(pause) = &mut self.pause {
            ready!(pause.as_mut().poll(context));
        }
        let event = format!("id: {number}\ndata: {{\"event\":{number}}}\n\n", number = self.next);
        self.next += 1;
        self.pause = Some(Box::pin(sleep(self.interval)));
        Poll::Ready(Some(Ok(Frame::data(Bytes::from(event)))))
    }
}
