//! One file per verb.

pub(crate) mod add;
pub(crate) mod adopt;
pub(crate) mod completions;
pub(crate) mod demo;
pub(crate) mod demo_agent;
pub(crate) mod doctor;
pub(crate) mod explain;
pub(crate) mod grant;
pub(crate) mod headers;
pub(crate) mod import;
pub(crate) mod key;
pub(crate) mod login;
pub(crate) mod logout;
pub(crate) mod providers;
pub(crate) mod run;
pub(crate) mod sandbox;
pub(crate) mod serve;
pub(crate) mod status;
pub(crate) mod step;
pub(crate) mod task;
pub(crate) mod token;

use crate::cli::Verb;
use crate::exit::Fault;

/// What a command that did not fail ends with: zero, or for `run` and `doctor` a code of its own.
pub(crate) type Done = Result<u8, Fault>;

/// Runs the verb.
pub(crate) fn run(verb: Verb) -> Done {
    match verb {
        Verb::Add(arguments) => add::run(*arguments),
        Verb::Adopt(arguments) => adopt::run(&arguments),
        Verb::Completions(arguments) => completions::run(&arguments),
        Verb::Demo(arguments) => demo::run(&arguments),
        Verb::DemoAgent => demo_agent::run(),
        Verb::Doctor(arguments) => doctor::run(&arguments),
        Verb::Explain(arguments) => explain::run(&arguments),
        Verb::Grant(arguments) => grant::run(&arguments),
        Verb::Headers(arguments) => headers::run(&arguments),
        Verb::Import(arguments) => import::run(&arguments),
        Verb::Key(arguments) => key::run(&arguments),
        Verb::Login(arguments) => login::run(&arguments),
        Verb::Logout(arguments) => logout::run(&arguments),
        Verb::Providers(arguments) => providers::run(&arguments),
        Verb::Run(arguments) => run::run(arguments),
        Verb::Sandbox(arguments) => sandbox::run(&arguments),
        Verb::Serve(arguments) => serve::run(&arguments),
        Verb::Status(arguments) => status::run(&arguments),
        Verb::Step(arguments) => step::run(*arguments),
        Verb::Task(arguments) => task::run(arguments),
        Verb::Token(arguments) => token::run(&arguments),
    }
}

/// Whether failures are to be told as JSON too.
pub(crate) fn wants_json(verb: &Verb) -> bool {
    match verb {
        Verb::Demo(arguments) => arguments.json,
        Verb::Doctor(arguments) => arguments.json,
        Verb::Explain(arguments) => arguments.wants_json(),
        Verb::Grant(arguments) => arguments.wants_json(),
        Verb::Import(arguments) => arguments.json,
        Verb::Key(arguments) => arguments.wants_json(),
        Verb::Login(arguments) => arguments.json,
        Verb::Logout(arguments) => arguments.json,
        Verb::Providers(arguments) => arguments.json,
        Verb::Sandbox(arguments) => arguments.json,
        Verb::Status(arguments) => arguments.json,
        Verb::Task(arguments) => arguments.wants_json(),
        Verb::Token(arguments) => arguments.json,
        // What this one prints is read by programs alone.
        Verb::Headers(_) => false,
        Verb::Add(arguments) => arguments.json,
        Verb::Adopt(arguments) => arguments.json,
        Verb::Completions(_) | Verb::DemoAgent | Verb::Run(_) | Verb::Serve(_) | Verb::Step(_) => false,
    }
}
