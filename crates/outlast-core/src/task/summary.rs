//! A task in a few words and numbers.

use super::name::{StepKey, TaskId};
use super::view::{Parked, StepState, StepView, TaskView};
use crate::clock::Timestamp;
use std::time::Duration;

/// How far a task has come. How many steps there will be, only its program knows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// Steps that were ever begun.
    pub steps: usize,
    /// Those that are done.
    pub done: usize,
    /// Those whose last attempt failed.
    pub failed: usize,
    /// How long all steps ran that are done: what a start from the beginning would cost again.
    pub worked: Duration,
}

/// What keeps a task from going on by itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Block {
    /// A step began, and nobody knows whether it came to its end.
    Ambiguous {
        /// Which.
        key: StepKey,
        /// When it began.
        since: Timestamp,
    },
    /// A grant needs a person.
    Grant(Parked),
    /// A step failed too often.
    Poisoned {
        /// Which.
        key: StepKey,
        /// How often.
        failures: u32,
        /// The last reason.
        reason: String,
    },
}

/// How a task stands as a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stand {
    /// It is over.
    Closed,
    /// No runner has it.
    Idle,
    /// It waits for a person to sign in.
    Parked,
    /// A runner has it.
    Running,
}

impl Stand {
    /// A stable word for programs.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::Idle => "idle",
            Self::Parked => "parked",
            Self::Running => "running",
        }
    }
}

/// A task in a few words and numbers.
#[derive(Clone, Debug, PartialEq)]
pub struct Summary {
    /// Its name.
    pub id: TaskId,
    /// How it stands.
    pub stand: Stand,
    /// How far it has come.
    pub progress: Progress,
    /// What keeps it, or some of it, from going on.
    pub blocks: Vec<Block>,
    /// Who has it, or had it last.
    pub runner: String,
    /// How many runners it had.
    pub runners: u64,
    /// When it was opened first.
    pub opened_at: Option<Timestamp>,
    /// When something was written last.
    pub changed_at: Option<Timestamp>,
}

impl Progress {
    /// A step goes from one state to another. Kept at hand, for there may be very many steps.
    pub(super) fn change(&mut self, before: &StepState, after: &StepState) {
        match before {
            StepState::Done { took, .. } => {
                self.done -= 1;
                self.worked = self.worked.saturating_sub(*took);
            }
            StepState::Failed { .. } => self.failed -= 1,
            StepState::Rerun | StepState::Started { .. } => {}
        }
        match after {
            StepState::Done { took, .. } => {
                self.done += 1;
                self.worked = self.worked.saturating_add(*took);
            }
            StepState::Failed { .. } => self.failed += 1,
            StepState::Rerun | StepState::Started { .. } => {}
        }
    }
}

impl Summary {
    /// Of a task; `claimed` tells whether a runner has it.
    pub fn of(id: &TaskId, task: &TaskView, claimed: bool) -> Self {
        let stand = match claimed {
            true => Stand::Running,
            false if task.closed_at.is_some() => Stand::Closed,
            false if !task.parked.is_empty() => Stand::Parked,
            false => Stand::Idle,
        };
        let grants = task.parked.iter().cloned().map(Block::Grant);
        let steps = task.steps().iter().filter_map(|step| block(step, task, claimed));
        Self {
            id: id.clone(),
            stand,
            progress: task.progress,
            blocks: grants.chain(steps).collect(),
            runner: task.runner.clone(),
            runners: task.fence,
            opened_at: task.opened_at,
            changed_at: task.changed_at,
        }
    }
}

fn block(step: &StepView, task: &TaskView, claimed: bool) -> Option<Block> {
    match &step.state {
        // The runner of the present epoch may be at it.
        StepState::Started { fence, .. } if claimed && *fence == task.fence() => None,
        StepState::Started { at, .. } if step.is_open() => Some(Block::Ambiguous { key: step.key.clone(), since: *at }),
        StepState::Failed { reason, .. } if step.is_poisoned() => {
            Some(Block::Poisoned { key: step.key.clone(), failures: step.failures, reason: reason.clone() })
        }
        StepState::Done { .. } | StepState::Failed { .. } | StepState::Rerun | StepState::Started { .. } => None,
    }
}

#[cfg(test)]
mod tests {
    use super::super::entry::{Effect, Entry, Event, Output, Place};
    use super::*;
    use crate::error::Code;

    #[test]
    fn a_summary_tells_how_far_it_is_and_what_keeps_it() {
        let key = |name: &str| StepKey::parse(name).unwrap();
        let started = |name| Event::Started { key: key(name), effect: Effect::Once, input: None };
        let output = Output { exit: None, length: 0, place: Place::Here(Vec::new()) };
        let mut events = vec![
            Event::Opened { runner: "one".to_owned() },
            started("a"),
            Event::Done { key: key("a"), output, took: Duration::from_secs(7) },
            started("b"),
            Event::Opened { runner: "two".to_owned() },
            started("c"),
        ];
        for _ in 0..5 {
            events.push(started("d"));
            events.push(Event::Failed { key: key("d"), reason: "no".to_owned(), counts: true });
        }
        let grant = crate::GrantId::parse("crm").unwrap();
        events.push(Event::Parked { grant: grant.clone(), code: Code::NeedsUser });
        let view = TaskView::fold(
            events.into_iter().zip(1..).map(|(event, at)| Entry { at: Timestamp::from_secs(at), event }),
        );
        let of = |claimed| Summary::of(&TaskId::parse("harvest").unwrap(), &view, claimed);
        let told = of(true);
        assert_eq!((told.stand, told.runner.as_str(), told.runners), (Stand::Running, "two", 2));
        let progress = Progress { steps: 4, done: 1, failed: 1, worked: Duration::from_secs(7) };
        assert_eq!(told.progress, progress);
        let parked = Block::Grant(Parked { grant, code: Code::NeedsUser, since: Timestamp::from_secs(17) });
        let ambiguous = |name, at| Block::Ambiguous { key: key(name), since: Timestamp::from_secs(at) };
        let poisoned = Block::Poisoned { key: key("d"), failures: 5, reason: "no".to_owned() };
        assert_eq!(told.blocks, [parked.clone(), ambiguous("b", 4), poisoned.clone()]);
        // Without a runner, what the last one had begun is nobody's.
        let told = of(false);
        assert_eq!(told.stand, Stand::Parked);
        assert_eq!(told.blocks, [parked, ambiguous("b", 4), ambiguous("c", 6), poisoned]);
    }
}
