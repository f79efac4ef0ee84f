//! The agent of the demo: four workers share 24 steps. It knows an address and a key, both fixed
//! at its start, and does with a refusal what its story says. Where it has a journal each call that was
//! answered is recorded, and never made again.

use bytes::Bytes;
use http::{Method, Request, StatusCode, header};
use http_body_util::{BodyExt, Full, Limited};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use outlast::GrantId;
use outlast::task::{Begun, Failure, Recorded, Step, Task};
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

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
pub(crate) type Http = Client<HttpConnector, Full<Bytes>>;

/// A new client with connections of its own.
pub(crate) fn http() -> Http {
    Client::builder(TokioExecutor::new()).build_http()
}

/// What happened so far, over all starts of the agent, counted by the workers themselves.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    steps: Mutex<Steps>,
    /// Steps that were given up since the last start.
    pub(crate) failed: AtomicUsize,
    /// Answers 401 that a worker saw.
    pub(crate) unauthorized: AtomicU64,
    /// Calls sent.
    pub(crate) calls: AtomicU64,
}

#[derive(Debug, Default)]
struct Steps {
    /// Those whose every call was answered 200.
    done: BTreeSet<usize>,
    /// Those of them of which a call was made once more.
    run_twice: BTreeSet<usize>,
}

impl Tally {
    /// Steps whose every call was answered 200.
    pub(crate) fn done(&self) -> usize {
        self.steps().done.len()
    }

    /// Steps that were begun again after they had been done.
    pub(crate) fn run_twice(&self) -> usize {
        self.steps().run_twice.len()
    }

    fn note_call(&self, step: usize) {
        self.calls.fetch_add(1, Ordering::Relaxed);
        let mut steps = self.steps();
        if steps.done.contains(&step) {
            steps.run_twice.insert(step);
        }
    }

    fn note_done(&self, step: usize) {
        self.steps().done.insert(step);
    }

    fn steps(&self) -> MutexGuard<'_, Steps> {
        self.steps.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a worker does when it is refused.
pub(crate) enum OnRefusal {
    /// Nothing: it has nothing but the key it was given.
    Repeat,
    /// Refreshes by itself, with the token set it read at its start.
    Refresh(OwnTokens),
}

/// The token set of one worker that refreshes by itself.
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
pub(crate) struct Worker {
    pub(crate) http: Http,
    /// What the API's paths are appended to.
    pub(crate) base: String,
    /// The bearer it presents.
    pub(crate) key: String,
    pub(crate) on_refusal: OnRefusal,
    /// Where calls that were answered are recorded, and the grant they need.
    pub(crate) journal: Option<(Task, GrantId)>,
    /// The next step that no worker of this start has taken.
    pub(crate) next: Arc<AtomicUsize>,
    pub(crate) tally: Arc<Tally>,
}

impl Worker {
    /// Takes steps until none is left.
    pub(crate) async fn work(mut self) {
        loop {
            let step = self.next.fetch_add(1, Ordering::Relaxed);
            if step >= STEPS {
                return;
            }
            if self.step(step).await {
                self.tally.note_done(step);
            } else {
                self.tally.failed.fetch_add(1, Ordering::Relaxed);
            }
        }
    }

    async fn step(&mut self, step: usize) -> bool {
        for call in 0..CALLS_PER_STEP {
            let answered = match self.journal.clone() {
                None => self.call_until_answered(step, call).await,
                Some((task, grant)) => match self.call_once(step, call, &task, &grant).await {
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
    async fn call_once(&mut self, step: usize, call: usize, task: &Task, grant: &GrantId) -> Option<Recall> {
        // A call that only reads: one whose answer was not recorded may be made again without a question.
        let wanted = Step::idempotent(format!("step-{step:02}-call-{call}")).ok()?;
        let run = match task.begin(&wanted.grants([grant]).min_ttl(Duration::ZERO)).await.ok()? {
            Begun::Reuse(_) => return Some(Recall::Recorded),
            Begun::Run(run) => run,
        };
        if self.call_until_answered(step, call).await {
            run.complete(Recorded { exit: None, bytes: b"200".to_vec() }).await.ok()?;
            return Some(Recall::Answered);
        }
        // The step is given up either way; whether that could be recorded changes nothing here.
        drop(run.fail(Failure::undone("the call was not answered")).await);
        None
    }

    async fn call_until_answered(&mut self, step: usize, call: usize) -> bool {
        for _ in 0..TRIES_MAX {
            match self.call(step, call).await {
                Some(StatusCode::OK) => return true,
                Some(StatusCode::UNAUTHORIZED) => {
                    self.tally.unauthorized.fetch_add(1, Ordering::Relaxed);
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
        self.tally.note_call(step);
        let request = Request::builder()
            .method(Method::GET)
            .uri(format!("{}/api/step/{step}/call/{call}", self.base))
            .header(header::AUTHORIZATION, format!("Bearer {}", self.key))
            .body(Full::default())
            .ok()?;
        exchange(&self.http, request).await.map(|(status, _)| status)
    }

    async fn meet_refusal(&mut self) -> bool {
        match &mut self.on_refusal {
            OnRefusal::Repeat => {
                tokio::time::sleep(PAUSE).await;
                true
            }
            OnRefusal::Refresh(own) => match own.refresh(&self.http).await {
                Some(access_token) => {
                    self.key = access_token;
                    true
                }
                None => false,
            },
        }
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
