//! `outlast demo`: the whole story in about a minute.

use super::Done;
use crate::demo::{self, table};
use crate::{output, process};

/// What `demo` is told.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  outlast demo
  outlast demo --json | jq '.runs[] | {name, steps_done, unauthorized_seen}'")]
pub(crate) struct Arguments {
    /// Print the figures as JSON
    #[arg(long)]
    pub(crate) json: bool,
}

/// Runs the stories and shows what came of them.
pub(crate) fn run(arguments: &Arguments) -> Done {
    output::talk(demo::INTRODUCTION);
    let runs = process::block_on_all(demo::run())?;
    if arguments.json {
        output::json(&table::to_json(&runs))?;
    } else {
        output::talk("");
        output::data(&format!("{}\n\n{}", table::to_text(&runs), table::closing(&runs)))?;
    }
    Ok(0)
}
