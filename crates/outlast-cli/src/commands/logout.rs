//! `outlast logout NAME`: revokes a grant's tokens at the server, then forgets them.

use super::Done;
use crate::context::Context;
use crate::exit::Fault;
use crate::{output, process};
use outlast::{AtServer, Code, GrantHandle, LoggedOut, TokenError};
use serde_json::{Value, json};
use std::sync::Arc;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

/// How many grants are signed out of at one time: a revocation takes a round trip, not a core.
const AT_ONCE_MAX: usize = 16;

/// What `logout` is told.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  outlast logout crm                  revoke at the server, then forget
  outlast logout crm --force          forget, whatever the server says
  outlast logout --all --json         one line for each grant
From the first moment on no process that asks is served the grant's tokens. A running `outlast serve`
is made to look at once; another one that holds a fresh token, such as `outlast run`, sees it within
a second. If the server cannot revoke them now, the grant stays `revoking` (exit code 75), and the
same command or a running sidecar goes on later. A grant that needs no person is emptied, and begins
anew when it is next asked for.")]
pub(crate) struct Arguments {
    /// The grant
    #[arg(required_unless_present = "all", conflicts_with = "all")]
    name: Option<String>,
    /// Sign out of every configured grant
    #[arg(long)]
    all: bool,
    /// Forget the tokens even if the server does not revoke them
    #[arg(long)]
    force: bool,
    /// Print what became of it as JSON
    #[arg(long)]
    pub(crate) json: bool,
}

type Outcome = (String, Result<LoggedOut, TokenError>);

/// Signs out.
pub(crate) fn run(arguments: &Arguments) -> Done {
    let context = Context::load()?;
    let names = match &arguments.name {
        Some(name) => vec![name.clone()],
        None => context.config.entries().iter().map(|entry| entry.id.to_string()).collect(),
    };
    let keeper = context.keeper(context.resolve_for_logout(&names, arguments.force)?)?;
    let handles = names.iter().map(|name| Ok(keeper.grant(&crate::context::grant_id(name)?)?));
    let handles = handles.collect::<Result<Vec<GrantHandle>, Fault>>()?;
    let outcomes = process::block_on(async {
        let outcomes = log_out(handles, arguments.force).await;
        context.let_sidecar_look().await;
        Ok(outcomes)
    })?;
    tell(outcomes, arguments)
}

async fn log_out(handles: Vec<GrantHandle>, force: bool) -> Vec<Outcome> {
    let places = Arc::new(Semaphore::new(AT_ONCE_MAX));
    let mut under_way = JoinSet::new();
    for handle in handles {
        let places = Arc::clone(&places);
        under_way.spawn(async move {
            let _place = places.acquire_owned().await;
            (handle.id().to_string(), handle.log_out(force).await)
        });
    }
    let mut outcomes = under_way.join_all().await;
    outcomes.sort_by(|one, other| one.0.cmp(&other.0));
    outcomes
}

/// Prints what became of each; the first that is not done is the failure of the command.
fn tell(outcomes: Vec<Outcome>, arguments: &Arguments) -> Done {
    let single = arguments.name.is_some();
    let mut first_fault = None;
    for (name, outcome) in outcomes {
        match outcome {
            Ok(done) if arguments.json => output::json(&as_json(&name, &done))?,
            Ok(done) => {
                output::data(&format!("signed out of grant {name}: {}", done.at_server.describe()))?;
                notes(&done).iter().for_each(|note| output::talk(&format!("note: {note}")));
            }
            Err(error) => {
                let fault = Fault::from(error);
                if arguments.json && !single {
                    output::json(
                        &json!({ "grant": name, "done": false, "code": fault.code.as_str(), "detail": fault.text }),
                    )?;
                } else if !single {
                    output::talk(&format!("{name}: {}: {}", fault.code, fault.text));
                }
                first_fault = first_fault.or(Some(fault));
            }
        }
    }
    first_fault.map_or(Ok(0), |fault| Err(mended(fault, arguments)))
}

fn mended(fault: Fault, arguments: &Arguments) -> Fault {
    let again = arguments.name.as_ref().map_or_else(|| "--all".to_owned(), Clone::clone);
    if fault.code == Code::RevocationPending {
        return fault.mend(format!("wait, then finish with: outlast logout {again}"));
    }
    fault
}

fn notes(done: &LoggedOut) -> Vec<&'static str> {
    let mut notes = Vec::new();
    if done.in_doubt && done.at_server != AtServer::NothingHeld {
        notes.push(
            "the answer to an earlier renewal was lost: the server may hold newer tokens of this grant; look into its own \
             settings",
        );
    }
    if done.begins_anew {
        notes.push(
            "this grant needs no person: the next request for it gets a new token by itself; to end that, remove it \
             from the configuration, and restart what serves it",
        );
    }
    if done.registration_stays {
        notes.push("the client that was registered for this grant stays registered, for the next sign-in");
    }
    notes
}

fn as_json(name: &str, done: &LoggedOut) -> Value {
    let (at_server, code) = match &done.at_server {
        AtServer::AccessTokenLivesOn => ("access-token-lives-on", None),
        AtServer::AnotherTool => ("another-tool", None),
        AtServer::Forced { code, .. } => ("forced", Some(code.as_str())),
        AtServer::NothingHeld => ("nothing-held", None),
        AtServer::NotOffered => ("not-offered", None),
        AtServer::Revoked => ("revoked", None),
    };
    json!({
        "grant": name,
        "done": true,
        "at_server": at_server,
        "code": code,
        "detail": done.at_server.describe(),
        "notes": notes(done),
    })
}
