//! Requests of a task that is recorded: answered from its journal, or sent and written down.

use super::answer::{BodyError, Failure};
use super::{AnswerBody, Proxy, Route, failure};
use crate::record::{
    Admitted, Exchange, Outcome, REPLY_BYTES_MAX, REQUEST_BYTES_MAX, RecordError, Recorder, Reply, Sending, outcome,
};
use bytes::Bytes;
use http::response::Parts;
use http::{HeaderMap, Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Either, Full, LengthLimitError, Limited};
use hyper::body::{Body, Frame, Incoming};
use outlast::middleware::{AuthorizeError, OUTLAST_REPLAY, PeekedBody, Policy};
use outlast::task::{Effect, TaskError};
use outlast::{Ask, Clock, Code};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::sync::mpsc;

/// For how long an answer is still taken in, to be recorded, after the agent that asked has gone.
const TAKEN_IN_MAX: Duration = Duration::from_secs(60);
/// The same for one that may be asked for again without harm.
const SAFE_TAKEN_IN_MAX: Duration = Duration::from_secs(2);
/// How long the very end of an answer is held back until it is recorded. A disk that hangs keeps no agent.
const END_HELD_MAX: Duration = Duration::from_secs(5);
/// Parts of an answer that wait for a slow agent.
const PARTS_MAX: usize = 16;

impl Proxy {
    /// Answers a request that is stripped and addressed to its upstream.
    pub(super) async fn pass_recorded(
        &self,
        recorder: &Arc<Recorder>,
        route: &Arc<Route>,
        request: Request<Incoming>,
    ) -> Result<Response<AnswerBody>, Failure> {
        let (head, body) = request.into_parts();
        let body = Limited::new(body, REQUEST_BYTES_MAX).collect().await.map_err(|error| unread(&*error))?.to_bytes();
        let target = head.uri.path_and_query().map_or("/", |target| target.as_str());
        let once = head.headers.contains_key(OUTLAST_REPLAY);
        let repeatable = !once && recorder.may_repeat(route.handle.id(), &head.method);
        let exchange = Exchange::of(route.handle.id(), &head.method, target, &body, repeatable);
        let request = Request::from_parts(head, Either::Right(Full::new(body)));
        let place = match recorder.admit(&exchange).await.map_err(|error| self.not_admitted(error))? {
            Admitted::Replay(reply) => {
                self.metrics.replayed();
                return Ok(reply.answer());
            }
            Admitted::Send(place) => place,
            Admitted::Unrecorded => {
                let sent = route.send(&self.policy, request).await;
                let response = sent.map_err(|error| failure(&error, self.clock.now()))?;
                self.note_refusal(response.headers());
                return Ok(response.map(|body| body.map_err(Into::into).boxed_unsync()));
            }
        };
        // The token first: without one nothing is sent, and nothing is in doubt.
        let token = route.handle.access_token_within(Ask::default(), self.policy.hold).await;
        token.map_err(|error| Failure::token(&error, self.clock.now()))?;
        let sending = place.begin().await.map_err(|error| self.not_admitted(error.into()))?;
        let (parts, answer) = mpsc::channel(PARTS_MAX);
        let errand = Errand { sending, method: request.method().clone(), parts, clock: Arc::clone(&self.clock) };
        // On a task of its own: what an agent has asked before it was killed is paid for, and answers the
        // next one.
        tokio::spawn(errand.run(Arc::clone(route), self.policy, request));
        let response = arrived(answer).await?;
        self.note_refusal(response.headers());
        Ok(response)
    }

    fn not_admitted(&self, error: RecordError) -> Failure {
        let of = |error: &TaskError| {
            let after = error.retry_at().map(|at| self.clock.now().until(at));
            let code = error.code();
            Failure {
                status: super::status(code),
                code,
                detail: error.to_string(),
                retry_after: super::retry_after(code, after),
            }
        };
        let told = |status, code, detail: &str| Failure {
            status,
            code,
            detail: detail.to_owned(),
            retry_after: super::retry_after(code, None),
        };
        match error {
            RecordError::Full => told(
                StatusCode::INSUFFICIENT_STORAGE,
                Code::RecordLimit,
                "the task has recorded as many requests as are kept; this one is not sent, for without a record it could \
                 be done twice. Stop, and have a person begin a new task",
            ),
            RecordError::StillAnswered => told(
                StatusCode::SERVICE_UNAVAILABLE,
                Code::TaskBusy,
                "the same request was sent before this program was started, and its answer is still coming in. Wait, \
                 then try again",
            ),
            RecordError::Task(error) => of(&error),
            RecordError::TooNew => told(
                StatusCode::INTERNAL_SERVER_ERROR,
                Code::StoreTooNew,
                "the recorded reply was written by a newer version of Outlast. Stop, and use that one",
            ),
        }
    }
}

/// Why the body of a request cannot be looked at as a whole.
fn unread(error: &(dyn std::error::Error + Send + Sync + 'static)) -> Failure {
    if error.is::<LengthLimitError>() {
        return Failure {
            status: StatusCode::PAYLOAD_TOO_LARGE,
            code: Code::RecordLimit,
            detail:
                "the body of the request is larger than 16 MiB, the most that is recorded; it is not sent. Stop, and \
                     have a person start this program without --record, or send the body in parts"
                    .to_owned(),
            retry_after: None,
        };
    }
    Failure::request(StatusCode::BAD_REQUEST, "the body of the request did not arrive whole")
}

/// A part of an answer, on its way to the agent.
enum Part {
    End,
    Failed(Failure),
    Frame(Result<Frame<Bytes>, BodyError>),
    Head(Box<Parts>),
}

/// One request on its way to the upstream, and its answer on the way back.
struct Errand {
    sending: Sending,
    method: Method,
    parts: mpsc::Sender<Part>,
    clock: Arc<dyn Clock>,
}

impl Errand {
    /// Sends the request, and takes its answer in. An agent that goes away keeps no answer from being
    /// recorded that may not be asked for twice; not for ever.
    async fn run(self, route: Arc<Route>, policy: Policy, request: Request<super::Asked>) {
        let parts = self.parts.clone();
        let patience = if self.method.is_safe() { SAFE_TAKEN_IN_MAX } else { TAKEN_IN_MAX };
        let errand = self.fetch(&route, &policy, request);
        tokio::pin!(errand);
        tokio::select! {
            () = &mut errand => return,
            () = parts.closed() => {}
        }
        let _late = tokio::time::timeout(patience, errand).await;
    }

    async fn fetch(self, route: &Route, policy: &Policy, request: Request<super::Asked>) {
        let response = match route.send(policy, request).await {
            Ok(response) => response,
            Err(error) => return self.unanswered(&error).await,
        };
        let (head, body) = response.into_parts();
        match outcome(self.sending.effect(), head.status, &head.headers) {
            Outcome::Answered => self.take_in(head, body, false).await,
            Outcome::Refused => {
                let Self { sending, parts, .. } = self;
                // Before the agent hears of it, and asks again.
                sending.refused(format!("the answer was {}", head.status.as_u16())).await;
                pass_on(parts, head, body).await;
            }
            Outcome::Unclear => self.take_in(head, body, true).await,
        }
    }

    /// There is no answer.
    async fn unanswered(self, error: &AuthorizeError<super::SendError>) {
        let Self { sending, method, parts, clock } = self;
        let failure = failure(error, clock.now());
        let sent = matches!(error, AuthorizeError::Send(error) if !error.is_unsent());
        match sending.effect() {
            Effect::Once if sent => {
                let (head, body) = failure.answer().into_parts();
                let body = body.collect().await.map(|body| body.to_bytes()).unwrap_or_default();
                sending.unclear(&reply(&head, HeaderMap::new(), body), &method);
            }
            Effect::Idempotent | Effect::Once => sending.refused(failure.code.to_string()).await,
        }
        let _gone = parts.send(Part::Failed(failure)).await;
    }

    /// Passes the answer on as it comes, and records it at its end.
    async fn take_in(self, head: Parts, mut body: PeekedBody<Incoming>, is_unclear: bool) {
        let Self { sending, method, parts, .. } = self;
        let mut kept = Kept::default();
        let copy = copy(&head);
        if body.is_end_stream() {
            record(sending, &method, head, kept, is_unclear).await;
            let _gone = parts.send(Part::Head(Box::new(copy))).await;
            let _gone = parts.send(Part::End).await;
            return;
        }
        let _gone = parts.send(Part::Head(Box::new(copy))).await;
        loop {
            let frame = match body.frame().await {
                Some(Ok(frame)) => frame,
                Some(Err(error)) => {
                    // Cut in the middle: nobody knows whether the work was done.
                    drop(sending);
                    let _gone = parts.send(Part::Frame(Err(error.into()))).await;
                    return;
                }
                None => {
                    record(sending, &method, head, kept, is_unclear).await;
                    let _gone = parts.send(Part::End).await;
                    return;
                }
            };
            kept.push(&frame);
            if body.is_end_stream() {
                record(sending, &method, head, kept, is_unclear).await;
                let _gone = parts.send(Part::Frame(Ok(frame))).await;
                let _gone = parts.send(Part::End).await;
                return;
            }
            let _gone = parts.send(Part::Frame(Ok(frame))).await;
        }
    }
}

/// Records an answer that has come in whole. The agent sees its end afterwards: what it has seen whole is
/// never in doubt.
async fn record(sending: Sending, method: &Method, head: Parts, kept: Kept, is_unclear: bool) {
    let Some((body, trailers)) = kept.whole() else {
        return sending.too_large("the reply is larger than 16 MiB").await;
    };
    let reply = reply(&head, trailers, body);
    if is_unclear {
        return sending.unclear(&reply, method);
    }
    let method = method.clone();
    let recorded = tokio::spawn(async move { sending.answered(&reply, &method).await });
    let _late = tokio::time::timeout(END_HELD_MAX, recorded).await;
}

async fn pass_on(parts: mpsc::Sender<Part>, head: Parts, mut body: PeekedBody<Incoming>) {
    let _gone = parts.send(Part::Head(Box::new(head))).await;
    while let Some(frame) = body.frame().await {
        if parts.send(Part::Frame(frame.map_err(Into::into))).await.is_err() {
            return;
        }
    }
    let _gone = parts.send(Part::End).await;
}

fn reply(head: &Parts, trailers: HeaderMap, body: Bytes) -> Reply {
    Reply { status: head.status, headers: head.headers.clone(), trailers, body }
}

fn copy(head: &Parts) -> Parts {
    let (mut copy, ()) = Response::new(()).into_parts();
    copy.status = head.status;
    copy.version = head.version;
    copy.headers = head.headers.clone();
    copy
}

/// What has come in of a body, unless it is too much.
#[derive(Default)]
struct Kept {
    chunks: Vec<Bytes>,
    length: usize,
    trailers: HeaderMap,
}

impl Kept {
    fn push(&mut self, frame: &Frame<Bytes>) {
        if let Some(trailers) = frame.trailers_ref() {
            self.trailers.extend(trailers.clone());
        }
        let Some(chunk) = frame.data_ref() else { return };
        self.length = self.length.saturating_add(chunk.len());
        if self.length > REPLY_BYTES_MAX {
            self.chunks = Vec::new();
        } else {
            self.chunks.push(chunk.clone());
        }
    }

    /// All of it, if all of it was kept.
    fn whole(self) -> Option<(Bytes, HeaderMap)> {
        (self.length <= REPLY_BYTES_MAX).then(|| (self.chunks.concat().into(), self.trailers))
    }
}

/// The answer, once its head is there.
async fn arrived(mut parts: mpsc::Receiver<Part>) -> Result<Response<AnswerBody>, Failure> {
    match parts.recv().await {
        Some(Part::Head(head)) => Ok(Response::from_parts(*head, Arriving(parts).boxed_unsync())),
        Some(Part::Failed(failure)) => Err(failure),
        Some(Part::End | Part::Frame(_)) | None => Err(Failure {
            status: StatusCode::INTERNAL_SERVER_ERROR,
            code: Code::Internal,
            detail: "the request was lost on its way. Stop and report it".to_owned(),
            retry_after: None,
        }),
    }
}

/// The rest of an answer, as it comes.
struct Arriving(mpsc::Receiver<Part>);

impl Body for Arriving {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        self.0.poll_recv(context).map(|part| match part {
            Some(Part::Frame(frame)) => Some(frame),
            Some(Part::End) => None,
            Some(Part::Failed(_) | Part::Head(_)) | None => Some(Err("the answer broke off".into())),
        })
    }
}
