//! `outlast serve`: the sidecar, in the foreground, for a service manager or a terminal.

use super::Done;
use crate::context::Context;
use crate::env;
use crate::exit::Fault;
use crate::local_sidecar::end;
use crate::token_set_file::IMPORT_BYTES_MAX;
use crate::{output, process, words};
use outlast::{Code, GrantSettings, Process, Secret};
use outlast_daemon::{Options, Sidecar, TaskReach, draw_capability};
use std::io::{Read, Write};
use std::net::SocketAddr;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;
use std::time::Duration;

/// Shortest word that is taken for a capability; drawn ones are longer.
const CAPABILITY_CHARS_MIN: usize = 32;

/// What `serve` is told.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  outlast serve
  OUTLAST_CAPABILITY=$(cat ~/.local/state/outlast/capability) python3 agent.py
The agent asks http://127.0.0.1:7788/GRANT/PATH with that capability as its bearer token or API key.")]
pub(crate) struct Arguments {
    /// Where the proxy listens, instead of what [proxy] says; a loopback address
    #[arg(long, value_name = "ADDRESS:PORT")]
    listen: Option<SocketAddr>,
    /// For how long a request is held while its grant waits for a person or a server
    #[arg(long, value_name = "DURATION", value_parser = words::parse_duration)]
    hold: Option<Duration>,
}

/// Serves until told to stop, then lets requests and renewals end.
pub(crate) fn run(arguments: &Arguments) -> Done {
    let context = Context::load()?;
    let keeper = context.keeper_of(Process::Sidecar, grants(&context)?)?;
    let said = context.config.proxy();
    let options = Options {
        logins: true,
        tasks: TaskReach::All,
        socket: Some(context.places.socket.clone()),
        proxy: arguments.listen.unwrap_or(said.listen),
        hold: arguments.hold.unwrap_or(said.hold),
        capability: capability(&context.places.capability())?,
    };
    process::block_on_all(async {
        let mut stop = process::Stop::listen()?;
        let sidecar = Sidecar::start(keeper.clone(), options).await?;
        let (url, socket) = (sidecar.url(), context.places.socket.display());
        output::talk(&format!("outlast serves {url}/GRANT/PATH and the socket {socket}"));
        stop.asked().await;
        end(sidecar, &keeper).await;
        Ok(0)
    })
}

/// One grant whose secret cannot be had does not keep the others from being served.
fn grants(context: &Context) -> Result<Vec<GrantSettings>, Fault> {
    let mut served = Vec::new();
    let mut last = None;
    for resolved in context.config.resolve_each(&env::text) {
        match resolved {
            Ok(settings) => served.push(settings),
            Err(error) => {
                let fault = Fault::from(error);
                output::talk(&format!("warning[{}]: {}; that grant is not served", fault.code, fault.text));
                last = Some(fault);
            }
        }
    }
    match last {
        Some(fault) if served.is_empty() => Err(fault),
        Some(_) | None => Ok(served),
    }
}

/// The word that opens the proxy for local programs: kept, so that it stays the same over restarts.
fn capability(path: &Path) -> Result<Secret, Fault> {
    match std::fs::File::open(path) {
        Ok(file) => read(file, path),
        Err(cause) if cause.kind() == std::io::ErrorKind::NotFound => create(path),
        Err(cause) => Err(unusable(path, &format!("cannot be read: {cause}"))),
    }
}

fn read(mut file: std::fs::File, path: &Path) -> Result<Secret, Fault> {
    let mode = file.metadata().map_err(|cause| unusable(path, &cause.to_string()))?.permissions().mode();
    if mode & 0o077 != 0 {
        let text = format!("{} is open to others than its owner (mode {:04o})", path.display(), mode & 0o7777);
        return Err(Fault::new(Code::StoreInsecure, text)
            .mend(format!("rm {}; a new one is made at the next start", path.display())));
    }
    let mut text = String::new();
    let limit = IMPORT_BYTES_MAX as u64;
    (&mut file).take(limit).read_to_string(&mut text).map_err(|cause| unusable(path, &cause.to_string()))?;
    let word = text.trim();
    if word.len() < CAPABILITY_CHARS_MIN || !word.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(unusable(path, "holds no capability"));
    }
    Ok(Secret::new(word))
}

fn create(path: &Path) -> Result<Secret, Fault> {
    let word = draw_capability()?;
    let failed = |cause: std::io::Error| {
        Fault::new(Code::StoreUnwritable, format!("{} cannot be written: {cause}", path.display()))
            .mend("make its folder writable, or set OUTLAST_HOME to one that is")
    };
    if let Some(folder) = path.parent() {
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(failed)?;
    }
    let file = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
    file.and_then(|mut file| writeln!(file, "{}", word.expose())).map_err(failed)?;
    Ok(word)
}

fn unusable(path: &Path, why: &str) -> Fault {
    Fault::new(Code::ConfigurationInvalid, format!("{} {why}", path.display()))
        .mend(format!("rm {}; a new one is made at the next start", path.display()))
}
