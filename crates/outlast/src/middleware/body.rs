//! A request body that can be sent again, as far as it fits a bound.

use bytes::{Buf, Bytes};
use http_body::{Body, Frame, SizeHint};
use outlast_core::replay::BodyKept;
use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

/// What was read of a body so far.
#[derive(Debug, Default)]
struct Recording {
    chunks: VecDeque<Bytes>,
    bytes: usize,
    finished: bool,
    spoilt: bool,
}

/// Keeps what passes through a [`ReplayBody`], so that it can be sent again.
#[derive(Clone, Debug)]
pub(crate) struct Recorder {
    recording: Arc<Mutex<Recording>>,
}

impl Recorder {
    /// Whether all of the body is kept.
    pub(crate) fn kept(&self) -> BodyKept {
        let recording = lock(&self.recording);
        if recording.finished && !recording.spoilt { BodyKept::Whole } else { BodyKept::Gone }
    }

    /// The same body once more; only right when all of it is kept.
    pub(crate) fn again<B>(&self) -> ReplayBody<B> {
        let recording = lock(&self.recording);
        ReplayBody(State::Again { chunks: recording.chunks.clone(), bytes: recording.bytes })
    }
}

/// A request body on its first or second way. It streams: nothing is held back to be recorded.
#[derive(Debug)]
pub struct ReplayBody<B>(State<B>);

#[derive(Debug)]
enum State<B> {
    Again { chunks: VecDeque<Bytes>, bytes: usize },
    First { inner: Pin<Box<B>>, recording: Arc<Mutex<Recording>>, bytes_max: usize },
}

impl<B: Body<Data = Bytes>> ReplayBody<B> {
    /// Wraps a body and keeps up to `bytes_max` of it.
    pub(crate) fn record(inner: B, bytes_max: usize) -> (Self, Recorder) {
        let too_large = inner.size_hint().lower() > bytes_max as u64;
        let recording = Recording { finished: inner.is_end_stream(), spoilt: too_large, ..Recording::default() };
        let recording = Arc::new(Mutex::new(recording));
        let recorder = Recorder { recording: Arc::clone(&recording) };
        (Self(State::First { inner: Box::pin(inner), recording, bytes_max }), recorder)
    }
}

impl Recording {
    fn keep(&mut self, chunk: &Bytes, bytes_max: usize) {
        if self.spoilt {
            return;
        }
        if self.bytes + chunk.len() > bytes_max {
            self.spoilt = true;
            self.chunks.clear();
        } else {
            self.bytes += chunk.len();
            self.chunks.push_back(chunk.clone());
        }
    }
}

impl<B: Body<Data = Bytes>> Body for ReplayBody<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        match &mut self.get_mut().0 {
            State::Again { chunks, bytes } => {
                let next = chunks.pop_front();
                *bytes -= next.as_ref().map_or(0, Buf::remaining);
                Poll::Ready(next.map(|chunk| Ok(Frame::data(chunk))))
            }
            State::First { inner, recording, bytes_max } => {
                let polled = inner.as_mut().poll_frame(context);
                if let Poll::Ready(frame) = &polled {
                    let mut recording = lock(recording);
                    match frame {
                        None => recording.finished = true,
                        Some(Err(_)) => recording.spoilt = true,
                        Some(Ok(frame)) => match frame.data_ref() {
                            Some(chunk) => recording.keep(chunk, *bytes_max),
                            // Trailers are not kept; a request with them is not sent again.
                            None => recording.spoilt = true,
                        },
                    }
                    recording.finished |= inner.is_end_stream();
                }
                polled
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.0 {
            State::Again { chunks, .. } => chunks.is_empty(),
            State::First { inner, .. } => inner.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.0 {
            State::Again { bytes, .. } => SizeHint::with_exact(*bytes as u64),
            State::First { inner, .. } => inner.size_hint(),
        }
    }
}

fn lock(recording: &Mutex<Recording>) -> std::sync::MutexGuard<'_, Recording> {
    recording.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use http_body_util::{BodyExt, Full, StreamBody};

    async fn collect(body: ReplayBody<Full<Bytes>>) -> Bytes {
        body.collect().await.unwrap().to_bytes()
    }

    #[tokio::test]
    async fn what_fits_the_bound_is_sent_again_byte_for_byte() {
        let (first, recorder) = ReplayBody::record(Full::from("0123456789"), 10);
        assert_eq!(recorder.kept(), BodyKept::Gone, "nothing was read yet");
        assert_eq!(collect(first).await, "0123456789");
        assert_eq!(recorder.kept(), BodyKept::Whole);
        assert_eq!(collect(recorder.again()).await, "0123456789");
        assert_eq!(collect(recorder.again()).await, "0123456789");
    }

    #[tokio::test]
    async fn one_byte_past_the_bound_streams_and_is_not_kept() {
        let (first, recorder) = ReplayBody::record(Full::from("0123456789x"), 10);
        assert_eq!(collect(first).await, "0123456789x");
        assert_eq!(recorder.kept(), BodyKept::Gone);
    }

    #[tokio::test]
    async fn f52_a_body_that_was_not_read_to_its_end_is_not_kept() {
        let frames = futures_util::stream::iter(["a", "b"].map(|chunk| Ok::<_, ()>(Frame::data(Bytes::from(chunk)))));
        let (mut first, recorder) = ReplayBody::record(StreamBody::new(frames), 10);
        first.frame().await.unwrap().unwrap();
        assert_eq!(recorder.kept(), BodyKept::Gone);
    }

    #[tokio::test]
    async fn an_empty_body_is_kept_without_being_read() {
        let (_, recorder) = ReplayBody::record(Full::<Bytes>::default(), 10);
        assert_eq!(recorder.kept(), BodyKept::Whole);
    }
}
