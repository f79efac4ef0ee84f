//! The walk of one request: attach, judge, renew, replay once.

use crate::handle::GrantHandle;
use crate::middleware::body::{Recorder, ReplayBody};
use crate::middleware::peek::{PEEK_BYTES_MAX, PeekedBody};
use crate::published::AccessToken;
use crate::token_error::TokenError;
use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response, StatusCode, request};
use http_body::Body;
use outlast_core::Code;
use outlast_core::classify::{EndpointKind, Evidence, Judgement, Quirks, Verdict, classify};
use outlast_core::plan::{Ask, By, Rejected};
use outlast_core::replay::{BodyKept, may_replay};
use outlast_core::token::TokenType;
use outlast_oauth::dpop::{CHALLENGES_MAX, PROOF};
use std::fmt;
use std::time::Duration;

/// Response field that names the [`Code`] of what kept a refusal from being mended.
pub const OUTLAST_CODE: HeaderName = HeaderName::from_static("outlast-code");
/// Request field by which a caller says `never`: this request must not be sent twice.
pub const OUTLAST_REPLAY: HeaderName = HeaderName::from_static("outlast-replay");

/// Until this age a refusal of a token that was never taken may be the server's own lag (F49).
const LAG_AGE_MAX: Duration = Duration::from_secs(30);
/// When such a refused request is tried again with the same token.
const LAG_PAUSES: [Duration; 3] = [Duration::from_millis(250), Duration::from_secs(1), Duration::from_secs(3)];

/// How long the rest of a refused request's body is waited for.
const BODY_TIME_MAX: Duration = Duration::from_secs(10);

/// How patient the walk is, and how much of a request it keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Policy {
    /// How long a request waits for a grant that cannot be served at the moment.
    pub hold: Duration,
    /// Up to how many bytes of a body are kept to be sent again.
    pub replay_body_bytes_max: usize,
}

impl Default for Policy {
    fn default() -> Self {
        Self { hold: Duration::from_secs(20), replay_body_bytes_max: 256 * 1024 }
    }
}

/// Why a request got no response.
#[derive(Debug)]
#[non_exhaustive]
pub enum AuthorizeError<E> {
    /// It could not be sent.
    Send(E),
    /// There is no token to send it with.
    Token(TokenError),
}

impl<E: fmt::Display> fmt::Display for AuthorizeError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Send(error) => error.fmt(f),
            Self::Token(error) => error.fmt(f),
        }
    }
}

impl<E: std::error::Error + 'static> std::error::Error for AuthorizeError<E> {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Send(error) => Some(error),
            Self::Token(error) => Some(error),
        }
    }
}

type Answered<R> = Response<PeekedBody<R>>;

/// Sends `request` with the grant's access token through `send`.
///
/// Whatever Authorization the request carries is replaced. A refusal of the token renews it, once
/// for everybody; the request is then sent once more if all of its body was kept and it is not
/// marked [`OUTLAST_REPLAY`]`: never`. Otherwise the original refusal is returned with
/// [`OUTLAST_CODE`]. Everything else passes through untouched.
pub async fn authorize<B, R, E, F, S>(
    handle: &GrantHandle,
    policy: &Policy,
    request: Request<B>,
    send: S,
) -> Result<Answered<R>, AuthorizeError<E>>
where
    B: Body<Data = Bytes>,
    R: Body<Data = Bytes>,
    F: Future<Output = Result<Response<R>, E>>,
    S: Fn(Request<ReplayBody<B>>) -> F,
{
    let (mut parts, body) = request.into_parts();
    let once = parts.headers.remove(OUTLAST_REPLAY).is_some();
    let (body, recorder) = ReplayBody::record(body, policy.replay_body_bytes_max);
    let token = token(handle, Ask::default(), policy.hold).await.map_err(AuthorizeError::Token)?;
    let response = send(attach(handle, &parts, &token, body)).await.map_err(AuthorizeError::Send)?;
    let walk = Walk { handle, policy, parts, recorder, once, send };
    let response = walk.with_nonces(&token, response).await?;
    walk.judge(token, response).await
}

/// The fresh path first: no lock, no wait.
async fn token(handle: &GrantHandle, ask: Ask, hold: Duration) -> Result<AccessToken, TokenError> {
    match handle.fresh() {
        Some(fresh) if ask == Ask::default() => Ok(fresh.to_owned()),
        _ => handle.access_token_within(ask, hold).await,
    }
}

fn attach<B>(
    handle: &GrantHandle,
    parts: &request::Parts,
    token: &AccessToken,
    body: ReplayBody<B>,
) -> Request<ReplayBody<B>> {
    let mut request = Request::new(body);
    *request.method_mut() = parts.method.clone();
    *request.uri_mut() = parts.uri.clone();
    *request.version_mut() = parts.version;
    *request.headers_mut() = parts.headers.clone();
    *request.extensions_mut() = parts.extensions.clone();
    // Whatever the grant's own field is: a second credential never leaves (N11).
    request.headers_mut().remove(AUTHORIZATION);
    request.headers_mut().insert(token.field().clone(), token.authorization().clone());
    // A proof of the caller's is for a key of the caller's.
    request.headers_mut().remove(PROOF);
    if token.token_type() == TokenType::Dpop {
        prove(handle, parts, token, request.headers_mut());
    }
    request
}

/// Sets the proof that goes with a bound token: for this request alone, with the nonce that its
/// resource gave last (RFC 9449 7.1, N31).
fn prove(handle: &GrantHandle, parts: &request::Parts, token: &AccessToken, headers: &mut HeaderMap) {
    let keeper = handle.keeper();
    let nonce = keeper.nonces().latest(&parts.uri);
    if let Some(proof) = token.proof(&parts.method, &parts.uri, nonce.as_deref(), keeper.clock().now()) {
        headers.insert(PROOF, proof);
    }
}

/// A refusal that is looked into.
struct Walk<'a, S, B> {
    handle: &'a GrantHandle,
    policy: &'a Policy,
    parts: request::Parts,
    recorder: Recorder<B>,
    once: bool,
    send: S,
}

impl<S, B: Body<Data = Bytes>> Walk<'_, S, B> {
    async fn judge<R, E, F>(&self, token: AccessToken, response: Response<R>) -> Result<Answered<R>, AuthorizeError<E>>
    where
        R: Body<Data = Bytes>,
        F: Future<Output = Result<Response<R>, E>>,
        S: Fn(Request<ReplayBody<B>>) -> F,
    {
        let mut refusal = match look(self.handle, &token, response).await {
            Look::Passed(response) => return Ok(response),
            Look::Refused(refusal) => refusal,
        };
        let mut token = token;
        self.keep_all_of_the_body().await;
        if self.may_lag(&token) {
            match self.wait_out_lag(token, refusal).await? {
                Lag::Over(response) => return Ok(response),
                Lag::Refused(last_token, last_refusal) => (token, refusal) = (last_token, last_refusal),
            }
        }
        let by = By::Resource { accepted: token.was_accepted() };
        let ask = Ask { rejected: Some(Rejected { generation: token.generation(), by }), ..Ask::default() };
        match self.handle.access_token_within(ask, self.policy.hold).await {
            Ok(_) if !self.may_replay() => Ok(marked(refusal, Code::NotReplayed)),
            Ok(renewed) => self.replay(renewed).await,
            // It is the resource that refuses what was renewed: its own answer says most.
            Err(error @ TokenError::RejectedAfterRenewal { .. }) => Ok(marked(refusal, error.code())),
            // R24: that there is no other token now is ours to tell. A bare 401 would send the client
            // looking for another credential.
            Err(error) => Err(AuthorizeError::Token(error)),
        }
    }

    /// Answers a resource that wants a nonce in the proof (RFC 9449 9, N33). It asks before it looks at
    /// the request, so this is no replay and no reason to renew; at most [`CHALLENGES_MAX`] more
    /// sends. That the nonce is known already says nothing: a request that was challenged at the same
    /// time may have learned it first.
    async fn with_nonces<R, E, F>(
        &self,
        token: &AccessToken,
        response: Response<R>,
    ) -> Result<Response<R>, AuthorizeError<E>>
    where
        R: Body<Data = Bytes>,
        F: Future<Output = Result<Response<R>, E>>,
        S: Fn(Request<ReplayBody<B>>) -> F,
    {
        let mut response = response;
        if token.token_type() != TokenType::Dpop {
            return Ok(response);
        }
        for _ in 0..CHALLENGES_MAX {
            self.handle.keeper().nonces().learn(&self.parts.uri, response.headers());
            if !wants_nonce(&response) {
                return Ok(response);
            }
            self.keep_all_of_the_body().await;
            if !self.may_replay() {
                return Ok(response);
            }
            response = self.send_again(token).await?;
        }
        self.handle.keeper().nonces().learn(&self.parts.uri, response.headers());
        Ok(response)
    }

    /// A server may refuse a request at its first line, before the body was sent, or read from the client: what is
    /// known to fit is kept all the same.
    async fn keep_all_of_the_body(&self) {
        if self.once {
            return;
        }
        tokio::select! {
            biased;
            () = self.recorder.finish() => {}
            () = self.handle.keeper().clock().sleep(BODY_TIME_MAX) => {}
        }
    }

    fn may_replay(&self) -> bool {
        may_replay(&self.parts.method, self.recorder.kept(), self.once)
    }

    /// Whether the refusal may be the resource's lag behind a renewal: the token is young and was
    /// never taken. A token that was taken before and is refused now was revoked.
    fn may_lag(&self, token: &AccessToken) -> bool {
        self.is_young(token) && !token.was_accepted() && self.may_replay()
    }

    fn is_young(&self, token: &AccessToken) -> bool {
        let age = self.handle.keeper().clock().now().since(token.issued_at());
        token.generation().0 > 1 && age < LAG_AGE_MAX
    }

    async fn replay<R, E, F>(&self, token: AccessToken) -> Result<Answered<R>, AuthorizeError<E>>
    where
        R: Body<Data = Bytes>,
        F: Future<Output = Result<Response<R>, E>>,
        S: Fn(Request<ReplayBody<B>>) -> F,
    {
        let response = self.again(&token).await?;
        let refusal = match look(self.handle, &token, response).await {
            Look::Passed(response) => return Ok(response),
            Look::Refused(refusal) => refusal,
        };
        // Though another request's was taken meanwhile: of two replicas one may lag, and a token of seconds may
        // have ended on the way. There is no other token, and a second renewal would be for nothing.
        if !self.is_young(&token) {
            return Ok(marked(refusal, Code::RejectedAfterRenewal));
        }
        Ok(match self.wait_out_lag(token, refusal).await? {
            Lag::Over(response) => response,
            Lag::Refused(_, refusal) => marked(refusal, Code::RejectedAfterRenewal),
        })
    }

    async fn again<R, E, F>(&self, token: &AccessToken) -> Result<Response<R>, AuthorizeError<E>>
    where
        R: Body<Data = Bytes>,
        F: Future<Output = Result<Response<R>, E>>,
        S: Fn(Request<ReplayBody<B>>) -> F,
    {
        let response = self.send_again(token).await?;
        self.with_nonces(token, response).await
    }

    async fn send_again<R, E, F>(&self, token: &AccessToken) -> Result<Response<R>, AuthorizeError<E>>
    where
        F: Future<Output = Result<Response<R>, E>>,
        S: Fn(Request<ReplayBody<B>>) -> F,
    {
        debug_assert_eq!(self.recorder.kept(), BodyKept::Whole);
        let request = attach(self.handle, &self.parts, token, self.recorder.again());
        (self.send)(request).await.map_err(AuthorizeError::Send)
    }

    /// F49: the same token again after a quarter of a second, one and three; or the next one, as
    /// soon as there is one.
    async fn wait_out_lag<R, E, F>(&self, token: AccessToken, refusal: Answered<R>) -> Result<Lag<R>, AuthorizeError<E>>
    where
        R: Body<Data = Bytes>,
        F: Future<Output = Result<Response<R>, E>>,
        S: Fn(Request<ReplayBody<B>>) -> F,
    {
        let (mut token, mut refusal) = (token, refusal);
        for pause in LAG_PAUSES {
            self.handle.changed(pause).await;
            if let Ok(current) = self.handle.access_token(Ask::default()).await {
                token = current;
            }
            let response = self.again(&token).await?;
            match look(self.handle, &token, response).await {
                Look::Passed(response) => return Ok(Lag::Over(response)),
                Look::Refused(response) => refusal = response,
            }
        }
        Ok(Lag::Refused(token, refusal))
    }
}

enum Lag<R: Body<Data = Bytes>> {
    Over(Answered<R>),
    Refused(AccessToken, Answered<R>),
}

fn wants_nonce<R>(response: &Response<R>) -> bool {
    let judged = || classify(EndpointKind::Resource, 401, response.headers(), b"", &Quirks::default());
    response.status() == StatusCode::UNAUTHORIZED
        && matches!(judged().verdict, Verdict::DpopNonceRequired { nonce: Some(_) })
}

/// What a response says of the token it was asked for with.
enum Look<R: Body<Data = Bytes>> {
    /// Nothing that a renewal would mend.
    Passed(Answered<R>),
    /// It is refused.
    Refused(Answered<R>),
}

/// Judges a response, and notes when the token was taken. Only refusals are looked into, and only
/// as far as a bounded peek.
async fn look<R: Body<Data = Bytes>>(handle: &GrantHandle, token: &AccessToken, response: Response<R>) -> Look<R> {
    let mut response = response.map(PeekedBody::untouched);
    if let Some(bytes_max) = worth_a_look(&response, handle.quirks()) {
        let body = response.body_mut().peek(bytes_max).await;
        let (status, headers) = (response.status().as_u16(), response.headers());
        let Judgement { verdict, evidence, .. } =
            classify(EndpointKind::Resource, status, headers, &body, handle.quirks());
        if verdict.asks_for_renewal() {
            let Evidence { place, found } = &evidence;
            tracing::debug!(grant = %handle.id(), class = verdict.class(), place, found, "a resource refused a token");
            return Look::Refused(response);
        }
        if let Some(code) = remember(handle, &verdict) {
            return Look::Passed(marked(response, code));
        }
    }
    if response.status().is_success() && !token.was_accepted() {
        token.mark_accepted();
        handle.note_accepted(token);
    }
    Look::Passed(response)
}

/// How much of a response has to be seen before it can be judged; nothing for the rest.
///
/// These statuses are how resources are known to refuse a token. A success is believed, except
/// where a provider is known to send errors with it, and then only in short JSON: a stream is
/// never held back.
fn worth_a_look<R: Body<Data = Bytes>>(response: &Answered<R>, quirks: &Quirks) -> Option<usize> {
    match response.status().as_u16() {
        400 | 401 | 403 | 407 | 419 | 440 | 498 | 499 => Some(PEEK_BYTES_MAX),
        200..=299 => quirks.success_peek().filter(|bytes_max| {
            let json = response
                .headers()
                .get(CONTENT_TYPE)
                .is_some_and(|kind| kind.as_bytes().starts_with(b"application/json"));
            json && response.body().longest().is_none_or(|bytes| bytes <= *bytes_max as u64)
        }),
        _ => None,
    }
}

/// Remembers what only a person can give, until the next login (N34, N47, F42): no renewal brings more
/// scope or a newer sign-in, and the grant is good for everything else. The code that tells of it; none
/// where the same was asked for after sign-ins that were to bring it: then the refusal is the resource's
/// last word (N46).
fn remember(handle: &GrantHandle, verdict: &Verdict) -> Option<Code> {
    let now = handle.keeper().clock().now();
    match verdict {
        Verdict::InsufficientScope { scopes } => {
            let scopes = scopes.clone();
            let is_open = handle.want(move |wanted| wanted.challenged_for_scope(&scopes, now));
            is_open.then_some(Code::InsufficientScope)
        }
        Verdict::StepUpRequired(step_up) => {
            let step_up = step_up.clone();
            let is_open = handle.want(move |wanted| wanted.challenged_for_sign_in(&step_up, now));
            is_open.then_some(Code::StepUpRequired)
        }
        // The token is good, and what the request lacked is known by now.
        Verdict::DpopNonceRequired { .. } => Some(Code::NotReplayed),
        Verdict::AccessTokenExpired
        | Verdict::AccessTokenInvalid
        | Verdict::AuthorizationPending
        | Verdict::ClientMisconfigured
        | Verdict::GrantDead
        | Verdict::NotAuth
        | Verdict::PermissionDenied
        | Verdict::RateLimited { .. }
        | Verdict::SlowDown
        | Verdict::Transient { .. }
        | Verdict::Unknown => None,
    }
}

fn marked<R: Body<Data = Bytes>>(mut response: Answered<R>, code: Code) -> Answered<R> {
    response.headers_mut().insert(OUTLAST_CODE, HeaderValue::from_static(code.as_str()));
    response
}
