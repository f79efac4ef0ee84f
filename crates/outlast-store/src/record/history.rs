//! The stored form of a grant's history.

use super::{Millis, StoredCause};
use outlast_core::{Code, Event, Generation, Happening, History, Process};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// Members that say nothing are left out: there are many events, and each write carries them all.
#[derive(Serialize, Deserialize)]
pub(super) struct StoredEvent {
    at: Millis,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    by: Option<StoredProcess>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    cause: Option<StoredCause>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    code: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    first_at: Option<Millis>,
    generation: u64,
    #[serde(default = "once", skip_serializing_if = "is_once")]
    times: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    took: Option<Millis>,
    what: StoredHappening,
}

#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum StoredHappening {
    AnswerHealed,
    CrashFound,
    Failed,
    Forced,
    Imported,
    Parked,
    Renewed,
    SignedIn,
    SignedOut,
    /// Whatever only a newer version knows.
    #[serde(other)]
    Unknown,
}

#[derive(Clone, Copy, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum StoredProcess {
    Command,
    Library,
    Sidecar,
}

const fn once() -> u32 {
    1
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature that serde calls")]
const fn is_once(times: &u32) -> bool {
    *times == 1
}

/// The history in a record. What only a newer version knows is left out: it is told for information.
pub(super) fn read(stored: Vec<StoredEvent>) -> History {
    History::new(stored.into_iter().filter_map(StoredEvent::into_event).collect())
}

impl From<&Event> for StoredEvent {
    fn from(event: &Event) -> Self {
        let Event { at, first_at, times, happening, generation, took, process } = *event;
        let (what, code, cause) = match happening {
            Happening::AnswerHealed => (StoredHappening::AnswerHealed, None, None),
            Happening::CrashFound => (StoredHappening::CrashFound, None, None),
            Happening::Failed(code) => (StoredHappening::Failed, Some(code.as_str().to_owned()), None),
            Happening::Forced => (StoredHappening::Forced, None, None),
            Happening::Imported => (StoredHappening::Imported, None, None),
            Happening::Parked(cause) => (StoredHappening::Parked, None, Some(cause.into())),
            Happening::Renewed => (StoredHappening::Renewed, None, None),
            Happening::SignedIn => (StoredHappening::SignedIn, None, None),
            Happening::SignedOut => (StoredHappening::SignedOut, None, None),
        };
        Self {
            at: at.into(),
            by: process.map(StoredProcess::from),
            cause,
            code,
            first_at: (first_at != at).then(|| first_at.into()),
            generation: generation.0,
            times,
            took: took.map(|took| Millis(u64::try_from(took.as_millis()).unwrap_or(u64::MAX))),
            what,
        }
    }
}

impl StoredEvent {
    fn into_event(self) -> Option<Event> {
        let happening = match self.what {
            StoredHappening::AnswerHealed => Happening::AnswerHealed,
            StoredHappening::CrashFound => Happening::CrashFound,
            StoredHappening::Failed => Happening::Failed(Code::parse(&self.code?)?),
            StoredHappening::Forced => Happening::Forced,
            StoredHappening::Imported => Happening::Imported,
            StoredHappening::Parked => Happening::Parked(self.cause?.into()),
            StoredHappening::Renewed => Happening::Renewed,
            StoredHappening::SignedIn => Happening::SignedIn,
            StoredHappening::SignedOut => Happening::SignedOut,
            StoredHappening::Unknown => return None,
        };
        Some(Event {
            at: self.at.into(),
            first_at: self.first_at.unwrap_or(self.at).into(),
            times: self.times,
            happening,
            generation: Generation(self.generation),
            took: self.took.map(|took| Duration::from_millis(took.0)),
            process: self.by.map(Process::from),
        })
    }
}

impl From<Process> for StoredProcess {
    fn from(process: Process) -> Self {
        match process {
            Process::Command => Self::Command,
            Process::Library => Self::Library,
            Process::Sidecar => Self::Sidecar,
        }
    }
}

impl From<StoredProcess> for Process {
    fn from(stored: StoredProcess) -> Self {
        match stored {
            StoredProcess::Command => Self::Command,
            StoredProcess::Library => Self::Library,
            StoredProcess::Sidecar => Self::Sidecar,
        }
    }
}
