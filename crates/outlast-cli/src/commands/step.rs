//! `outlast step KEY -- CMD…`: one durable step of a task, from any language.

use super::Done;
use crate::child::{self, Ended, Outcome};
use crate::child_grants::{self, ChildGrants, Wanted};
use crate::context::Context;
use crate::exit::Fault;
use crate::local_sidecar::let_renewals_end;
use crate::private_folder::PrivateFolder;
use crate::step::{Begun, Run, Wish, begin, named};
use crate::{env, output, process, words};
use outlast::task::Recorded;
use outlast_daemon::TaskReach;
use std::cell::OnceCell;
use std::ffi::OsString;
use std::time::Duration;
use tokio::process::Command;

/// Most bytes of output that are kept: as many as a journal takes.
const OUTPUT_BYTES_MAX: u64 = 64 * 1024 * 1024;

/// What `step` is told.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  outlast step --task harvest page-17 -- curl -sf https://api.example.com/pages/17
  outlast step --task invoices charge-42 --idempotent --grant crm -- ./charge.sh 42
  outlast run --task harvest --grant crm -- ./harvest.sh      steps inside need no --task
The command is run once. What it printed is recorded, then printed; from then on it is printed
without running anything. Standard error is passed through. The command finds in its environment:
  OUTLAST_IDEMPOTENCY_KEY      the same in every attempt; send it as Idempotency-Key
  OUTLAST_TASK, OUTLAST_STEP   what it is part of
  OUTLAST_CRM_URL and others   for --grant crm, as outlast run gives them
A command that fails is not recorded as done, and its exit code is passed on; ask again, and it is
run again. One that was killed is ambiguous (exit code 65), unless it is --idempotent: look whether
it was done, then: outlast task resolve TASK KEY --done, or --rerun.")]
pub(crate) struct Arguments {
    /// The task; inside of `outlast run --task` that one
    #[arg(long, value_name = "ID")]
    task: Option<String>,
    /// Names the step within its task
    #[arg(value_name = "KEY")]
    key: String,
    /// Running it twice does no harm: when nobody knows how it ended, it is run again by itself
    #[arg(long)]
    idempotent: bool,
    /// A grant the command may use, and the variable that names its token file; it begins only once
    /// there is a token
    #[arg(long = "grant", value_name = "NAME[=VAR]")]
    grants: Vec<String>,
    /// What the step is given; the same key with another input is refused
    #[arg(long, value_name = "TEXT")]
    input: Option<String>,
    /// Time its tokens should have left when it begins
    #[arg(long, value_name = "DURATION", value_parser = words::parse_duration)]
    min_ttl: Option<Duration>,
    /// For how long to wait for what keeps it from beginning: a person who has to sign in, another
    /// runner; as long as it takes if left out
    #[arg(long, value_name = "DURATION", value_parser = words::parse_duration)]
    hold: Option<Duration>,
    /// Exit codes after which nobody knows whether it was done, such as 28,52,56 for curl
    #[arg(long, value_name = "CODES", value_delimiter = ',')]
    unclear: Vec<u8>,
    /// The command and its arguments
    #[arg(last = true, required = true, value_name = "CMD")]
    command: Vec<OsString>,
}

/// Runs the step unless it is done, and prints what it brought.
pub(crate) fn run(arguments: Arguments) -> Done {
    let context = Context::load_or_empty()?;
    let (task, key) = named(arguments.task.as_deref(), &arguments.key)?;
    let wanted = child_grants::wanted(&context, &arguments.grants, false)?;
    let wish = Wish {
        task,
        key,
        idempotent: arguments.idempotent,
        grants: wanted.iter().map(|grant| grant.id.clone()).collect(),
        input: arguments.input.clone(),
        min_ttl: arguments.min_ttl,
        hold: arguments.hold.or_else(env::hold),
    };
    process::block_on_all(async {
        let mut signals = process::Stop::listen()?;
        let kept = OnceCell::new();
        let begun = tokio::select! {
            begun = begin(&context, &wish, &kept) => begun,
            signal = signals.asked() => Err(Fault::interrupted(signal)),
        };
        let ended = match begun {
            Ok(Begun::Reuse(recorded)) => print(&recorded),
            Ok(Begun::Run(run)) => work(&context, &arguments, (wanted, &wish), run, &mut signals).await,
            Err(fault) => Err(fault),
        };
        if let Some(keeper) = kept.get() {
            let_renewals_end(keeper).await;
        }
        ended
    })
}

fn print(recorded: &Recorded) -> Done {
    output::bytes(&recorded.bytes)?;
    Ok(recorded.exit.unwrap_or(0))
}

/// Runs the command, and records how it ended.
async fn work(
    context: &Context,
    arguments: &Arguments,
    (wanted, wish): (Vec<Wanted>, &Wish),
    run: Run,
    signals: &mut process::Stop,
) -> Done {
    let mut command = child::prepared(&arguments.command, context);
    command.env("OUTLAST_TASK", wish.task.as_str()).env("OUTLAST_STEP", wish.key.as_str());
    command.env("OUTLAST_IDEMPOTENCY_KEY", run.idempotency_key());
    let grants = match given(context, wanted, &run, &mut command).await {
        Ok(grants) => grants,
        Err(fault) => {
            run.fail(context, &fault.text, true).await?;
            return Err(fault);
        }
    };
    let outcome = child::run(command, &arguments.command, signals, Some(OUTPUT_BYTES_MAX)).await;
    let ended = match outcome {
        Ok(outcome) => end(context, arguments, run, outcome).await,
        Err(fault) => run.fail(context, &fault.text, false).await.and(Err(fault)),
    };
    if let Some(grants) = grants {
        grants.stop().await;
    }
    ended
}

/// Gives the command what it needs to use its grants, unless it finds that in its environment already.
async fn given(
    context: &Context,
    wanted: Vec<Wanted>,
    run: &Run,
    command: &mut Command,
) -> Result<Option<ChildGrants>, Fault> {
    if wanted.is_empty() {
        return Ok(None);
    }
    if let Some(folder) = run.inherited() {
        child_grants::inherit(&wanted, folder, command);
        return Ok(None);
    }
    let (keeper, hold) = (run.keeper(context, &wanted)?, context.config.proxy().hold);
    let folder = PrivateFolder::create("step")?;
    let grants = ChildGrants::start(&keeper, folder, wanted, hold, TaskReach::Nothing).await?;
    grants.describe(command);
    Ok(Some(grants))
}

/// The step was done, and nobody will know of it.
fn unrecorded(mut fault: Fault, arguments: &Arguments) -> Fault {
    let then = if arguments.idempotent {
        "the next run of it runs it again"
    } else {
        "the next run of it asks whether it was done"
    };
    fault.text = format!(
        "{}; the command of step {} came to its end, and what it printed is passed on, but could not be recorded: {then}",
        fault.text,
        Fault::plain(&arguments.key)
    );
    fault
}

/// Records how the command ended, and passes on what it printed and its code.
async fn end(context: &Context, arguments: &Arguments, run: Run, outcome: Outcome) -> Done {
    let Outcome { ended, written, .. } = outcome;
    if ended == Ended::Exited(0) {
        let recorded = Recorded { exit: Some(0), bytes: written.bytes };
        if written.length > OUTPUT_BYTES_MAX {
            return Err(run.too_large(context, written.length, OUTPUT_BYTES_MAX).await);
        }
        let Err(fault) = run.complete(context, &recorded).await else { return print(&recorded) };
        // It is kept nowhere: whoever reads it here has all that is left of it.
        output::bytes(&recorded.bytes)?;
        return Err(unrecorded(fault, arguments));
    }
    // Passed on, not kept: a command that failed may print something else the next time.
    output::bytes(&written.bytes)?;
    let (reason, undone) = match ended {
        Ended::Exited(code) => (format!("exit code {code}"), !arguments.unclear.contains(&code)),
        Ended::NotStarted(code) => (format!("it could not be started, exit code {code}"), true),
        Ended::Signalled(code) => (format!("ended by a signal, exit code {code}"), false),
    };
    run.fail(context, &reason, undone).await?;
    Ok(ended.code())
}
