//! `outlast task run PLAN`: a task that is written down instead of programmed.

use super::super::Done;
use crate::context::Context;
use crate::exit::quoted;
use crate::local_sidecar::let_renewals_end;
use crate::task_run::{self, Style, Wish};
use crate::{output, process, step, words};
use outlast::Process;
use outlast::task_plan::{CONCURRENCY_MAX, TaskPlan};
use outlast_daemon::task_plan::PlanFile;
use serde_json::json;
use std::path::PathBuf;
use std::time::Duration;

/// What `task run` is told.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  outlast task run plan.toml                run all of it that is not done yet
  outlast task run plan.toml --check        read the plan, and run nothing
  outlast task run plan.toml --id harvest-2 the same once more, as a task of its own
A plan, of which every key is told in docs/tasks.md:
  [task]
  id = \"harvest\"
  [[step]]
  key = \"list\"
  request = { grant = \"crm\", path = \"/v1/items\" }
  [[step]]
  key = \"each\"
  for_each = \"{{ list.items }}\"
  command = [\"./item.sh\", \"{{ item.id }}\"]
Killed at whatever moment, it goes on where it was when it is run again.")]
pub(crate) struct Arguments {
    /// The plan, a TOML file
    plan: PathBuf,
    /// Read the plan, tell what is wrong with it, and run nothing
    #[arg(long)]
    check: bool,
    /// How many steps run at once, instead of what the plan says
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u16).range(1..=CONCURRENCY_MAX as i64))]
    concurrency: Option<u16>,
    /// For how long a step waits for a person or a server; as long as it takes if left out
    #[arg(long, value_name = "DURATION", value_parser = words::parse_duration)]
    hold: Option<Duration>,
    /// Run it as the task of this name, instead of the plan's own
    #[arg(long, value_name = "TASK")]
    id: Option<String>,
    /// Print a JSON object for each event, one a line
    #[arg(long)]
    pub(super) json: bool,
}

/// Runs what is not done, and ends with what it came to.
pub(super) fn run(context: &Context, arguments: &Arguments) -> Done {
    let mut file = PlanFile::load(&arguments.plan)?;
    if let Some(id) = &arguments.id {
        file = file.named(step::task_id(id)?);
    }
    let grants = grants(file.plan());
    if let Some(unknown) = grants.iter().find(|name| context.entry(name).is_none()) {
        // Says which name is nearest.
        context.without_secrets(std::slice::from_ref(unknown))?;
    }
    if arguments.check {
        return check(arguments, &file);
    }
    // None named would mean all that are configured.
    let settings = if grants.is_empty() { Vec::new() } else { context.resolve(&grants)? };
    let keeper = context.keeper_of(Process::Sidecar, settings)?;
    let wish = Wish {
        again: again(arguments),
        concurrency: arguments.concurrency.map_or(file.plan().concurrency(), usize::from),
        hold: arguments.hold.or(file.hold()),
        style: Style::of(arguments.json),
        file,
    };
    let task = wish.file.plan().id().to_string();
    process::block_on_all(async {
        let refresher = keeper.refresh_in_background();
        let ending = task_run::run(context, &keeper, wish).await;
        drop(refresher);
        let_renewals_end(&keeper).await;
        let ending = ending?;
        if !arguments.json && ending.is_done() {
            output::data(&ending.summary(&task))?;
        }
        ending.fault(&task).map_or(Ok(0), Err)
    })
}

fn check(arguments: &Arguments, file: &PlanFile) -> Done {
    let plan = file.plan();
    if arguments.json {
        let step = |step: &outlast::task_plan::PlanStep| json!({ "key": step.key, "for_each": step.fan_out.is_some() });
        let steps: Vec<_> = plan.steps().iter().map(step).collect();
        output::json(&json!({ "task": plan.id().as_str(), "concurrency": plan.concurrency(), "steps": steps }))?;
        return Ok(0);
    }
    let (path, count) = (arguments.plan.display(), plan.steps().len());
    output::data(&format!("{path}: nothing is wrong with task {}, {count} steps", plan.id()))?;
    Ok(0)
}

/// The grants that any step names, each once.
fn grants(plan: &TaskPlan) -> Vec<String> {
    let mut names: Vec<String> =
        plan.steps().iter().flat_map(|step| step.work.grants()).map(ToString::to_string).collect();
    names.sort();
    names.dedup();
    names
}

/// The command that goes on, as a shell reads it.
fn again(arguments: &Arguments) -> String {
    let plan = quoted(&arguments.plan.display().to_string());
    match &arguments.id {
        Some(id) => format!("outlast task run {plan} --id {}", quoted(id)),
        None => format!("outlast task run {plan}"),
    }
}
