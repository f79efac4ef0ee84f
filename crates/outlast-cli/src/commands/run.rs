//! `outlast run -- CMD…`: runs a program beside a sidecar.

use super::Done;
use crate::context::Context;
use crate::exit::Fault;
use crate::local_sidecar::LocalSidecar;
use crate::private_folder::PrivateFolder;
use crate::recorded::{self, Recorded};
use crate::{output, process, words};
use outlast::{Code, GrantId, Keeper, Process, Secret};
use outlast_daemon::token_file::TokenFiles;
use rustix::process::{Pid, Signal, kill_process};
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;
use std::time::Duration;
use tokio::process::{Child, Command};

/// What a shell exits with when a command is not there, and when it is no program.
const NOT_FOUND: u8 = 127;
const NOT_EXECUTABLE: u8 = 126;
/// What a shell adds to the number of the signal that ended a command.
const SIGNALLED: i32 = 128;

/// What `run` is told.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  outlast run --grant crm -- python3 agent.py
  outlast run --grant crm=CRM_TOKEN_FILE --hold 30m -- ./agent --verbose
  outlast run --task harvest --record --repeatable llm -- python3 agent.py
The program finds in its environment:
  OUTLAST_CAPABILITY           the key for the sidecar, as bearer token or x-api-key
  OUTLAST_URL                  the sidecar's address; OUTLAST_CRM_URL is that of grant crm
  OUTLAST_CRM_TOKEN_FILE       a file with the access token of crm, replaced in place (or VAR)
  OUTLAST_SOCKET               the control socket
It exits with the program's own code, 128 and the signal's number if a signal ended it.")]
pub(crate) struct Arguments {
    /// A grant the program may use, and the variable that names its token file; all grants if left out
    #[arg(long = "grant", value_name = "NAME[=VAR]")]
    grants: Vec<String>,
    /// For how long a request is held while its grant waits for a person or a server
    #[arg(long, value_name = "DURATION", value_parser = words::parse_duration)]
    hold: Option<Duration>,
    #[command(flatten)]
    recorded: recorded::Arguments,
    /// The program and its arguments
    #[arg(last = true, required = true, value_name = "CMD")]
    command: Vec<OsString>,
}

/// A grant the child may use.
struct Wanted {
    id: GrantId,
    /// The variable that names its token file.
    variable: String,
}

/// Starts what is missing, runs the program, and ends as it ends.
pub(crate) fn run(arguments: Arguments) -> Done {
    let context = Context::load()?;
    let named: Vec<(String, Option<String>)> = arguments.grants.iter().map(|text| split(text)).collect();
    let mut names: Vec<String> = named.iter().map(|(name, _)| name.clone()).collect();
    names.sort();
    names.dedup();
    let settings = context.resolve(&names)?;
    let wanted: Vec<Wanted> = settings.iter().map(|grant| wanted(&grant.id, &named)).collect::<Result<_, _>>()?;
    no_clash(&wanted)?;
    let wish = arguments.recorded.wish(&ids(&wanted))?;
    let keeper = context.keeper_of(Process::Sidecar, settings)?;
    let hold = arguments.hold.unwrap_or(context.config.proxy().hold);
    process::block_on_all(async {
        // Before anything is renewed: a signal that ended the process now could end it half-way.
        let signals = process::Stop::listen()?;
        let folder = PrivateFolder::create("run")?;
        let task = match &wish {
            Some(wish) => Some(wish.open(&keeper).await?),
            None => None,
        };
        let mut sidecar = LocalSidecar::start(keeper.clone(), folder.path(), hold, task.as_ref()).await?;
        let recorded = match wish.zip(task) {
            Some((wish, task)) => Some(Recorded::begin(wish, task, &mut sidecar).await?),
            None => None,
        };
        let files = token_files(&keeper, &folder, &wanted).await?;
        let mut command = prepared(&arguments.command, &context);
        describe(&mut command, &sidecar, &files, &wanted);
        let code = child(command, &arguments.command, signals).await;
        drop(files);
        if let Some(recorded) = recorded {
            recorded.end(matches!(code, Ok(0))).await;
        }
        sidecar.stop().await;
        code
    })
}

fn ids(wanted: &[Wanted]) -> Vec<GrantId> {
    wanted.iter().map(|grant| grant.id.clone()).collect()
}

fn split(text: &str) -> (String, Option<String>) {
    match text.split_once('=') {
        Some((name, variable)) => (name.to_owned(), Some(variable.to_owned())),
        None => (text.to_owned(), None),
    }
}

fn wanted(id: &GrantId, named: &[(String, Option<String>)]) -> Result<Wanted, Fault> {
    let given = named.iter().find(|(name, _)| name == id.as_str()).and_then(|(_, variable)| variable.clone());
    let variable = given.unwrap_or_else(|| format!("OUTLAST_{}_TOKEN_FILE", words::variable_part(id.as_str())));
    let starts_well = variable.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    if starts_well && variable.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') {
        return Ok(Wanted { id: id.clone(), variable });
    }
    Err(Fault::new(Code::ConfigurationInvalid, format!("{variable:?} is no name of an environment variable"))
        .mend("use letters, digits and '_', such as --grant crm=CRM_TOKEN_FILE"))
}

/// Two grants with one variable: the program would use the one and mean the other.
fn no_clash(wanted: &[Wanted]) -> Result<(), Fault> {
    let (mut addresses, mut files) = (BTreeMap::new(), BTreeMap::new());
    for Wanted { id, variable } in wanted {
        let address = format!("OUTLAST_{}_URL", words::variable_part(id.as_str()));
        let earlier = addresses.insert(address.clone(), id).map(|earlier| (earlier, address));
        let earlier = earlier.or_else(|| files.insert(variable, id).map(|earlier| (earlier, variable.clone())));
        if let Some((earlier, name)) = earlier {
            let text = format!("grants {earlier} and {id} would share the environment variable {name}");
            return Err(Fault::new(Code::ConfigurationInvalid, text)
                .mend("name one of them with --grant, or rename the other in the configuration"));
        }
    }
    Ok(())
}

async fn token_files(keeper: &Keeper, folder: &PrivateFolder, wanted: &[Wanted]) -> Result<TokenFiles, Fault> {
    let started = TokenFiles::start(keeper, &folder.path().join("tokens"), &ids(wanted)).await;
    started.map_err(|cause| {
        Fault::new(Code::StoreUnwritable, format!("the token files cannot be written: {cause}"))
            .mend("make room in the folder for temporary files, or set TMPDIR to another")
    })
}

/// The child, without the secrets that Outlast itself was given by environment.
fn prepared(words: &[OsString], context: &Context) -> Command {
    let mut command = Command::new(words.first().cloned().unwrap_or_default());
    command.args(words.iter().skip(1));
    for name in context.secret_variables() {
        command.env_remove(name);
    }
    command
}

fn describe(command: &mut Command, sidecar: &LocalSidecar, files: &TokenFiles, wanted: &[Wanted]) {
    command.env("OUTLAST_SOCKET", sidecar.socket());
    command.env("OUTLAST_CAPABILITY", revealed(sidecar.capability()));
    command.env("OUTLAST_URL", sidecar.url());
    for grant in wanted {
        let part = words::variable_part(grant.id.as_str());
        command.env(format!("OUTLAST_{part}_URL"), format!("{}/{}", sidecar.url(), grant.id));
        if let Some(path) = files.path(&grant.id) {
            command.env(&grant.variable, path);
        }
    }
}

/// A capability opens this sidecar and nothing else; the child has to be told it.
fn revealed(capability: &Secret) -> &str {
    capability.expose()
}

async fn child(mut command: Command, words: &[OsString], mut signals: process::Stop) -> Done {
    // A terminal sends Ctrl-C to the child by itself; a second one would make many programs drop
    // everything.
    let has_had_it = |received| received == Signal::INT && output::stdin_is_terminal();
    let mut child = match command.spawn() {
        Ok(child) => child,
        Err(cause) => return Ok(not_started(&words[0], &cause)),
    };
    loop {
        tokio::select! {
            ended = child.wait() => {
                let ended = ended.map_err(|cause| Fault::new(Code::Internal, format!("lost the program: {cause}")))?;
                return Ok(code_of(ended));
            }
            received = signals.asked() => {
                if !has_had_it(received) {
                    pass_on(&child, received);
                }
            }
        }
    }
}

fn not_started(program: &OsString, cause: &std::io::Error) -> u8 {
    let missing = cause.kind() == std::io::ErrorKind::NotFound;
    let program = program.to_string_lossy();
    let reason = if missing { "command not found".to_owned() } else { format!("cannot be run: {cause}") };
    output::talk(&format!("error: {program}: {reason}"));
    output::talk("what to do: name a program that is there, after --");
    if missing { NOT_FOUND } else { NOT_EXECUTABLE }
}

fn code_of(ended: ExitStatus) -> u8 {
    let code = ended.code().or_else(|| ended.signal().map(|signal| SIGNALLED + signal));
    code.and_then(|code| u8::try_from(code).ok()).unwrap_or(1)
}

fn pass_on(child: &Child, received: Signal) {
    let process = child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
    if let Some(process) = process {
        // It may have ended in this moment; then the wait tells.
        let _ = kill_process(process, received);
    }
}
