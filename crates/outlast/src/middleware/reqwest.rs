//! The walk around a reqwest client.

use crate::handle::GrantHandle;
use crate::middleware::{AuthorizeError, PeekedBody, Policy, authorize};
use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use std::error::Error;

/// Why a request got no response.
pub type SendError = AuthorizeError<reqwest::Error>;

/// A reqwest client whose requests carry a grant's access token. Requests and responses are the
/// `http` crate's, so that a request can be sent twice.
#[derive(Clone)]
pub struct AuthorizedClient {
    client: reqwest::Client,
    handle: GrantHandle,
    policy: Policy,
}

impl AuthorizedClient {
    /// Around `client`, whose redirects should be off: a token belongs to one origin.
    pub fn new(client: reqwest::Client, handle: GrantHandle) -> Self {
        Self { client, handle, policy: Policy::default() }
    }

    /// With another policy than the default.
    #[must_use]
    pub fn policy(self, policy: Policy) -> Self {
        Self { policy, ..self }
    }

    /// Sends a request with the grant's access token; see
    /// [`authorize`](crate::middleware::authorize()).
    pub async fn send<B>(&self, request: Request<B>) -> Result<Response<PeekedBody<reqwest::Body>>, SendError>
    where
        B: Body<Data = Bytes> + Send + Sync + 'static,
        B::Error: Into<Box<dyn Error + Send + Sync>>,
    {
        let send = |request: Request<_>| {
            let client = self.client.clone();
            async move {
                let request = reqwest::Request::try_from(request.map(reqwest::Body::wrap))?;
                Ok(Response::<reqwest::Body>::from(client.execute(request).await?))
            }
        };
        authorize(&self.handle, &self.policy, request, send).await
    }
}
