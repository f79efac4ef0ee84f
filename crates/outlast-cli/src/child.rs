//! A program that runs beside us: started without our secrets, told of signals, waited for.

use crate::context::Context;
use crate::exit::Fault;
use crate::{output, process};
use outlast::Code;
use rustix::process::{Pid, Signal, kill_process};
use std::ffi::OsString;
use std::os::unix::process::ExitStatusExt;
use std::process::{ExitStatus, Stdio};
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::{Child, Command};

/// What a shell exits with when a command is not there, and when it is no program.
const NOT_FOUND: u8 = 127;
const NOT_EXECUTABLE: u8 = 126;
/// What a shell adds to the number of the signal that ended a command.
const SIGNALLED: i32 = 128;

/// How a program ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ended {
    /// By itself, with this code.
    Exited(u8),
    /// It could not be started; the code a shell has for that.
    NotStarted(u8),
    /// By a signal; 128 and its number.
    Signalled(u8),
}

impl Ended {
    /// The code to pass on.
    pub(crate) fn code(self) -> u8 {
        match self {
            Self::Exited(code) | Self::NotStarted(code) | Self::Signalled(code) => code,
        }
    }
}

/// What a program wrote to standard output: the beginning of it, if it was more than is kept.
#[derive(Debug, Default)]
pub(crate) struct Written {
    pub(crate) bytes: Vec<u8>,
    /// How much there was.
    pub(crate) length: u64,
}

/// What became of a program.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) ended: Ended,
    /// Nothing, where standard output was not kept.
    pub(crate) written: Written,
    /// The last signal that was passed on to it.
    pub(crate) passed_on: Option<Signal>,
}

/// The program, without the secrets that Outlast itself was given by environment.
pub(crate) fn prepared(words: &[OsString], context: &Context) -> Command {
    let mut command = Command::new(words.first().cloned().unwrap_or_default());
    command.args(words.iter().skip(1));
    for name in context.secret_variables() {
        command.env_remove(name);
    }
    command
}

/// Runs it to its end. `kept` is how many bytes of its standard output are kept; nothing lets it write to
/// ours.
pub(crate) async fn run(
    mut command: Command,
    words: &[OsString],
    signals: &mut process::Stop,
    kept: Option<u64>,
) -> Result<Outcome, Fault> {
    if kept.is_some() {
        command.stdout(Stdio::piped());
    }
    let child = match command.spawn() {
        Ok(child) => child,
        Err(cause) => {
            let ended = Ended::NotStarted(not_started(&words[0], &cause));
            return Ok(Outcome { ended, written: Written::default(), passed_on: None });
        }
    };
    attend(child, signals, kept.unwrap_or_default()).await
}

async fn attend(mut child: Child, signals: &mut process::Stop, most: u64) -> Result<Outcome, Fault> {
    // A terminal sends Ctrl-C to the child by itself; a second one would make many programs drop
    // everything.
    let has_had_it = |received| received == Signal::INT && output::stdin_is_terminal();
    let mut stdout = child.stdout.take();
    let mut reading = std::pin::pin!(read(&mut stdout, most));
    let (mut ended, mut written, mut passed_on) = (None, None, None);
    loop {
        tokio::select! {
            status = child.wait(), if ended.is_none() => {
                let status = status.map_err(|cause| Fault::new(Code::Internal, format!("lost the program: {cause}")))?;
                ended = Some(how(status));
            }
            // Like a shell: to the end, even where something that the program left behind still writes.
            read = &mut reading, if written.is_none() => written = Some(read),
            received = signals.asked() => {
                passed_on = Some(received);
                if !has_had_it(received) {
                    pass_on(&child, received);
                }
            }
        }
        if let (Some(ended), Some(_)) = (ended, &written) {
            return Ok(Outcome { ended, written: written.unwrap_or_default(), passed_on });
        }
    }
}

async fn read(stdout: &mut Option<impl AsyncRead + Unpin>, most: u64) -> Written {
    let mut written = Written::default();
    let Some(stdout) = stdout else { return written };
    let mut chunk = vec![0; 64 * 1024];
    // A pipe that breaks has said all that it will ever say.
    while let Ok(count @ 1..) = stdout.read(&mut chunk).await {
        let room = usize::try_from(most.saturating_sub(written.length)).unwrap_or(usize::MAX);
        written.bytes.extend_from_slice(&chunk[..count.min(room)]);
        written.length += count as u64;
    }
    written
}

fn not_started(program: &OsString, cause: &std::io::Error) -> u8 {
    let missing = cause.kind() == std::io::ErrorKind::NotFound;
    let program = program.to_string_lossy();
    let reason = if missing { "command not found".to_owned() } else { format!("cannot be run: {cause}") };
    output::talk(&format!("error: {program}: {reason}"));
    output::talk("what to do: name a program that is there, after --");
    if missing { NOT_FOUND } else { NOT_EXECUTABLE }
}

fn how(status: ExitStatus) -> Ended {
    let code = |code: Option<i32>| code.and_then(|code| u8::try_from(code).ok()).unwrap_or(1);
    match status.signal() {
        Some(signal) => Ended::Signalled(code(Some(SIGNALLED + signal))),
        None => Ended::Exited(code(status.code())),
    }
}

fn pass_on(child: &Child, received: Signal) {
    let process = child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
    if let Some(process) = process {
        // It may have ended in this moment; then the wait tells.
        let _ = kill_process(process, received);
    }
}
