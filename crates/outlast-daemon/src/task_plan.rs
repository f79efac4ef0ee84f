//! Task plans as files: `plan.toml` with `[task]` and `[[step]]` tables.
//!
//! Reading one runs nothing and asks nobody. Whatever can be seen to be wrong is told with its line and
//! column.

mod command;
mod fan_out;
mod request;
mod step;
mod text;

use crate::config::ConfigError;
use crate::config::document::{Document, Table};
use http::Uri;
use outlast::Code;
use outlast::task::TaskId;
use outlast::task_plan::{CONCURRENCY_MAX, PlanFault, TaskPlan};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// Largest plan that is read.
const FILE_BYTES_MAX: u64 = 1024 * 1024;
/// How many steps run at once unless told otherwise.
pub const CONCURRENCY_USUAL: usize = 4;

/// A plan, and the file it was read from.
#[derive(Clone, Debug)]
pub struct PlanFile {
    path: PathBuf,
    text: String,
    plan: Arc<TaskPlan>,
    hold: Option<Duration>,
}

impl PlanFile {
    /// Reads and checks the plan at `path`.
    ///
    /// # Errors
    /// If it cannot be read, or has a mistake.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        let fault = |detail: String, mend: &str| ConfigError {
            code: Code::PlanInvalid,
            path: path.to_owned(),
            place: None,
            detail,
            mend: mend.to_owned(),
        };
        let unreadable = |cause: std::io::Error| {
            fault(format!("the plan cannot be read: {}", cause.kind()), "name a file that is there and is UTF-8 text")
        };
        let file = std::fs::File::open(path).map_err(unreadable)?;
        let mut text = String::new();
        // One more than allowed tells a file that is too large: a part of it would be another plan.
        let read = file.take(FILE_BYTES_MAX + 1).read_to_string(&mut text).map_err(unreadable)?;
        if read as u64 > FILE_BYTES_MAX {
            let mend = "have an earlier step bring the list, and use for_each";
            return Err(fault("the plan is larger than 1 MiB".to_owned(), mend));
        }
        Self::parse(&text, path)
    }

    /// Reads a plan out of `text`; `path` is for errors.
    ///
    /// # Errors
    /// If it has a mistake.
    pub fn parse(text: &str, path: &Path) -> Result<Self, ConfigError> {
        let document = Document { text, path };
        let (plan, hold) = read(document).map_err(|error| match error.code {
            Code::ConfigurationInvalid => ConfigError { code: Code::PlanInvalid, ..error },
            _ => error,
        })?;
        Ok(Self { path: path.to_owned(), text: text.to_owned(), plan: Arc::new(plan), hold })
    }

    /// The plan.
    pub fn plan(&self) -> &Arc<TaskPlan> {
        &self.plan
    }

    /// For how long a step waits for a person or a server, where the plan says so.
    pub fn hold(&self) -> Option<Duration> {
        self.hold
    }

    /// The same plan as another task.
    #[must_use]
    pub fn named(self, id: TaskId) -> Self {
        let plan = Arc::new(TaskPlan::clone(&self.plan).named(id));
        Self { plan, ..self }
    }

    /// A fault that turned up while it was run, with its place in the file.
    pub fn fault(&self, fault: &PlanFault) -> ConfigError {
        told(Document { text: &self.text, path: &self.path }, fault)
    }
}

/// The address of a path of a plan at a grant's upstream.
///
/// # Errors
/// If the upstream might take it for another path.
pub fn address(upstream: &Uri, path: &str) -> Result<Uri, String> {
    crate::proxy::address(upstream, path)
}

fn told(document: Document<'_>, fault: &PlanFault) -> ConfigError {
    document.coded(Code::PlanInvalid, &fault.span, fault.detail.clone(), fault.mend.clone())
}

fn read(document: Document<'_>) -> Result<(TaskPlan, Option<Duration>), ConfigError> {
    let parsed = document.parse()?;
    let root = Table { document, name: "the plan", entries: parsed.get_ref() };
    root.expect_only(&["step", "task"])?;
    let Some(task) = root.table("task", "[task]")? else {
        return Err(document.error(&(0..0), "the plan has no [task]", "begin it with: [task], then id = \"harvest\""));
    };
    task.expect_only(&["concurrency", "hold", "id"])?;
    let Some(id) = task.text("id")? else {
        let span = root.get("task").map_or(0..0, toml::Spanned::span);
        return Err(document.error(&span, "[task] has no id", "add id = \"harvest\": progress is kept under it"));
    };
    let name = TaskId::parse(&id.value)
        .map_err(|why| document.error(&id.span, why, "use letters, digits, '-', '_' and '.', such as harvest"))?;
    let concurrency = match text::number(task, "concurrency", 1..=CONCURRENCY_MAX as u64)? {
        Some(number) => usize::try_from(number).unwrap_or(CONCURRENCY_MAX),
        None => CONCURRENCY_USUAL,
    };
    let hold = task.duration("hold")?;
    let steps = step::read_all(root)?;
    let plan = TaskPlan::new(name, concurrency, steps, &id.span).map_err(|fault| told(document, &fault))?;
    Ok((plan, hold))
}
