//! The body of a request that spends something: looks at the lease when it is about to be written.

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use outlast_core::LeaseWatch;
use std::error::Error;
use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};

/// Handed to the connection in one piece, in the step that writes the request: after the name was
/// resolved, the connection made and TLS agreed on. If the lease is lost by then, nothing is written at
/// all, for head and body go out together.
pub(crate) struct GuardedBody {
    content: Option<Bytes>,
    lease: LeaseWatch,
}

/// The lease was lost before the first byte.
#[derive(Debug)]
pub(crate) struct LeaseLost;

impl fmt::Display for LeaseLost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the lease was lost")
    }
}

impl Error for LeaseLost {}

impl GuardedBody {
    /// Guards `content`, which may be empty.
    pub(crate) fn new(content: Bytes, lease: LeaseWatch) -> Self {
        Self { content: Some(content), lease }
    }
}

impl Body for GuardedBody {
    type Data = Bytes;
    type Error = LeaseLost;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        let Some(content) = self.content.take() else { return Poll::Ready(None) };
        Poll::Ready(Some(if self.lease.is_held() { Ok(Frame::data(content)) } else { Err(LeaseLost) }))
    }

    fn is_end_stream(&self) -> bool {
        self.content.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.content.as_ref().map_or(0, |content| content.len() as u64))
    }
}
