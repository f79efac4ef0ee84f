//! A response body whose beginning was looked at.

use bytes::{Bytes, BytesMut};
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt;
use std::collections::VecDeque;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

/// How much of a refusal is looked at.
pub(crate) const PEEK_BYTES_MAX: usize = 16 * 1024;
/// How long a refusal may take to show that much; afterwards it is judged by what there is.
pub(crate) const PEEK_WAIT_MAX: Duration = Duration::from_secs(2);

/// A response body: what was looked at, then the rest, unchanged.
#[derive(Debug)]
pub struct PeekedBody<B: Body<Data = Bytes>> {
    seen: VecDeque<Frame<Bytes>>,
    failed: Option<B::Error>,
    rest: Pin<Box<B>>,
}

impl<B: Body<Data = Bytes>> PeekedBody<B> {
    /// Nothing looked at: the body passes through as it comes.
    pub(crate) fn untouched(body: B) -> Self {
        Self { seen: VecDeque::new(), failed: None, rest: Box::pin(body) }
    }

    /// How long the untouched body can be at most, where that is known.
    pub(crate) fn longest(&self) -> Option<u64> {
        self.rest.size_hint().upper()
    }

    /// Reads up to `bytes_max` for at most [`PEEK_WAIT_MAX`], and returns what there was.
    pub(crate) async fn peek(&mut self, bytes_max: usize) -> Bytes {
        let mut text = BytesMut::new();
        let _ = tokio::time::timeout(PEEK_WAIT_MAX, self.read(&mut text, bytes_max)).await;
        text.freeze()
    }

    async fn read(&mut self, text: &mut BytesMut, bytes_max: usize) {
        while text.len() < bytes_max {
            match self.rest.as_mut().frame().await {
                None => return,
                Some(Err(error)) => {
                    self.failed = Some(error);
                    return;
                }
                Some(Ok(frame)) => {
                    if let Some(chunk) = frame.data_ref() {
                        let wanted = chunk.len().min(bytes_max - text.len());
                        text.extend_from_slice(&chunk[..wanted]);
                    }
                    self.seen.push_back(frame);
                }
            }
        }
    }
}

impl<B: Body<Data = Bytes>> Body for PeekedBody<B>
where
    B::Error: Unpin,
{
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        let this = self.get_mut();
        if let Some(frame) = this.seen.pop_front() {
            return Poll::Ready(Some(Ok(frame)));
        }
        if let Some(error) = this.failed.take() {
            return Poll::Ready(Some(Err(error)));
        }
        this.rest.as_mut().poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.seen.is_empty() && self.failed.is_none() && self.rest.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let seen: u64 = self.seen.iter().filter_map(|frame| frame.data_ref()).map(|chunk| chunk.len() as u64).sum();
        let rest = self.rest.size_hint();
        let mut hint = SizeHint::new();
        if let Some(upper) = rest.upper() {
            hint.set_upper(upper.saturating_add(seen));
        }
        hint.set_lower(rest.lower().saturating_add(seen));
        hint
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http_body_util::{Full, StreamBody};

    #[tokio::test]
    async fn what_was_looked_at_still_arrives_and_only_once() {
        let frames = ["ab", "cd"].map(|chunk| Ok::<_, std::convert::Infallible>(Frame::data(Bytes::from(chunk))));
        let mut body = PeekedBody::untouched(StreamBody::new(futures_util::stream::iter(frames)));
        assert_eq!(body.peek(PEEK_BYTES_MAX).await, "abcd");
        assert_eq!(body.collect().await.unwrap().to_bytes(), "abcd");
    }

    #[tokio::test]
    async fn the_look_ends_at_its_bound_and_the_body_does_not() {
        let mut body = PeekedBody::untouched(Full::from(vec![b'x'; PEEK_BYTES_MAX + 1]));
        assert_eq!(body.peek(PEEK_BYTES_MAX).await.len(), PEEK_BYTES_MAX);
        assert_eq!(body.size_hint().exact(), Some(PEEK_BYTES_MAX as u64 + 1));
        assert_eq!(body.collect().await.unwrap().to_bytes().len(), PEEK_BYTES_MAX + 1);
    }
}
