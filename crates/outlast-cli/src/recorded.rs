//! `--task ID --record`: the program's requests are steps of a task, and those that were answered before are
//! answered from its record.

use crate::exit::Fault;
use crate::local_sidecar::LocalSidecar;
use crate::output;
use outlast::task::{Task, TaskError, TaskId};
use outlast::{Code, GrantId, Keeper};
use outlast_daemon::{RecordCounts, Recording};
use std::time::Duration;

/// How long the end waits for an answer that is still coming in: it is paid for, and the next start gets it.
const SETTLING_MAX: Duration = Duration::from_secs(10);

/// What is said of recording.
#[derive(Debug, clap::Args)]
#[group(skip)]
pub(crate) struct Arguments {
    /// The task that the program works on
    #[arg(long, value_name = "ID", requires = "record")]
    task: Option<String>,
    /// Record the replies to the program's requests; when the task is started again, answer them from there
    #[arg(long, requires = "task")]
    record: bool,
    /// A grant whose requests may be sent again though their outcome is not known, such as a model's
    #[arg(long = "repeatable", value_name = "NAME", requires = "record")]
    repeatable: Vec<String>,
}

/// What is to be recorded.
pub(crate) struct Wish {
    task: TaskId,
    repeatable: Vec<GrantId>,
}

/// A task whose requests are recorded while its program runs.
pub(crate) struct Recorded {
    task: Task,
    recording: Recording,
}

impl Arguments {
    /// What is to be recorded of a program that may use `grants`; nothing, unless that was asked for.
    pub(crate) fn wish(&self, grants: &[GrantId]) -> Result<Option<Wish>, Fault> {
        let Some(name) = self.task.as_deref().filter(|_| self.record) else { return Ok(None) };
        let task = TaskId::parse(name).map_err(|why| {
            Fault::new(Code::RequestInvalid, why).mend("use letters, digits, '-', '_' and '.', such as harvest-2026")
        })?;
        let known = |name: &String| {
            let found = grants.iter().find(|grant| grant.as_str() == name).cloned();
            found.ok_or_else(|| {
                Fault::new(Code::GrantUnknown, "--repeatable names a grant that the program is not given")
                    .mend("name it with --grant as well, or leave --repeatable out")
            })
        };
        Ok(Some(Wish { task, repeatable: self.repeatable.iter().map(known).collect::<Result<_, _>>()? }))
    }
}

impl Wish {
    /// Takes the task up.
    pub(crate) async fn open(&self, keeper: &Keeper) -> Result<Task, Fault> {
        Task::open(keeper, &self.task).await.map_err(told)
    }
}

impl Recorded {
    /// From now on what `sidecar` is asked is recorded.
    pub(crate) async fn begin(wish: Wish, task: Task, sidecar: &mut LocalSidecar) -> Result<Self, Fault> {
        let recording = sidecar.record(task.clone(), wish.repeatable).await?;
        Ok(Self { task, recording })
    }

    /// The program has ended. Waits for answers that are still coming in, and closes the task of one that
    /// ended well.
    pub(crate) async fn end(self, well: bool) {
        let Self { task, recording } = self;
        if tokio::time::timeout(SETTLING_MAX, recording.settled()).await.is_err() {
            tracing::warn!(task = %task.id(), "an answer did not come in in time, and is not recorded");
        }
        let RecordCounts { replayed, sent } = recording.counts();
        let name = task.id().clone();
        output::talk(&format!("task {name}: {replayed} requests were answered from the record, {sent} were sent"));
        if !well {
            return;
        }
        recording.ended_well().await;
        if let Err(error) = task.close().await {
            output::talk(&format!("WARNING: task {name} is not told as closed ({}): {error}", error.code()));
        }
    }
}

fn told(error: TaskError) -> Fault {
    let mut fault = Fault::new(error.code(), error.to_string());
    fault.retry_at = error.retry_at();
    fault
}
