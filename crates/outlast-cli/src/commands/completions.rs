//! `outlast completions SHELL`.

use super::Done;
use crate::{cli::Cli, output};
use clap::CommandFactory;
use clap_complete::Shell;

/// What `completions` is told.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:
  outlast completions bash > ~/.local/share/bash-completion/completions/outlast")]
pub(crate) struct Arguments {
    /// The shell
    shell: Shell,
}

/// Prints the script.
pub(crate) fn run(arguments: &Arguments) -> Done {
    let mut script = Vec::new();
    clap_complete::generate(arguments.shell, &mut Cli::command(), "outlast", &mut script);
    output::data(String::from_utf8_lossy(&script).trim_end())?;
    Ok(0)
}
