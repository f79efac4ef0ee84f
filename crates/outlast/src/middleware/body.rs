//! A request body that can be sent again, as far as it fits a bound.

use bytes::{Buf, Bytes};
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt;
use outlast_core::replay::BodyKept;
use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use tokio::sync::Notify;

/// What was read of a body so far.
#[derive(Debug)]
struct Recording<B> {
    chunks: VecDeque<Bytes>,
    bytes: usize,
    bytes_max: usize,
    finished: bool,
    spoilt: bool,
    /// What nobody has read yet of a body whose sender went away: a server may refuse a request before it has
    /// read it.
    rest: Option<Pin<Box<B>>>,
}

#[derive(Debug)]
struct Shared<B> {
    recording: Mutex<Recording<B>>,
    changed: Notify,
}

/// Keeps what passes through a [`ReplayBody`], so that it can be sent again.
#[derive(Debug)]
pub(crate) struct Recorder<B> {
    shared: Arc<Shared<B>>,
    /// Whether the body says how long it is, and that this fits the bound.
    fits: bool,
}

impl<B: Body<Data = Bytes>> Recorder<B> {
    /// Whether all of the body is kept.
    pub(crate) fn kept(&self) -> BodyKept {
        let recording = self.shared.lock();
        if recording.finished && !recording.spoilt { BodyKept::Whole } else { BodyKept::Gone }
    }

    /// Waits until all of the body is kept, where it is known to fit: the refusal may have come before the last of
    /// it was sent, or read from whoever sends it.
    pub(crate) async fn finish(&self) {
        if !self.fits {
            return;
        }
        loop {
            let rest = {
                let mut recording = self.shared.lock();
                if recording.finished || recording.spoilt {
                    return;
                }
                recording.rest.take()
            };
            match rest {
                Some(rest) => return self.read(rest).await,
                // It is being sent still.
                None => self.shared.changed.notified().await,
            }
        }
    }

    async fn read(&self, mut rest: Pin<Box<B>>) {
        loop {
            let frame = rest.frame().await;
            let mut recording = self.shared.lock();
            recording.note(frame.as_ref(), rest.is_end_stream());
            if recording.finished || recording.spoilt {
                return;
            }
        }
    }

    /// The same body once more; only right when all of it is kept.
    pub(crate) fn again(&self) -> ReplayBody<B> {
        let recording = self.shared.lock();
        ReplayBody(State::Again { chunks: recording.chunks.clone(), bytes: recording.bytes })
    }
}

/// A request body on its first or second way. It streams: nothing is held back to be recorded.
#[derive(Debug)]
pub struct ReplayBody<B>(State<B>);

#[derive(Debug)]
enum State<B> {
    Again { chunks: VecDeque<Bytes>, bytes: usize },
    First { inner: Option<Pin<Box<B>>>, shared: Arc<Shared<B>> },
}

impl<B: Body<Data = Bytes>> ReplayBody<B> {
    /// Wraps a body and keeps up to `bytes_max` of it.
    pub(crate) fn record(inner: B, bytes_max: usize) -> (Self, Recorder<B>) {
        let fits = |length: u64| length <= bytes_max as u64;
        let recording = Recording {
            chunks: VecDeque::new(),
            bytes: 0,
            bytes_max,
            finished: inner.is_end_stream(),
            spoilt: !fits(inner.size_hint().lower()),
            rest: None,
        };
        let fits = inner.size_hint().exact().is_some_and(fits);
        let shared = Arc::new(Shared { recording: Mutex::new(recording), changed: Notify::new() });
        let recorder = Recorder { shared: Arc::clone(&shared), fits };
        (Self(State::First { inner: Some(Box::pin(inner)), shared }), recorder)
    }
}

impl<B> Recording<B> {
    /// What was read, and whether nothing comes after it.
    fn note<E>(&mut self, frame: Option<&Result<Frame<Bytes>, E>>, is_last: bool) {
        match frame {
            None => self.finished = true,
            Some(Err(_)) => self.spoilt = true,
            Some(Ok(frame)) => match frame.data_ref() {
                Some(chunk) => self.keep(chunk),
                // Trailers are not kept; a request with them is not sent again.
                None => self.spoilt = true,
            },
        }
        self.finished |= is_last;
    }

    fn keep(&mut self, chunk: &Bytes) {
        if self.spoilt {
            return;
        }
        if self.bytes + chunk.len() > self.bytes_max {
            self.spoilt = true;
            self.chunks.clear();
        } else {
            self.bytes += chunk.len();
            self.chunks.push_back(chunk.clone());
        }
    }
}

impl<B> Shared<B> {
    fn lock(&self) -> MutexGuard<'_, Recording<B>> {
        self.recording.lock().unwrap_or_else(PoisonError::into_inner)
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
            State::First { inner: None, .. } => Poll::Ready(None),
            State::First { inner: Some(inner), shared } => {
                let polled = inner.as_mut().poll_frame(context);
                if let Poll::Ready(frame) = &polled {
                    shared.lock().note(frame.as_ref(), inner.is_end_stream());
                    shared.changed.notify_one();
                }
                polled
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.0 {
            State::Again { chunks, .. } => chunks.is_empty(),
            State::First { inner, .. } => inner.as_ref().is_none_or(|inner| inner.is_end_stream()),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.0 {
            State::Again { bytes, .. } => SizeHint::with_exact(*bytes as u64),
            State::First { inner, .. } => inner.as_ref().map_or_else(SizeHint::default, |inner| inner.size_hint()),
        }
    }
}

impl<B> Drop for ReplayBody<B> {
    fn drop(&mut self) {
        if let State::First { inner, shared } = &mut self.0 {
            let mut recording = shared.lock();
            if !recording.finished && !recording.spoilt {
                recording.rest = inner.take();
            }
            drop(recording);
            shared.changed.notify_one();
        }
    }
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
    async fn r8_what_was_not_read_when_its_sender_went_away_is_read_for_the_replay() {
        let (first, recorder) = ReplayBody::record(Full::from("0123456789"), 10);
        drop(first);
        assert_eq!(recorder.kept(), BodyKept::Gone);
        recorder.finish().await;
        assert_eq!(recorder.kept(), BodyKept::Whole);
        assert_eq!(collect(recorder.again()).await, "0123456789");
    }

    #[tokio::test]
    async fn r8_a_body_that_is_being_sent_still_is_waited_for() {
        let (first, recorder) = ReplayBody::record(Full::from("0123456789"), 10);
        let (sent, ()) = tokio::join!(collect(first), recorder.finish());
        assert_eq!((sent, recorder.kept()), (Bytes::from("0123456789"), BodyKept::Whole));
    }

    #[tokio::test]
    async fn f52_a_body_that_may_never_end_is_not_waited_for() {
        let frames = futures_util::stream::pending::<Result<Frame<Bytes>, ()>>();
        let (first, recorder) = ReplayBody::record(StreamBody::new(frames), 10);
        drop(first);
        recorder.finish().await;
        assert_eq!(recorder.kept(), BodyKept::Gone);
    }

    #[tokio::test]
    async fn an_empty_body_is_kept_without_being_read() {
        let (_, recorder) = ReplayBody::record(Full::<Bytes>::default(), 10);
        assert_eq!(recorder.kept(), BodyKept::Whole);
    }
}
