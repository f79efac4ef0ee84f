//! The agent of the demo: four workers share 24 steps. It knows an address and a key, both fixed
//! at its start, and does with a refusal what its story says. Where it has a journal each call that was
//! answered is recorded there, and never made again.

use super::report::Said;
use crate::step::{Answered, Wish, begin_through};
use bytes::Bytes;
use http::{Method, Request, StatusCode, header};
use http_body_util::{BodyExt, Full, Limited};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use outlast::GrantId;
use outlast::task::{Recorded, StepKey, TaskId};
use serde::{Deserialize, Serialize};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::task::JoinSet;

/// Steps of the task.
pub(crate) const STEPS: usize = 24;
/// Workers that share them.
pub(crate) const WORKERS: usize = 4;
/// Calls to the API that one step consists of.
pub(crate) const CALLS_PER_STEP: usize = 5;
/// What a worker does between two calls, standing in for thinking.
const PAUSE: Duration = Duration::from_millis(600);
/// How often a worker tries a call before it gives its step up.
const TRIES_MAX: usize = 3;
/// Longest wait for one answer.
const CALL_TIME_MAX: Duration = Duration::from_secs(30);
/// Longest answer that is read.
const ANSWER_BYTES_MAX: usize = 64 * 1024;

/// A plain HTTP client, as an agent would use.
type Http = Client<HttpConnector, Full<Bytes>>;

/// A new client with connections of its own.
fn http() -> Http {
    Client::builder(TokioExecutor::new()).build_http()
}

/// All that an agent is told.
#[derive(Deserialize, Serialize)]
pub(crate) struct Orders {
    /// What the API's paths are appended to.
    pub(crate) base: String,
    /// The bearer it presents.
    pub(crate) key: String,
    /// What its workers refresh with, where they do so by themselves.
    pub(crate) own: Option<OwnTokens>,
    /// Where calls that were answered are recorded.
    pub(crate) journal: Option<Journal>,
}

/// A task of a sidecar.
#[derive(Clone, Deserialize, Serialize)]
pub(crate) struct Journal {
    /// The sidecar's control socket.
    pub(crate) socket: PathBuf,
    pub(crate) task: String,
    /// The grant that every call needs.
    pub(crate) grant: String,
}

/// The token set of one worker that refreshes by itself.
#[derive(Clone, Deserialize, Serialize)]
pub(crate) struct OwnTokens {
    pub(crate) endpoint: String,
    pub(crate) client_id: String,
    pub(crate) client_secret: String,
    pub(crate) refresh_token: String,
}

/// Where the answer to a call came from.
enum Recall {
    Answered,
    Recorded,
}

/// One worker.
struct Worker {
    http: Http,
    base: String,
    key: String,
    own: Option<OwnTokens>,
    journal: Option<Journal>,
    /// The next step that no worker has taken.
    next: Arc<AtomicUsize>,
}

impl Orders {
    /// Carries them out, until no step is left.
    pub(crate) async fn work(self) {
        let next = Arc::new(AtomicUsize::new(0));
        let worker = || Worker {
            http: http(),
            base: self.base.clone(),
            key: self.key.clone(),
            own: self.own.clone(),
            journal: self.journal.clone(),
            next: Arc::clone(&next),
        };
        let working: JoinSet<()> = (0..WORKERS).map(|_| worker().work()).collect();
        working.join_all().await;
    }
}

impl Worker {
    /// Takes steps until none is left.
    async fn work(mut self) {
        loop {
            let step = self.next.fetch_add(1, Ordering::Relaxed);
            if step >= STEPS {
                return;
            }
            let done = self.step(step).await;
            if done { Said::Done(step) } else { Said::GivenUp(step) }.say();
        }
    }

    async fn step(&mut self, step: usize) -> bool {
        for call in 0..CALLS_PER_STEP {
            let answered = match self.journal.clone() {
                None => self.call_until_answered(step, call).await,
                Some(journal) => match self.call_once(step, call, &journal).await {
                    Some(Recall::Recorded) => continue,
                    Some(Recall::Answered) => true,
                    None => false,
                },
            };
            if !answered {
                return false;
            }
            tokio::time::sleep(PAUSE).await;
        }
        true
    }

    /// Makes the call unless it is recorded; recorded it is before anything is made of its answer.
    async fn call_once(&mut self, step: usize, call: usize, journal: &Journal) -> Option<Recall> {
        let mut run = match begin_through(&journal.socket, &journal.wish(step, call)?).await? {
            Answered::Done(_) => return Some(Recall::Recorded),
            Answered::Run(run) => run,
        };
        if !self.call_until_answered(step, call).await {
            // Whoever goes away lets a step go that may be run again.
            return None;
        }
        run.tell_done(&Recorded { exit: None, bytes: b"200".to_vec() }).await?.ok()?;
        Some(Recall::Answered)
    }

    async fn call_until_answered(&mut self, step: usize, call: usize) -> bool {
        for _ in 0..TRIES_MAX {
            match self.call(step, call).await {
                Some(StatusCode::OK) => return true,
                Some(StatusCode::UNAUTHORIZED) => {
                    Said::Refused.say();
                    // A client whose refresh is refused tells its user to sign in and stops here.
                    if !self.meet_refusal().await {
                        return false;
                    }
                }
                Some(_) | None => tokio::time::sleep(PAUSE).await,
            }
        }
        false
    }

    async fn call(&self, step: usize, call: usize) -> Option<StatusCode> {
        Said::Call(step).say();
        let request = Request::builder()
            .method(Method::GET)
            .uri(format!("{}/api/step/{step}/call/{call}", self.base))
            .header(header::AUTHORIZATION, format!("Bearer {}", self.key))
            .body(Full::default())
            .ok()?;
        exchange(&self.http, request).await.map(|(status, _)| status)
    }

    async fn meet_refusal(&mut self) -> bool {
        let Some(own) = &mut self.own else {
            // It has nothing but the key it was given.
            tokio::time::sleep(PAUSE).await;
            return true;
        };
        match own.refresh(&self.http).await {
            Some(access_token) => {
                self.key = access_token;
                true
            }
            None => false,
        }
    }
}

impl Journal {
    /// A call that only reads: one whose answer was not recorded may be made again without a question.
    fn wish(&self, step: usize, call: usize) -> Option<Wish> {
        Some(Wish {
            task: TaskId::parse(&self.task).ok()?,
            key: StepKey::parse(&format!("step-{step:02}-call-{call}")).ok()?,
            idempotent: true,
            grants: vec![GrantId::parse(&self.grant).ok()?],
            input: None,
            min_ttl: Some(Duration::ZERO),
            hold: None,
        })
    }
}

impl OwnTokens {
    /// RFC 6749 6, as a client does it that believes itself alone.
    async fn refresh(&mut self, http: &Http) -> Option<String> {
        let form = url::form_urlencoded::Serializer::new(String::new())
            .append_pair("grant_type", "refresh_token")
            .append_pair("refresh_token", &self.refresh_token)
            .append_pair("client_id", &self.client_id)
            .append_pair("client_secret", &self.client_secret)
            .finish();
        let request = Request::builder()
            .method(Method::POST)
            .uri(&self.endpoint)
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
            .body(Full::from(form))
            .ok()?;
        let (status, body) = exchange(http, request).await?;
        let answer: serde_json::Value = serde_json::from_slice(&body).ok()?;
        if status != StatusCode::OK {
            return None;
        }
        if let Some(rotated) = answer["refresh_token"].as_str() {
            rotated.clone_into(&mut self.refresh_token);
        }
        answer["access_token"].as_str().map(str::to_owned)
    }
}

async fn exchange(http: &Http, request: Request<Full<Bytes>>) -> Option<(StatusCode, Bytes)> {
    let answered = async {
        let (head, body) = http.request(request).await.ok()?.into_parts();
        let body = Limited::new(body, ANSWER_BYTES_MAX).collect().await.ok()?;
        Some((head.status, body.to_bytes()))
    };
    tokio::time::timeout(CALL_TIME_MAX, answered).await.ok().flatten()
}
