//! The walk as a tower layer.

use crate::handle::GrantHandle;
use crate::middleware::{AuthorizeError, PeekedBody, Policy, ReplayBody, authorize};
use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use std::pin::Pin;
use std::task::{Context, Poll};
use tower::{Layer, Service, ServiceExt};

/// Makes services that send every request with a grant's access token.
#[derive(Clone)]
pub struct AuthorizeLayer {
    handle: GrantHandle,
    policy: Policy,
}

impl AuthorizeLayer {
    /// For one grant.
    pub fn new(handle: GrantHandle) -> Self {
        Self { handle, policy: Policy::default() }
    }

    /// With another policy than the default.
    #[must_use]
    pub fn policy(self, policy: Policy) -> Self {
        Self { policy, ..self }
    }
}

impl<S> Layer<S> for AuthorizeLayer {
    type Service = Authorize<S>;

    fn layer(&self, inner: S) -> Authorize<S> {
        Authorize { inner, handle: self.handle.clone(), policy: self.policy }
    }
}

/// A service that sends every request with a grant's access token; see
/// [`authorize`](crate::middleware::authorize()).
#[derive(Clone)]
pub struct Authorize<S> {
    inner: S,
    handle: GrantHandle,
    policy: Policy,
}

type Answer<R, E> = Result<Response<PeekedBody<R>>, AuthorizeError<E>>;

impl<S, B, R> Service<Request<B>> for Authorize<S>
where
    S: Service<Request<ReplayBody<B>>, Response = Response<R>> + Clone + Send + Sync + 'static,
    S::Future: Send,
    S::Error: Send,
    B: Body<Data = Bytes> + Send + 'static,
    R: Body<Data = Bytes> + Send + 'static,
    R::Error: Send,
{
    type Response = Response<PeekedBody<R>>;
    type Error = AuthorizeError<S::Error>;
    type Future = Pin<Box<dyn Future<Output = Answer<R, S::Error>> + Send>>;

    fn poll_ready(&mut self, _context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        // Each send asks the inner service itself: a replay needs a second readiness.
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let (inner, handle, policy) = (self.inner.clone(), self.handle.clone(), self.policy);
        Box::pin(async move { authorize(&handle, &policy, request, |request| inner.clone().oneshot(request)).await })
    }
}
