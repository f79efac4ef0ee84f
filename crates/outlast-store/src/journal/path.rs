//! Where the files of one task lie.

use crate::failure::unwritable;
use crate::home::{self, Home};
use outlast_core::task::Digest;
use outlast_core::{StoreError, TaskId};
use std::path::{Path, PathBuf};

const JOURNAL: &str = ".journal";

/// The paths of one task.
#[derive(Clone, Debug)]
pub(super) struct Paths {
    home: Home,
    task: TaskId,
}

impl Paths {
    /// Touches nothing.
    pub(super) fn new(home: &Home, task: &TaskId) -> Self {
        Self { home: home.clone(), task: task.clone() }
    }

    /// The task.
    pub(super) fn task(&self) -> &TaskId {
        &self.task
    }

    /// Its journal.
    pub(super) fn journal(&self) -> PathBuf {
        self.home.tasks().join(format!("{}{JOURNAL}", self.task))
    }

    /// Where a journal is built before it takes its name. No task's name starts with a dot.
    pub(super) fn unfinished(&self) -> PathBuf {
        self.home.tasks().join(format!(".{}.new", self.task))
    }

    /// The file whose lock is the right to run it.
    pub(super) fn lock(&self) -> PathBuf {
        self.home.own_lock(&self.lock_name())
    }

    /// The name of that file among the locks.
    pub(super) fn lock_name(&self) -> String {
        format!("task-{}", self.task)
    }

    /// The folder of the outputs that are kept apart.
    pub(super) fn outputs(&self) -> PathBuf {
        self.home.tasks().join(format!("{}.outputs", self.task))
    }

    /// One output.
    pub(super) fn output(&self, digest: Digest) -> PathBuf {
        self.outputs().join(digest.to_string())
    }

    /// Makes the folder of all journals.
    pub(super) fn create_folder(&self) -> Result<(), StoreError> {
        self.home.create_tasks()
    }

    /// Makes the folder of the outputs, and makes that survive a power cut.
    pub(super) fn create_outputs(&self) -> Result<(), StoreError> {
        if home::check_folder(&self.outputs())? {
            return Ok(());
        }
        home::make_folder(&self.outputs())?;
        home::sync_folder(&self.home.tasks())
    }

    /// Gives a finished journal its name, and makes that survive a power cut.
    pub(super) fn publish(&self) -> Result<(), StoreError> {
        home::publish_in(&self.home.tasks(), &self.unfinished(), &self.journal())
    }

    /// Removes the journal. What it said is gone with its key, whatever is left of its outputs.
    pub(super) fn remove_journal(&self) -> Result<(), StoreError> {
        home::remove(&self.journal())?;
        home::sync_folder(&self.home.tasks())
    }

    /// Removes the outputs that were kept apart.
    pub(super) fn remove_outputs(&self) -> Result<(), StoreError> {
        let folder = self.outputs();
        match std::fs::remove_dir_all(&folder) {
            Err(cause) if cause.kind() != std::io::ErrorKind::NotFound => Err(unwritable("removing", &folder, cause)),
            Ok(()) | Err(_) => Ok(()),
        }
    }
}

/// The names of all tasks that have a journal in `folder`.
pub(super) fn tasks(folder: &Path) -> Result<Vec<TaskId>, StoreError> {
    let failed = |cause: std::io::Error| unwritable("listing", folder, cause);
    let entries = match std::fs::read_dir(folder) {
        Err(cause) if cause.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.map_err(failed)?,
    };
    let mut names = Vec::new();
    for entry in entries {
        let name = entry.map_err(failed)?.file_name();
        let task = name.to_str().and_then(|name| name.strip_suffix(JOURNAL)).map(TaskId::parse);
        names.extend(task.and_then(Result::ok));
    }
    names.sort();
    Ok(names)
}
