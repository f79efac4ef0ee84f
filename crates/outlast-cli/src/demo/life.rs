//! One life of an agent: a process of this very program, which is told on its standard input what it may know,
//! says on its standard output what it does, and can be killed.

use super::agent::Orders;
use super::report::{Said, Tally};
use crate::exit::Fault;
use outlast::Code;
use std::os::unix::process::ExitStatusExt;
use std::process::Stdio;
use std::sync::Arc;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::task::JoinHandle;

/// The verb that such a process is started with.
pub(crate) const VERB: &str = "demo-agent";

/// A running agent. It is killed when this is dropped, and ends by itself when whoever started it is gone.
pub(super) struct Life {
    child: Child,
    /// Open for as long as the agent is to live.
    _orders: ChildStdin,
    /// Counts what it says, to the last line that it wrote before its death.
    counting: JoinHandle<()>,
}

impl Life {
    /// Starts it. What it is told is secret in part, and goes through a pipe.
    pub(super) async fn begin(orders: &Orders, tally: Arc<Tally>) -> Result<Self, Fault> {
        let failed = |cause: std::io::Error| {
            Fault::new(Code::Internal, format!("the agent of the demo cannot be started: {cause}"))
        };
        let mut child = Command::new(std::env::current_exe().map_err(failed)?)
            .arg(VERB)
            .env_clear()
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .map_err(failed)?;
        let pipes = child.stdin.take().zip(child.stdout.take());
        let (mut told, said) = pipes.ok_or_else(|| failed(std::io::ErrorKind::BrokenPipe.into()))?;
        let mut line = serde_json::to_vec(orders).map_err(|cause| failed(cause.into()))?;
        line.push(b'\n');
        told.write_all(&line).await.map_err(failed)?;
        Ok(Self { child, _orders: told, counting: tokio::spawn(count(said, tally)) })
    }

    /// Waits until it has ended by itself.
    pub(super) async fn ended(&mut self) {
        // A process that cannot be waited for is gone.
        let _gone = self.child.wait().await;
        let _all_heard = (&mut self.counting).await;
    }

    /// Kills it as the kernel does when memory runs out, in the middle of whatever it does; the signal that it
    /// died of, or nothing if it had ended before.
    pub(super) async fn kill(mut self) -> Option<i32> {
        let _already_gone = self.child.start_kill();
        let status = self.child.wait().await;
        if !self.counting.is_finished() {
            let _all_heard = (&mut self.counting).await;
        }
        status.ok()?.signal()
    }
}

async fn count(said: ChildStdout, tally: Arc<Tally>) {
    let mut lines = BufReader::new(said).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        // What was cut off by its death was not said.
        if let Ok(said) = serde_json::from_str::<Said>(&line) {
            tally.hear(said);
        }
    }
}
