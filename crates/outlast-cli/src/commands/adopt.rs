//! `outlast adopt NAME`: a copied or restored store is at home here from now on.

use super::Done;
use crate::context::Context;
use crate::exit::Fault;
use crate::{output, process};
use outlast::{Code, Copied, GrantHandle};
use serde_json::json;

/// What is to be understood before it is done.
const MEANING: &str = "If the store that this one was copied from still runs, or another copy of it, the one that \
                       refreshes second ends the grant for both: stop the other first. A copy that is to run beside \
                       it needs a sign-in of its own: outlast login NAME.";

/// What `adopt` is told.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  outlast adopt crm                   says what it means, and asks
  outlast adopt --all --yes           after moving to another machine for good
A store that was copied, cloned or restored does not refresh tokens that are replaced with each use
(adopt-needed) until this is said. See docs/copies.md.")]
pub(crate) struct Arguments {
    /// The grant
    #[arg(required_unless_present = "all", conflicts_with = "all")]
    name: Option<String>,
    /// Every configured grant
    #[arg(long)]
    all: bool,
    /// Do not ask: no other copy of the store is in use
    #[arg(long)]
    yes: bool,
    /// Print what became of it as JSON
    #[arg(long)]
    pub(crate) json: bool,
}

/// Adopts what was copied; what is at home already is left as it is.
pub(crate) fn run(arguments: &Arguments) -> Done {
    let context = Context::load()?;
    let names = match &arguments.name {
        Some(name) => vec![name.clone()],
        None => context.config.entries().iter().map(|entry| entry.id.to_string()).collect(),
    };
    let keeper = context.keeper(context.without_secrets(&names)?)?;
    let handles = names.iter().map(|name| Ok(keeper.grant(&crate::context::grant_id(name)?)?));
    let handles = handles.collect::<Result<Vec<GrantHandle>, Fault>>()?;
    process::block_on(async {
        let copied = look(&handles).await?;
        if copied.is_empty() {
            return tell(&[], arguments);
        }
        confirm(&copied, arguments)?;
        for (handle, _) in &copied {
            handle.adopt().await?;
        }
        tell(&copied, arguments)
    })
}

async fn look(handles: &[GrantHandle]) -> Result<Vec<(&GrantHandle, Copied)>, Fault> {
    let mut copied = Vec::new();
    for handle in handles {
        // Only what may be copied is looked at for it: a record is read to find out.
        handle.record().await?;
        copied.extend(handle.copied().map(|why| (handle, why)));
    }
    Ok(copied)
}

fn confirm(copied: &[(&GrantHandle, Copied)], arguments: &Arguments) -> Result<(), Fault> {
    if arguments.yes {
        return Ok(());
    }
    for (handle, why) in copied {
        output::talk(&format!("grant {}: the store {}", handle.id(), why.describe()));
    }
    output::talk(MEANING);
    let undecided = |text: &str| {
        Fault::new(Code::AdoptNeeded, text).mend("decide, and say --yes: no other copy of the store is in use")
    };
    if !output::can_ask() {
        return Err(undecided("nobody can be asked here, and nothing was changed"));
    }
    match output::ask("Is no other copy of it in use? Type yes").as_deref() {
        Some("yes") => Ok(()),
        Some(_) | None => Err(undecided("that was no yes, and nothing was changed")),
    }
}

fn tell(adopted: &[(&GrantHandle, Copied)], arguments: &Arguments) -> Done {
    if arguments.json {
        let grants: Vec<_> = adopted
            .iter()
            .map(|(handle, why)| json!({ "grant": handle.id().as_str(), "reason": why.as_str() }))
            .collect();
        output::json(&json!({ "adopted": grants }))?;
        return Ok(0);
    }
    for (handle, _) in adopted {
        output::data(&format!("grant {} is at home here, and is renewed from here", handle.id()))?;
    }
    if adopted.is_empty() {
        output::data("nothing to adopt: the store is at home here")?;
    }
    Ok(0)
}
