//! NOTICE: that a grant needs its owner is told once, however many processes and tasks wait for it.

use crate::context::Context;
use crate::{ask, output};
use outlast::task::{TaskId, Tasks};
use outlast::{Generation, GrantHandle, Standing};
use outlast_daemon::status::GrantStatus;
use std::collections::HashSet;
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;
use std::sync::{Mutex, PoisonError};

/// So many tasks are looked at for those that wait.
const TASKS_MAX: usize = 200;
/// So many of them are named.
const NAMED_MAX: usize = 10;
/// The folder in the state folder where it is kept what was told.
const FOLDER: &str = "notices";

/// What this process has said, once in all, of each grant's park.
static SAID: Mutex<Option<HashSet<(String, u64)>>> = Mutex::new(None);

/// Tells that the grant needs its owner, if it does: in full if no process has told it yet, else in a line
/// of its own for `task`. Tells nothing twice.
pub(crate) async fn tell_if_parked(context: &Context, tasks: &Tasks, handle: &GrantHandle, task: &TaskId) {
    let Ok(record) = handle.record().await else { return };
    if !matches!(record.standing, Standing::Parked { .. }) || !is_news(handle, record.generation) {
        return;
    }
    let grant = handle.id();
    if !is_first(&context.places.home, grant.as_str(), record.generation) {
        output::talk(&format!(
            "task {task} waits between steps for grant {grant}, whose owner was told before; it goes on by itself, \
             and nothing is lost"
        ));
        return;
    }
    let status = GrantStatus::of(handle, &record, ask::now());
    let why = status.code.map_or_else(String::new, |code| format!(" ({code})"));
    let waiting = waiting(tasks, handle, task).await;
    output::talk(&format!(
        "notice: grant {grant} needs its owner{why}: {}. Parked between steps until then: {waiting}. Any device will \
         do; what waits goes on by itself, and nothing is lost",
        status.what_to_do
    ));
}

/// Whether this process has not spoken of this park yet.
fn is_news(handle: &GrantHandle, generation: Generation) -> bool {
    let mut said = SAID.lock().unwrap_or_else(PoisonError::into_inner);
    said.get_or_insert_with(HashSet::new).insert((handle.id().to_string(), generation.0))
}

/// Which tasks wait for the grant.
async fn waiting(tasks: &Tasks, handle: &GrantHandle, task: &TaskId) -> String {
    let mut names = vec![task.to_string()];
    for other in tasks.names().await.unwrap_or_default().into_iter().filter(|other| other != task).take(TASKS_MAX) {
        if let Ok((_, view)) = tasks.show(&other).await
            && view.is_parked_on(handle.id())
        {
            names.push(other.to_string());
        }
    }
    let more = names.len().saturating_sub(NAMED_MAX);
    names.truncate(NAMED_MAX);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    format!("task {}{more}", names.join(", "))
}

/// Whether nobody has told of this park: a login begins another generation, and ends what was told of the
/// one before. Where that cannot be kept, it is better told twice than never.
fn is_first(home: &Path, grant: &str, generation: Generation) -> bool {
    let folder = home.join(FOLDER);
    let mark = folder.join(format!("{grant}.{}", generation.0));
    match put(&folder, &mark) {
        Ok(()) => {
            forget_earlier(&folder, grant, &mark);
            true
        }
        Err(cause) => cause.kind() != io::ErrorKind::AlreadyExists,
    }
}

fn put(folder: &Path, mark: &Path) -> io::Result<()> {
    match std::fs::DirBuilder::new().mode(0o700).create(folder) {
        Err(cause) if cause.kind() != io::ErrorKind::AlreadyExists => return Err(cause),
        Ok(()) | Err(_) => {}
    }
    std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(mark).map(drop)
}

fn forget_earlier(folder: &Path, grant: &str, mark: &Path) {
    let Ok(entries) = std::fs::read_dir(folder) else { return };
    for path in entries.flatten().map(|entry| entry.path()).filter(|path| path != mark) {
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        if name.rsplit_once('.').is_some_and(|(of, _)| of == grant) {
            // It only keeps quiet what is over.
            let _ = std::fs::remove_file(&path);
        }
    }
}
