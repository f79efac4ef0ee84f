//! `outlast import NAME`: takes over a token set that somebody else obtained.

use super::Done;
use crate::ask::now;
use crate::context::Context;
use crate::exit::Fault;
use crate::owned_file::hash_of_mcp_remote;
use crate::token_set_file::{Found, IMPORT_BYTES_MAX, Wanted, read_file, read_response};
use crate::{output, process, words};
use outlast::{Code, Generation, Timestamp, TokenType};
use serde_json::{Value, json};
use std::io::{IsTerminal, Read};
use std::path::{Path, PathBuf};

/// Longest client identifier that an error repeats, in characters.
const CLIENT_SHOWN_MAX: usize = 100;

/// What `import` is told. Secrets never come in by argument: other users can read those.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  curl … https://login.example.com/token | outlast import crm      a token response (RFC 6749 5.1)
  outlast import crm --from tokens.json --service crm-prod

A file has the form {\"service\": {\"access_token\": …, \"refresh_token\": …, \"expires_in\": …, \"saved_at\": …}}.
From here on Outlast alone may use the refresh token: stop the program that had it.")]
pub(crate) struct Arguments {
    /// The grant that takes the token set over
    name: String,
    /// Read a file of token sets instead of a token response on standard input
    #[arg(long, value_name = "FILE")]
    from: Option<PathBuf>,
    /// Which token set of the file; not needed if it has only one
    #[arg(long, value_name = "NAME", requires = "from")]
    service: Option<String>,
    /// Take the refresh token from the tool that still uses it; only one of the two can go on with it
    #[arg(long, requires = "from")]
    take_over: bool,
    /// Print what was imported as JSON
    #[arg(long)]
    pub(crate) json: bool,
}

/// Reads everything before anything is changed.
pub(crate) fn run(arguments: &Arguments) -> Done {
    let context = Context::load()?;
    let handle = context.grant(&arguments.name)?;
    let found = match &arguments.from {
        Some(path) => read_file(&bytes_of_file(path)?, wanted(arguments, path), now())?,
        None => read_response(&bytes_of_stdin()?, now())?,
    };
    let beside = || arguments.from.as_deref().and_then(client_beside);
    if let Some(theirs) = found.client_id.clone().or_else(beside) {
        same_client(&arguments.name, &theirs, &handle.settings().client_id)?;
    }
    if found.tokens.token_type == TokenType::Dpop {
        let text = "the token set is bound to a key (token_type DPoP) that does not come with it; nothing was changed";
        return Err(Fault::new(Code::ImportInvalid, text)
            .mend(format!("set dpop = true in [grant.{0}], and sign in with: outlast login {0}", arguments.name)));
    }
    let (ends, renewable) = (found.tokens.expires_at, found.tokens.refresh.is_some());
    let Found { tokens, note, .. } = found;
    let generation = process::block_on(async {
        let generation = handle.import(tokens).await?;
        // It may hold a token of before, of another account or one that was taken back.
        context.let_sidecar_look().await;
        Ok(generation)
    })?;
    if let Some(note) = note {
        output::talk(&format!("note: {note}"));
    }
    if !renewable {
        output::talk("note: there is no refresh token, so this ends with the access token");
    }
    told(arguments, generation, ends, renewable)?;
    Ok(0)
}

fn wanted<'a>(arguments: &'a Arguments, path: &'a Path) -> Wanted<'a> {
    Wanted { path: Some(path), service: arguments.service.as_deref(), take_over: arguments.take_over }
}

/// The client of a file of mcp-remote, which lies in another beside it.
fn client_beside(path: &Path) -> Option<String> {
    let beside = path.with_file_name(format!("{}_client_info.json", hash_of_mcp_remote(path)?));
    let members: Value = serde_json::from_slice(&bytes_of_file(&beside).ok()?).ok()?;
    Some(members.get("client_id")?.as_str()?.to_owned())
}

/// A refresh token is good for the client it was given to and for no other (RFC 6749 6).
fn same_client(name: &str, theirs: &str, ours: &str) -> Result<(), Fault> {
    if theirs == ours {
        return Ok(());
    }
    let shown: String = theirs.chars().take(CLIENT_SHOWN_MAX).collect();
    let text = format!(
        "the file's token set was given to client {shown:?} and grant {name} is of another; nothing was changed"
    );
    Err(Fault::new(Code::ImportInvalid, text).mend(format!(
        "set client_id, and the secret where that client has one, in [grant.{name}] to those of the tool; or leave \
         the file alone and sign in with: outlast login {name}"
    )))
}

fn told(arguments: &Arguments, generation: Generation, ends: Option<Timestamp>, renewable: bool) -> Result<(), Fault> {
    let now = now();
    if arguments.json {
        return output::json(&json!({
            "grant": arguments.name,
            "generation": generation.0,
            "expires_in": ends.map(|end| now.until(end).as_secs()),
            "renewable": renewable,
        }));
    }
    let life = match ends {
        None => "of unknown life".to_owned(),
        Some(end) if end <= now => "already expired, renewed at first use".to_owned(),
        Some(end) => format!("{} left", words::duration(now.until(end))),
    };
    output::data(&format!("imported grant {}: generation {generation}, access token {life}", arguments.name))
}

fn bytes_of_stdin() -> Result<Vec<u8>, Fault> {
    let stdin = std::io::stdin();
    if stdin.is_terminal() {
        output::talk("paste the token response (JSON), then press Ctrl-D");
    }
    bounded(stdin.lock(), "standard input")
}

fn bytes_of_file(path: &Path) -> Result<Vec<u8>, Fault> {
    let shown = path.display().to_string();
    let file = std::fs::File::open(path).map_err(|cause| unreadable(&shown, &cause))?;
    bounded(file, &shown)
}

fn bounded(from: impl Read, name: &str) -> Result<Vec<u8>, Fault> {
    let mut bytes = Vec::new();
    // One more than allowed: the reader of the bytes can tell that there was too much.
    let limit = IMPORT_BYTES_MAX as u64 + 1;
    from.take(limit).read_to_end(&mut bytes).map_err(|cause| unreadable(name, &cause))?;
    Ok(bytes)
}

fn unreadable(name: &str, cause: &std::io::Error) -> Fault {
    Fault::new(Code::ImportInvalid, format!("{name} cannot be read: {cause}; nothing was changed"))
        .mend("name a file that can be read, or pass the token response on standard input")
}
