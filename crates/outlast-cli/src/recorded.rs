//! `--task ID --record`: the program's requests are steps of a task, and those that were answered before are
//! answered from its record.

use crate::child_grants::ChildGrants;
use crate::exit::Fault;
use crate::output;
use outlast::task::{Task, TaskId};
use outlast::{Code, GrantId};
use outlast_daemon::{RecordCounts, Recording};
use std::time::Duration;

/// How long the end waits for an answer that is still coming in: it is paid for, and the next start gets it.
const SETTLING_MAX: Duration = Duration::from_secs(10);

/// What is said of recording.
#[derive(Debug, clap::Args)]
#[group(skip)]
pub(crate) struct Arguments {
    /// Record the replies to the program's requests; when the task is started again, answer them from there
    #[arg(long, requires = "task")]
    record: bool,
    /// A grant whose requests may be sent again though their outcome is not known, such as a model's
    #[arg(long = "repeatable", value_name = "NAME", requires = "record")]
    repeatable: Vec<String>,
}

/// What is recorded while a program runs.
pub(crate) struct Recorded {
    task: TaskId,
    recording: Recording,
}

impl Arguments {
    /// The grants whose requests may be sent again, of a program that may use `grants`; nothing, unless
    /// recording was asked for.
    pub(crate) fn repeatable(&self, grants: &[GrantId]) -> Result<Option<Vec<GrantId>>, Fault> {
        if !self.record {
            return Ok(None);
        }
        let known = |name: &String| {
            let found = grants.iter().find(|grant| grant.as_str() == name).cloned();
            found.ok_or_else(|| {
                Fault::new(Code::GrantUnknown, "--repeatable names a grant that the program is not given")
                    .mend("name it with --grant as well, or leave --repeatable out")
            })
        };
        self.repeatable.iter().map(known).collect::<Result<_, _>>().map(Some)
    }
}

impl Recorded {
    /// From now on what the program that is started next asks for is recorded; it is at its first request.
    pub(crate) async fn begin(grants: &mut ChildGrants, task: &Task, repeatable: &[GrantId]) -> Result<Self, Fault> {
        let recording = grants.record(task.clone(), repeatable.to_vec()).await?;
        Ok(Self { task: task.id().clone(), recording })
    }

    /// The program has ended. Waits for answers that are still coming in.
    pub(crate) async fn end(self, well: bool) {
        let Self { task, recording } = self;
        if tokio::time::timeout(SETTLING_MAX, recording.settled()).await.is_err() {
            tracing::warn!(%task, "an answer did not come in in time, and is not recorded");
        }
        let RecordCounts { replayed, sent } = recording.counts();
        output::talk(&format!("task {task}: {replayed} requests were answered from the record, {sent} were sent"));
        if well {
            recording.ended_well().await;
        }
    }
}
