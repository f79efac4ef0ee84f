//! The words a person types.

use crate::commands;
use clap::{Parser, Subcommand};

/// Tokens expire, tasks don't: keeps OAuth credentials alive for long-running programs.
#[derive(Debug, Parser)]
#[command(name = "outlast", version, max_term_width = 100, after_help = EXAMPLE, disable_help_subcommand = true)]
pub(crate) struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub(crate) verb: Verb,
}

const EXAMPLE: &str = "Examples:
  outlast demo                                   see the whole story in about a minute
  outlast add crm --issuer https://login.example.com --client-id agent
  outlast login crm                              sign in, in a browser or on another device
  outlast run --grant crm -- python3 agent.py    run an agent that outlives its tokens
  outlast step --task t page-1 -- ./fetch.sh 1   run a step once, whatever happens to the script

Exit codes: 0 fine, 65 a person decides, 69 no sidecar, 70 our bug, 75 try again or wait,
77 ask the grant's owner, 78 mend the configuration; `run` and `step` pass on the child's own.";

/// One variant per file in `commands/`.
#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// Write a grant into the configuration, from flags or by asking
    Add(Box<commands::add::Arguments>),
    /// Take grants over in a store that was copied or restored
    Adopt(commands::adopt::Arguments),
    /// Print a completion script for a shell
    Completions(commands::completions::Arguments),
    /// Show the whole story in about a minute, in memory, no account needed
    Demo(commands::demo::Arguments),
    /// A part of the demo
    #[command(name = crate::demo::life::VERB, hide = true)]
    DemoAgent,
    /// Check configuration, key, store, clock, servers and sidecar; name each fault and its mend
    Doctor(commands::doctor::Arguments),
    /// Judge a reply, or recorded traffic, and say what to do
    Explain(commands::explain::Arguments),
    /// Show one grant whole: standing, terms, and what became of it
    Grant(commands::grant::Arguments),
    /// Print the Authorization header as JSON, for helper hooks
    Headers(commands::headers::Arguments),
    /// Take over a token set from standard input or another tool's file
    Import(commands::import::Arguments),
    /// Change the key that seals the store
    Key(commands::key::Arguments),
    /// Sign in: obtain or renew a person's consent, in a browser or on another device
    Login(commands::login::Arguments),
    /// Revoke a grant's tokens at the server, then forget them
    Logout(commands::logout::Arguments),
    /// List the authorization servers that are known by name, or tell one in full
    Providers(commands::providers::Arguments),
    /// Run a program beside a sidecar that keeps its tokens alive
    Run(commands::run::Arguments),
    /// Run a strict authorization server and API on loopback, to try things against
    Sandbox(commands::sandbox::Arguments),
    /// Run the sidecar: control socket, injecting proxy, background refresh
    Serve(commands::serve::Arguments),
    /// Show how each grant stands and what to do
    Status(commands::status::Arguments),
    /// Run one durable step of a task: once, and its output is printed ever after
    Step(Box<commands::step::Arguments>),
    /// See tasks and their steps, decide on steps in doubt, delete
    Task(commands::task::Arguments),
    /// Print a valid access token and nothing else
    Token(commands::token::Arguments),
}
