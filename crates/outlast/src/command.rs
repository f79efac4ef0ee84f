//! Runs the command of a grant type, for [`Redemption::Run`](outlast_core::strategy::Redemption):
//! by argument list and never through a shell, with limits of time and size. What it says on
//! standard error is told in part, without secrets; what it prints is told nobody.

use outlast_core::Secret;
use outlast_core::classify::redaction::{REDACTED, redact};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::process::{Child, ChildStdin, Command};

/// How long a command may take.
pub(crate) const COMMAND_TIME_MAX: Duration = Duration::from_secs(20);
/// Largest output that is read, in bytes.
const OUTPUT_BYTES_MAX: usize = 256 * 1024;
/// How much of its complaints is kept, in bytes; less of that is told.
const COMPLAINT_BYTES_MAX: usize = 4 * 1024;

/// Runs `command` with `input` on its standard input and gives back what it printed; otherwise what
/// went wrong, in words that hold none of the `secrets`.
pub(crate) async fn run(command: &[String], input: Option<&Secret>, secrets: &[Secret]) -> Result<Secret, String> {
    let [program, arguments @ ..] = command else { return Err("no program is named".to_owned()) };
    // Arguments are not told: they may hold what nobody should read.
    let named = format!("the command {program:?}");
    let mut prepared = Command::new(program);
    prepared
        .args(arguments)
        .stdin(if input.is_some() { Stdio::piped() } else { Stdio::null() })
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        // A group of its own: what it started ends with it.
        .process_group(0)
        .kill_on_drop(true);
    let mut child = prepared.spawn().map_err(|cause| format!("{named} cannot be started: {}", cause.kind()))?;
    let group = Group::of(&child);
    let conversed = tokio::time::timeout(COMMAND_TIME_MAX, converse(&mut child, input)).await;
    // However it came to its end: nothing it left behind goes on working with a credential.
    drop(group);
    match conversed {
        Err(_elapsed) => Err(format!("{named} did not end within {} s and was stopped", COMMAND_TIME_MAX.as_secs())),
        Ok(Err(cause)) => Err(format!("{named} cannot be read: {}", cause.kind())),
        Ok(Ok(Said { output: Bounded { whole: false, .. }, .. })) => {
            Err(format!("{named} printed more than {} KiB", OUTPUT_BYTES_MAX / 1024))
        }
        Ok(Ok(said)) if !said.status.success() => {
            Err(format!("{named} failed ({}){}", said.status, excerpt(&said.complaint.bytes, secrets)))
        }
        Ok(Ok(said)) => {
            String::from_utf8(said.output.bytes).map(Secret::new).map_err(|_| format!("{named} printed no text"))
        }
    }
}

struct Said {
    status: ExitStatus,
    output: Bounded,
    complaint: Bounded,
}

async fn converse(child: &mut Child, input: Option<&Secret>) -> std::io::Result<Said> {
    let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    let (fed, output, complaint) =
        tokio::join!(feed(stdin, input), read(stdout, OUTPUT_BYTES_MAX), read(stderr, COMPLAINT_BYTES_MAX));
    // A program need not read what it is told.
    drop(fed);
    Ok(Said { status: child.wait().await?, output: output?, complaint: complaint? })
}

async fn feed(stdin: Option<ChildStdin>, input: Option<&Secret>) -> std::io::Result<()> {
    let (Some(mut stdin), Some(input)) = (stdin, input) else { return Ok(()) };
    stdin.write_all(input.expose().as_bytes()).await?;
    stdin.shutdown().await
}

struct Bounded {
    bytes: Vec<u8>,
    whole: bool,
}

/// Keeps up to `bytes_max` and lets the rest go by, so that nobody waits at a full pipe.
async fn read(from: Option<impl AsyncRead + Unpin>, bytes_max: usize) -> std::io::Result<Bounded> {
    let mut bounded = Bounded { bytes: Vec::new(), whole: true };
    let Some(mut from) = from else { return Ok(bounded) };
    let mut chunk = [0; 4096];
    loop {
        match from.read(&mut chunk).await? {
            0 => return Ok(bounded),
            count => {
                let room = bytes_max - bounded.bytes.len();
                bounded.bytes.extend_from_slice(&chunk[..count.min(room)]);
                bounded.whole &= count <= room;
            }
        }
    }
}

/// What the command complained of, as a part of a sentence.
fn excerpt(complaint: &[u8], secrets: &[Secret]) -> String {
    let text = String::from_utf8_lossy(complaint);
    let known = secrets.iter().filter(|secret| !secret.is_empty());
    let text = known.fold(text.into_owned(), |text, secret| text.replace(secret.expose(), REDACTED));
    let shown = redact(text.trim());
    if shown.is_empty() { String::new() } else { format!(", saying: {shown}") }
}

/// The process group of a child, ended with this value.
struct Group(Option<rustix::process::Pid>);

impl Group {
    fn of(child: &Child) -> Self {
        Self(child.id().and_then(|id| i32::try_from(id).ok()).and_then(rustix::process::Pid::from_raw))
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(group) = self.0 {
            // An empty group is gone: nothing to end.
            let _ = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Vec<String> {
        ["sh", "-c", script].map(str::to_owned).to_vec()
    }

    #[tokio::test]
    async fn what_it_prints_is_read_and_what_it_is_told_comes_by_standard_input() {
        let input = Secret::new("{\"key\":\"CANARY\"}");
        let script = "if env | grep -q CANARY; then exit 9; fi; cat";
        let said = run(&shell(script), Some(&input), &[]).await.unwrap();
        assert_eq!(said, input);
    }

    #[tokio::test]
    async fn its_complaint_is_told_without_secrets_and_without_what_moves_a_cursor() {
        let secrets = [Secret::new("CANARY-k1")];
        let told =
            run(&shell("printf 'key CANARY-k1 \\033[2J refused' >&2; exit 3"), None, &secrets).await.unwrap_err();
        assert!(told.contains("exit status: 3") && told.contains("refused"), "{told}");
        assert!(!told.contains("CANARY") && !told.contains('\u{1b}'), "{told}");
    }

    #[tokio::test]
    async fn too_much_output_and_a_missing_program_are_told_as_such() {
        let told = run(&shell("head -c 300000 /dev/zero | tr '\\0' x"), None, &[]).await.unwrap_err();
        assert!(told.contains("more than 256 KiB"), "{told}");
        let told = run(&["no-such-program-here".to_owned()], None, &[]).await.unwrap_err();
        assert!(told.contains("cannot be started: entity not found"), "{told}");
    }

    #[tokio::test]
    async fn what_it_leaves_behind_ends_with_it() {
        let folder = tempfile::tempdir().unwrap();
        let mark = folder.path().join("mark");
        let script = format!("(sleep 1; echo late > {}) >/dev/null 2>&1 & echo token", mark.display());
        assert_eq!(run(&shell(&script), None, &[]).await.unwrap(), Secret::new("token\n"));
        tokio::time::sleep(Duration::from_millis(1500)).await;
        assert!(!mark.exists(), "a process of the command's group outlived it");
    }
}
