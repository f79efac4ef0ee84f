//! An answer that is passed on for as long as its grant is signed in to: whoever signs out means the streams
//! as well that were begun before (F85).

use super::answer::BodyError;
use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};
use outlast::GrantHandle;
use std::pin::Pin;
use std::task::{Context, Poll};

/// A body that breaks off when somebody signs out of its grant.
pub(super) struct WhileSignedIn<B> {
    body: B,
    handle: GrantHandle,
    /// Made when the upstream is first waited for: an answer that is there at once costs nothing.
    signed_out: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
}

impl<B> WhileSignedIn<B> {
    pub(super) fn new(body: B, handle: &GrantHandle) -> Self {
        Self { body, handle: handle.clone(), signed_out: None }
    }

    fn wait(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let Self { handle, signed_out, .. } = self;
        let signed_out = signed_out.get_or_insert_with(|| {
            let handle = handle.clone();
            Box::pin(async move { handle.signed_out().await })
        });
        signed_out.as_mut().poll(context)
    }
}

impl<B: Body<Data = Bytes, Error = BodyError> + Unpin> Body for WhileSignedIn<B> {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        if let Poll::Ready(frame) = Pin::new(&mut self.body).poll_frame(context) {
            return Poll::Ready(frame);
        }
        self.wait(context).map(|()| Some(Err("somebody signed out of the grant".into())))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
