//! The `outlast` command: the only crate that reads the environment, arguments and the terminal.

mod again;
mod ask;
mod child;
mod child_grants;
mod cli;
mod commands;
mod context;
mod demo;
mod env;
mod exit;
mod explain;
mod hot_path;
mod introspected;
mod local_sidecar;
mod login;
mod notice;
mod output;
mod owned_file;
mod private_folder;
mod process;
mod recorded;
mod step;
mod task_run;
mod token_set_file;
mod words;

use clap::Parser;
use std::process::ExitCode;

fn main() -> ExitCode {
    process::keep_memory_private();
    process::keep_panics_discreet();
    std::panic::catch_unwind(run).unwrap_or_else(|_| ExitCode::from(exit::exit_code(outlast::Code::Internal)))
}

fn run() -> ExitCode {
    // Before anything is built up: a fresh token costs one file and one key.
    if let Some(code) = hot_path::answer(&env::arguments()) {
        return ExitCode::from(code);
    }
    process::start_logging();
    let cli = cli::Cli::parse();
    let as_json = commands::wants_json(&cli.verb);
    match commands::run(cli.verb) {
        Ok(code) => ExitCode::from(code),
        Err(fault) => {
            output::fault(&fault, as_json);
            ExitCode::from(fault.exit_code())
        }
    }
}
