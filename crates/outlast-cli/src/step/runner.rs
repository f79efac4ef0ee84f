//! A step in a task that an `outlast run` has claimed: it is asked over its control socket. One connection
//! for the whole step, whose end tells the runner that whoever ran the step is gone.

use super::{Wish, local};
use crate::ask;
use crate::context::Context;
use crate::exit::Fault;
use http::Method;
use outlast::task::{Recorded, StepKey, TaskId};
use outlast::{Advice, Code, Timestamp};
use outlast_daemon::client::ControlClient;
use outlast_daemon::task_api::{self, Begin, Complete, Fail, Failed, read_output, write_output};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How long one question waits for what keeps a step from beginning.
const WAIT: Duration = Duration::from_secs(30);
/// Pause before asking again what was answered sooner than that.
const ASK_AGAIN: Duration = Duration::from_millis(200);

/// Whoever runs the task.
pub(super) struct Runner {
    client: ControlClient,
    socket: PathBuf,
    /// Whether this process has its environment from there.
    inherited: bool,
}

/// Why a runner does not begin a step.
pub(super) enum Refused {
    /// It is none of this task, or is gone.
    Elsewhere,
    /// It says why.
    Told(Box<Fault>),
}

/// A step that is told how it ended through its runner.
pub(crate) struct RunnerRun {
    runner: Runner,
    task: TaskId,
    key: StepKey,
    run: String,
    idempotency_key: String,
}

/// What a runner answers to a step that somebody wants run.
pub(crate) enum Answered {
    /// It is done: this is what it brought.
    Done(Recorded),
    /// It has begun.
    Run(Box<RunnerRun>),
}

#[derive(Deserialize)]
struct Problem {
    code: String,
    detail: String,
    retry_after: Option<u64>,
}

impl Runner {
    /// The runner behind a control socket; nothing if nobody answers there.
    pub(super) async fn connect(socket: &Path, inherited: bool) -> Option<Self> {
        let client = ControlClient::connect(socket).await.ok()?;
        Some(Self { client, socket: socket.to_owned(), inherited })
    }

    pub(super) async fn begin(mut self, wish: &Wish, deadline: Option<Timestamp>) -> Result<Answered, Refused> {
        let wanted = Begin {
            idempotent: wish.idempotent,
            grants: super::names(&wish.grants),
            min_ttl: wish.min_ttl.map(|life| life.as_secs()),
            input: wish.input.clone(),
            patience: None,
            tied: true,
        };
        loop {
            let left = deadline.map_or(WAIT, |deadline| ask::now().until(deadline)).min(WAIT);
            let path = format!("{}/begin?wait={}", place(&wish.task, &wish.key), left.as_secs());
            let asked: Result<task_api::Begun, Fault> = match self.ask(&path, &wanted).await {
                Some(answer) => answer,
                None => return Err(Refused::Elsewhere),
            };
            let fault = match asked {
                Ok(task_api::Begun::Done { exit, output, output_base64 }) => {
                    let bytes = read_output(output, output_base64.as_deref()).map_err(misread)?;
                    return Ok(Answered::Done(Recorded { exit, bytes }));
                }
                Ok(task_api::Begun::Begun { run, idempotency_key, .. }) => {
                    let (task, key) = (wish.task.clone(), wish.key.clone());
                    let run = RunnerRun { runner: self, task, key, run, idempotency_key };
                    return Ok(Answered::Run(Box::new(run)));
                }
                Err(fault) if fault.code == Code::CapabilityRefused => return Err(Refused::Elsewhere),
                Err(fault) => fault,
            };
            let passes = matches!(fault.code.advice(), Advice::AskUser | Advice::Retry | Advice::Wait);
            if !passes || deadline.is_some_and(|deadline| deadline <= ask::now()) {
                return Err(Refused::Told(Box::new(fault)));
            }
            tokio::time::sleep(ASK_AGAIN).await;
        }
    }

    /// What it answers; nothing if it is gone.
    async fn ask<T: DeserializeOwned>(
        &mut self,
        path: &str,
        question: &impl serde::Serialize,
    ) -> Option<Result<T, Fault>> {
        let body = serde_json::to_vec(question).ok()?;
        let (status, answer) = self.client.request(Method::POST, path, body).await.ok()?;
        if status == 200 {
            let read = serde_json::from_slice(&answer);
            return Some(
                read.map_err(|_| Fault::new(Code::Internal, "the runner of the task answered with no answer")),
            );
        }
        let Problem { code, detail, retry_after } = serde_json::from_slice(&answer).ok()?;
        let code = Code::parse(&code).unwrap_or(Code::Internal);
        // It stops: what it had is given back.
        if code == Code::DaemonUnreachable {
            return None;
        }
        let mut fault = Fault::new(code, detail);
        fault.retry_at = retry_after.map(|seconds| ask::now().plus(Duration::from_secs(seconds)));
        Some(Err(fault))
    }
}

fn misread(reason: &str) -> Refused {
    Refused::Told(Box::new(Fault::new(Code::Internal, format!("an output cannot be read: {reason}"))))
}

impl RunnerRun {
    pub(super) fn idempotency_key(&self) -> &str {
        &self.idempotency_key
    }

    pub(super) fn inherited(&self) -> Option<&Path> {
        self.runner.socket.parent().filter(|_| self.runner.inherited)
    }

    /// Tells its runner that it came to its end; nothing if that is gone.
    pub(crate) async fn tell_done(&mut self, recorded: &Recorded) -> Option<Result<(), Fault>> {
        let path = format!("{}/complete", place(&self.task, &self.key));
        let (output, output_base64) = write_output(recorded.bytes.clone());
        let said = Complete { run: self.run.clone(), exit: recorded.exit, output, output_base64 };
        let answer = self.runner.ask::<task_api::Recorded>(&path, &said).await?;
        Some(answer.map(drop))
    }

    pub(super) async fn complete(mut self, context: &Context, recorded: &Recorded) -> Result<(), Fault> {
        match self.tell_done(recorded).await {
            Some(answer) => answer,
            None => self.take_up(context).await?.complete(recorded.clone()).await,
        }
    }

    /// Why a person has to decide now, if one has to.
    pub(super) async fn fail(mut self, context: &Context, reason: &str, undone: bool) -> Result<Option<Fault>, Fault> {
        let path = format!("{}/fail", place(&self.task, &self.key));
        let said = Fail { run: self.run.clone(), reason: reason.to_owned(), undone, code: None, retry_after: None };
        match self.runner.ask::<Failed>(&path, &said).await {
            Some(answer) => Ok(match answer? {
                Failed::Again { .. } => None,
                Failed::GivenUp { code, detail, .. } => {
                    Some(Fault::new(Code::parse(&code).unwrap_or(Code::Internal), detail))
                }
            }),
            None => self.take_up(context).await?.fail(reason, undone).await,
        }
    }

    /// The runner is gone, and the step has ended: what it brought is worth more than a guess.
    async fn take_up(&self, context: &Context) -> Result<local::LocalRun, Fault> {
        local::take_up(context, &self.task, &self.key, &self.run).await
    }
}

/// Where the step is in the control interface.
fn place(task: &TaskId, key: &StepKey) -> String {
    let mut encoded = String::new();
    for byte in key.as_str().bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    format!("/v1/tasks/{task}/steps/{encoded}")
}
