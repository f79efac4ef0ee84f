//! `outlast task …`: sees to tasks and their steps, and runs those that are written down.

mod decide;
mod list;
mod plan;
mod remove;
mod show;
mod timeline;
pub(crate) mod waiting;
mod words;

use super::Done;
use crate::context::Context;
use crate::exit::Fault;
use crate::{env, process};
use outlast::task::Tasks;

/// What `task` is told.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLE)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    verb: Verb,
}

const EXAMPLE: &str = "Examples:
  outlast task list                            all tasks: how far, and what keeps them
  outlast task show harvest --watch            one task, looked at again every second
  outlast task show harvest --timeline         its steps as bars over time
  outlast task resolve harvest page-17 --rerun decide on a step in doubt
  outlast task prune --older 30d               remove what was closed a month ago
  outlast task run plan.toml                   run a task that is written down, and go on with it
Steps are run with: outlast task run, outlast step, outlast run --task, or a program over the library.";

#[derive(Debug, clap::Subcommand)]
enum Verb {
    /// End a task: prune removes it later; running it again opens it again
    Close(remove::One),
    /// Remove a task with all it recorded
    Delete(remove::One),
    /// List all tasks: how far they are, and what keeps them from going on
    List(list::Arguments),
    /// Remove tasks that were closed a while ago
    Prune(remove::Prune),
    /// Decide on a step of which nobody knows whether it was done, or that failed too often
    Resolve(decide::Resolve),
    /// Let a task try again what keeps it: steps that failed too often, grants that needed their owner
    Resume(decide::Resume),
    /// Run the steps of a plan: commands and requests, of which each is done once
    Run(plan::Arguments),
    /// Show one task: its steps, what keeps it, what it cost
    Show(show::Arguments),
}

impl Arguments {
    /// Whether failures are to be told as JSON too.
    pub(crate) fn wants_json(&self) -> bool {
        match &self.verb {
            Verb::Close(arguments) | Verb::Delete(arguments) => arguments.json,
            Verb::List(arguments) => arguments.json,
            Verb::Prune(arguments) => arguments.json,
            Verb::Resolve(arguments) => arguments.json,
            Verb::Resume(arguments) => arguments.json,
            Verb::Run(arguments) => arguments.json,
            Verb::Show(arguments) => arguments.json,
        }
    }
}

/// Does what was asked.
pub(crate) fn run(arguments: Arguments) -> Done {
    let context = Context::load_or_empty()?;
    match arguments.verb {
        Verb::Close(arguments) => process::block_on(remove::close(&context, &arguments)),
        Verb::Delete(arguments) => process::block_on(remove::delete(&context, &arguments)),
        Verb::List(arguments) => process::block_on(list::run(&context, &arguments)),
        Verb::Prune(arguments) => process::block_on(remove::prune(&context, &arguments)),
        Verb::Resolve(arguments) => process::block_on(decide::resolve(&context, arguments)),
        Verb::Resume(arguments) => process::block_on(decide::resume(&context, &arguments)),
        Verb::Run(arguments) => plan::run(&context, &arguments),
        Verb::Show(arguments) => process::block_on(show::run(&context, &arguments)),
    }
}

/// The tasks beside the store; no grant is needed for that.
pub(super) fn tasks(context: &Context) -> Result<Tasks, Fault> {
    Ok(Tasks::in_folder(&context.places.home, context.config.key_source(&env::text)?)?)
}
