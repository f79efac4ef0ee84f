//! The logins of a sidecar: one for each grant, on a task of its own, so that whoever began it may go
//! away and come back.

use super::problem::Problem;
use crate::login_event;
use http::StatusCode;
use outlast::{
    BoxFuture, Code, GrantHandle, GrantId, LoggedIn, LoginError, LoginOptions, LoginPrompt, LoginStep, LoginWay,
    Timestamp,
};
use serde::Serialize;
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use tokio::task::AbortHandle;

/// The last login of each grant. Dropping it calls off those that go on.
pub(crate) struct Logins {
    latest: Mutex<BTreeMap<GrantId, Arc<Login>>>,
    /// Says when the sidecar stops: nobody is kept waiting then.
    stopped: watch::Receiver<bool>,
}

impl Logins {
    pub(crate) fn new(stopped: watch::Receiver<bool>) -> Self {
        Self { latest: Mutex::default(), stopped }
    }

    /// The last login of `grant`, whether it goes on or has ended.
    pub(super) fn of(&self, grant: &GrantId) -> Option<Arc<Login>> {
        self.lock().get(grant).cloned()
    }

    /// The login of this grant that goes on, or a new one.
    pub(super) fn begin(&self, handle: &GrantHandle, way: Option<LoginWay>) -> Result<Arc<Login>, Problem> {
        let mut latest = self.lock();
        if let Some(login) = latest.get(handle.id()).filter(|login| !login.is_over()) {
            return match way {
                Some(way) if way != login.way => Err(Problem::request(
                    StatusCode::CONFLICT,
                    "a login of this grant goes on by another way; finish it, or call it off by DELETE",
                )),
                Some(_) | None => Ok(Arc::clone(login)),
            };
        }
        let login = Login::launch(handle, way.unwrap_or_else(|| usual_way(handle)), self.stopped.clone());
        latest.insert(handle.id().clone(), Arc::clone(&login));
        Ok(login)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<GrantId, Arc<Login>>> {
        self.latest.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Logins {
    fn drop(&mut self) {
        for login in self.lock().values() {
            login.cancel();
        }
    }
}

fn usual_way(handle: &GrantHandle) -> LoginWay {
    if handle.settings().grant_type == "device_code" { LoginWay::Device } else { LoginWay::Browser }
}

/// One login, as everybody who asks after it sees it.
pub(super) struct Login {
    grant: GrantId,
    way: LoginWay,
    state: watch::Sender<State>,
    /// What was pasted, on its way to the login: one at a time.
    pasted: mpsc::Sender<String>,
    task: OnceLock<AbortHandle>,
    stopped: watch::Receiver<bool>,
}

/// How a login stands, for programs.
#[derive(Default, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(super) struct LoginShown {
    /// The grant.
    grant: String,
    /// `browser`, `device` or `paste`.
    way: String,
    /// `starting`, `waiting`, `logged-in`, `failed` or `cancelled`.
    state: String,
    /// Rises whenever there is something new to show.
    version: u64,
    /// Why the last pasted address was of no use.
    refused: Option<String>,
    /// What the person has to be shown, as `outlast login --json` tells it.
    #[serde(skip_serializing_if = "Option::is_none")]
    step: Option<Value>,
    /// What it brought.
    #[serde(skip_serializing_if = "Option::is_none")]
    brought: Option<Value>,
    /// Why it failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<String>,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    advice: Option<String>,
    /// The same in words.
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<String>,
}

/// How a login stands.
pub(super) struct State {
    /// Rises whenever there is something new to show.
    version: u64,
    /// How many pasted addresses were of no use, and why the last one was not.
    refusals: u64,
    refused: Option<String>,
    stage: Stage,
}

enum Stage {
    Starting,
    Asking(LoginStep),
    LoggedIn(LoggedIn),
    Failed(LoginError),
    Cancelled,
}

impl Stage {
    fn is_over(&self) -> bool {
        match self {
            Self::Starting | Self::Asking(_) => false,
            Self::LoggedIn(_) | Self::Failed(_) | Self::Cancelled => true,
        }
    }
}

impl State {
    pub(super) fn is_shown(&self) -> bool {
        !matches!(self.stage, Stage::Starting)
    }

    pub(super) fn refusals(&self) -> u64 {
        self.refusals
    }

    pub(super) fn version(&self) -> u64 {
        self.version
    }
}

impl Login {
    fn launch(handle: &GrantHandle, way: LoginWay, stopped: watch::Receiver<bool>) -> Arc<Self> {
        let (pasted, arriving) = mpsc::channel(1);
        let first = State { version: 0, refusals: 0, refused: None, stage: Stage::Starting };
        let login = Arc::new(Self {
            grant: handle.id().clone(),
            way,
            state: watch::Sender::new(first),
            pasted,
            task: OnceLock::new(),
            stopped,
        });
        let (handle, prompt) = (handle.clone(), Prompt(Arc::clone(&login), tokio::sync::Mutex::new(arriving)));
        let ending = Ending(Arc::clone(&login));
        let task = tokio::spawn(async move {
            // Another account takes no grant over from here (R18): that is for its owner at a terminal.
            let options = LoginOptions { way: Some(way), switch_account: false };
            let stage = match handle.login(&options, &prompt).await {
                Ok(brought) => Stage::LoggedIn(brought),
                Err(error) => Stage::Failed(error),
            };
            ending.0.enter(stage);
        });
        // It was empty: it is set here and nowhere else.
        let _ = login.task.set(task.abort_handle());
        login
    }

    /// Calls it off, if it still goes on. A consent that the server has already answered is stored all
    /// the same: its tokens would be lost otherwise.
    pub(super) fn cancel(&self) {
        self.enter(Stage::Cancelled);
        if let Some(task) = self.task.get() {
            task.abort();
        }
    }

    /// Hands in the address a browser ended at; false where nobody waits for one.
    pub(super) fn paste(&self, address: String) -> bool {
        let takes = matches!(self.state.borrow().stage, Stage::Asking(LoginStep::Visit { .. }));
        takes && self.pasted.try_send(address).is_ok()
    }

    /// Waits until it is over or `enough` has been seen, but not longer than `at_most`.
    pub(super) async fn wait(&self, at_most: Duration, enough: impl Fn(&State) -> bool) {
        let mut state = self.state.subscribe();
        let mut stopped = self.stopped.clone();
        tokio::select! {
            // The sender is ours and lives as long as we do.
            _ = state.wait_for(|state| state.stage.is_over() || enough(state)) => {}
            _ = stopped.wait_for(|stopped| *stopped) => {}
            () = tokio::time::sleep(at_most) => {}
        }
    }

    pub(super) fn refusals(&self) -> u64 {
        self.state.borrow().refusals
    }

    /// Why the last pasted address was of no use.
    pub(super) fn refused(&self) -> Option<String> {
        self.state.borrow().refused.clone()
    }

    pub(super) fn failure(&self) -> Option<LoginError> {
        match &self.state.borrow().stage {
            Stage::Failed(error) => Some(error.clone()),
            Stage::Asking(_) | Stage::Cancelled | Stage::LoggedIn(_) | Stage::Starting => None,
        }
    }

    /// How it stands, for programs.
    pub(super) fn describe(&self, now: Timestamp) -> LoginShown {
        let state = self.state.borrow();
        let way = match self.way {
            LoginWay::Browser => "browser",
            LoginWay::Device => "device",
            LoginWay::Paste => "paste",
        };
        let mut told = LoginShown {
            grant: self.grant.as_str().to_owned(),
            way: way.to_owned(),
            version: state.version,
            refused: state.refused.clone(),
            ..LoginShown::default()
        };
        told.state = match &state.stage {
            Stage::Starting => "starting",
            Stage::Asking(step) => {
                told.step = Some(login_event::step(step, now));
                "waiting"
            }
            Stage::LoggedIn(brought) => {
                told.brought = Some(login_event::logged_in(self.grant.as_str(), brought, now));
                "logged-in"
            }
            Stage::Failed(error) => {
                told.code = Some(error.code().as_str().to_owned());
                told.advice = Some(error.code().advice().as_str().to_owned());
                told.detail = Some(error.to_string());
                "failed"
            }
            Stage::Cancelled => "cancelled",
        }
        .to_owned();
        told
    }

    fn is_over(&self) -> bool {
        self.state.borrow().stage.is_over()
    }

    /// What has ended stays as it ended.
    fn enter(&self, stage: Stage) {
        self.state.send_if_modified(|state| {
            let goes_on = !state.stage.is_over();
            if goes_on {
                state.version += 1;
                state.stage = stage;
            }
            goes_on
        });
    }
}

/// Ends a login that ended without a word, so that nobody waits for it and another may begin.
struct Ending(Arc<Login>);

impl Drop for Ending {
    fn drop(&mut self) {
        let detail = "it ended without a word".to_owned();
        self.0.enter(Stage::Failed(LoginError::Server { grant: self.0.grant.clone(), code: Code::Internal, detail }));
    }
}

/// What a login shows goes into its state; what is pasted comes from there.
struct Prompt(Arc<Login>, tokio::sync::Mutex<mpsc::Receiver<String>>);

impl LoginPrompt for Prompt {
    fn show(&self, step: LoginStep) {
        match step {
            LoginStep::EnterCode { .. } | LoginStep::Visit { .. } => self.0.enter(Stage::Asking(step)),
            // How long there is left is reckoned for whoever asks.
            _ => {}
        }
    }

    fn pasted(&self) -> BoxFuture<'_, String> {
        Box::pin(async move {
            match self.1.lock().await.recv().await {
                Some(address) => address,
                None => std::future::pending().await,
            }
        })
    }

    fn refuse(&self, why: &str) {
        self.0.state.send_modify(|state| {
            state.version += 1;
            state.refusals += 1;
            state.refused = Some(why.to_owned());
        });
    }
}
