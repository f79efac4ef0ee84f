//! Steps that are commands: run without a shell, beside a sidecar where they may use grants.

use super::shared::Shared;
use super::unit::Worked;
use crate::child_grants::{self, ChildGrants};
use crate::context::Context;
use crate::exit::Fault;
use crate::private_folder::PrivateFolder;
use crate::step::keeper;
use outlast::task::{Effect, Failure, StepRun};
use outlast::task_plan::{CommandWork, GrantUse, PreparedCommand, TaskPlan, Unit, Work};
use outlast::{Advice, GrantId};
use outlast_daemon::TaskReach;
use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::process::ExitStatusExt;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::process::{Child, Command};

/// Largest output that is recorded.
const OUTPUT_BYTES_MAX: u64 = 32 * 1024 * 1024;
/// Longest line of talk that is passed on, in bytes.
const LINE_BYTES_MAX: u64 = 4096;
/// The exit code by which a command says that trying again may help (sysexits `EX_TEMPFAIL`).
const TRY_AGAIN: i32 = 75;

/// What commands are run with.
pub(super) struct Commands {
    /// Variables that no child of ours gets.
    hidden: BTreeSet<String>,
    /// A sidecar for each set of grants, so that no step can use what another one may.
    grants: BTreeMap<Vec<String>, ChildGrants>,
}

impl Commands {
    pub(super) async fn start(context: &Context, plan: &TaskPlan) -> Result<Self, Fault> {
        let mut grants = BTreeMap::new();
        for step in plan.steps() {
            let Work::Command(CommandWork { grants: named, .. }) = &step.work else { continue };
            let named = names(named);
            if named.is_empty() || grants.contains_key(&named) {
                continue;
            }
            let wanted = child_grants::wanted(context, &named, false)?;
            let ids: Vec<GrantId> = wanted.iter().map(|grant| grant.id.clone()).collect();
            let keeper = keeper(context, &ids)?;
            let folder = PrivateFolder::create("task")?;
            let started =
                ChildGrants::start(&keeper, folder, wanted, context.config.proxy().hold, TaskReach::Nothing).await?;
            grants.insert(named, started);
        }
        Ok(Self { hidden: context.secret_variables(), grants })
    }

    pub(super) async fn stop(self) {
        for (_, grants) in self.grants {
            grants.stop().await;
        }
    }

    /// Runs a command, and says what came of it.
    pub(super) async fn run(&self, shared: &Shared, unit: &Unit, command: &PreparedCommand, run: &StepRun) -> Worked {
        let step = shared.step(unit);
        let mut child = match self.prepared(shared, command, run).spawn() {
            Ok(child) => child,
            Err(cause) => {
                let reason = format!("the program cannot be run: {}", cause.kind());
                return Worked::failed(Failure::undone(reason).advice(Advice::FixConfig));
            }
        };
        let attended = attend(&mut child, shared, unit, command.input.as_deref());
        let ended = match step.timeout {
            Some(time) => tokio::time::timeout(time, attended).await,
            None => Ok(attended.await),
        };
        match ended {
            Ok(Ok((status, output))) => judged(status, output, step.effect),
            Ok(Err(cause)) => Worked::failed(Failure::unclear(format!("the program was lost: {}", cause.kind()))),
            Err(_) => {
                end(&mut child).await;
                Worked::failed(Failure::unclear("the program did not end in time, and was ended"))
            }
        }
    }

    fn prepared(&self, shared: &Shared, prepared: &PreparedCommand, run: &StepRun) -> Command {
        let mut words = prepared.words.iter();
        let mut command = Command::new(words.next().map_or("", String::as_str));
        command.args(words);
        for name in &self.hidden {
            command.env_remove(name);
        }
        if let Some(grants) = self.grants.get(&names(&prepared.grants)) {
            grants.describe(&mut command);
        }
        command
            .env("OUTLAST_TASK", shared.plan.id().as_str())
            .env("OUTLAST_STEP", run.key().as_str())
            .env("OUTLAST_IDEMPOTENCY_KEY", run.idempotency_key())
            .stdin(if prepared.input.is_some() { Stdio::piped() } else { Stdio::null() })
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            // A Ctrl-C on the terminal is for us: what runs is let come to its end.
            .process_group(0)
            .kill_on_drop(true);
        command
    }
}

fn names(grants: &[GrantUse]) -> Vec<String> {
    let name = |grant: &GrantUse| match &grant.variable {
        Some(variable) => format!("{}={variable}", grant.id),
        None => grant.id.to_string(),
    };
    grants.iter().map(name).collect()
}

struct Written {
    bytes: Vec<u8>,
    whole: bool,
}

/// Feeds it, listens to it, and waits for its end.
async fn attend(
    child: &mut Child,
    shared: &Shared,
    unit: &Unit,
    input: Option<&str>,
) -> std::io::Result<(ExitStatus, Written)> {
    let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    let feed = async {
        if let (Some(mut stdin), Some(input)) = (stdin, input) {
            // A program that does not read all of it need not.
            let _ = stdin.write_all(input.as_bytes()).await;
        }
    };
    let read = async {
        let mut bytes = Vec::new();
        if let Some(stdout) = stdout {
            let mut stdout = stdout.take(OUTPUT_BYTES_MAX + 1);
            stdout.read_to_end(&mut bytes).await?;
            // To the end, so that it is not killed by a pipe that nobody reads.
            tokio::io::copy(&mut stdout.into_inner(), &mut tokio::io::sink()).await?;
        }
        Ok::<_, std::io::Error>(bytes)
    };
    let ((), bytes, (), status) = tokio::join!(feed, read, listen(stderr, shared, unit), child.wait());
    let bytes = bytes?;
    let whole = bytes.len() as u64 <= OUTPUT_BYTES_MAX;
    Ok((status?, Written { bytes, whole }))
}

/// Passes on what it says on standard error, line by line.
async fn listen(stderr: Option<impl AsyncRead + Unpin>, shared: &Shared, unit: &Unit) {
    let Some(stderr) = stderr else { return };
    let mut stderr = BufReader::new(stderr);
    loop {
        let mut line = Vec::new();
        match (&mut stderr).take(LINE_BYTES_MAX).read_until(b'\n', &mut line).await {
            Ok(1..) => shared.report.said(unit.key.as_str(), String::from_utf8_lossy(&line).trim_end()),
            Ok(0) | Err(_) => return,
        }
    }
}

fn judged(status: ExitStatus, output: Written, effect: Effect) -> Worked {
    match (status.code(), status.signal()) {
        (Some(0), _) if !output.whole => {
            let reason = "the output is larger than 32 MiB, which is more than is recorded";
            Worked::failed(Failure::unclear(reason).code(outlast::Code::OutputTooLarge))
        }
        (Some(0), _) => Worked::done(Some(0), output.bytes),
        // A command that says itself that it failed is believed to have done nothing that must not be done
        // again; only one that may be run twice is run again without being asked for.
        (Some(code), _) => {
            let again = code == TRY_AGAIN || effect == Effect::Idempotent;
            let advice = if again { Advice::Retry } else { Advice::FixConfig };
            Worked::failed(Failure::undone(format!("exit code {code}")).advice(advice))
        }
        (None, signal) => {
            let signal = signal.map_or_else(String::new, |signal| format!(" {signal}"));
            Worked::failed(Failure::unclear(format!("ended by the signal{signal}")))
        }
    }
}

/// How long a program may take to end once it is told to.
const END_TIME_MAX: Duration = Duration::from_secs(5);

async fn end(child: &mut Child) {
    let process = child.id().and_then(|id| i32::try_from(id).ok()).and_then(rustix::process::Pid::from_raw);
    if let Some(process) = process {
        // The whole group: a script's children as well. It may have ended in this moment.
        let _ = rustix::process::kill_process_group(process, rustix::process::Signal::TERM);
        if tokio::time::timeout(END_TIME_MAX, child.wait()).await.is_err() {
            let _ = rustix::process::kill_process_group(process, rustix::process::Signal::KILL);
        }
    }
}
