//! What a journal adds up to.

use super::entry::{Decision, Digest, Effect, Entry, Event, Output};
use super::name::StepKey;
use super::summary::Progress;
use crate::clock::Timestamp;
use crate::error::Code;
use crate::grant::GrantId;
use crate::store::Fence;
use std::collections::HashMap;
use std::time::Duration;

/// A task as its journal tells it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TaskView {
    /// When it was opened first.
    pub opened_at: Option<Timestamp>,
    /// When something was written last.
    pub changed_at: Option<Timestamp>,
    /// The runner that has it, and its epoch: the number of openings.
    pub runner: String,
    /// See [`TaskView::runner`].
    pub fence: u64,
    /// The grants that it is parked on, in the order in which they stopped it.
    pub parked: Vec<Parked>,
    /// When it was closed.
    pub closed_at: Option<Timestamp>,
    /// How long the longest of its steps ran that came to their end.
    pub longest_step: Duration,
    /// How far it has come.
    pub progress: Progress,
    steps: Vec<StepView>,
    places: HashMap<StepKey, u32>,
}

/// A grant that a task waits for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parked {
    /// The grant.
    pub grant: GrantId,
    /// Why it cannot be used.
    pub code: Code,
    /// Since when.
    pub since: Timestamp,
}

/// A step as the journal tells it.
#[derive(Clone, Debug, PartialEq)]
pub struct StepView {
    /// Its key.
    pub key: StepKey,
    /// How often it was started.
    pub starts: u32,
    /// How often it failed, one after the other.
    pub failures: u32,
    /// What it was given, if it ever said.
    pub input: Option<Digest>,
    /// How it stands.
    pub state: StepState,
}

/// How a step stands.
#[derive(Clone, Debug, PartialEq)]
pub enum StepState {
    /// It came to its end.
    Done {
        /// What it brought.
        output: Output,
        /// When.
        at: Timestamp,
        /// How long it ran.
        took: Duration,
    },
    /// It failed, and did nothing.
    Failed {
        /// When.
        at: Timestamp,
        /// Why, in the work's own words.
        reason: String,
    },
    /// It is to be run again.
    Rerun,
    /// It began; nothing more is written.
    Started {
        /// When.
        at: Timestamp,
        /// In which epoch of the task.
        fence: Fence,
        /// What running it again would do.
        effect: Effect,
    },
}

impl TaskView {
    /// Folds a whole journal.
    pub fn fold(entries: impl IntoIterator<Item = Entry>) -> Self {
        let mut view = Self::default();
        for entry in entries {
            view.apply(entry);
        }
        view
    }

    /// The epoch of the runner that has the task.
    pub fn fence(&self) -> Fence {
        Fence(self.fence)
    }

    /// The steps, in the order in which they were started first.
    pub fn steps(&self) -> &[StepView] {
        &self.steps
    }

    /// One step, if it was ever started.
    pub fn step(&self, key: &StepKey) -> Option<&StepView> {
        self.places.get(key).and_then(|place| self.steps.get(*place as usize))
    }

    /// Whether it waits for that grant.
    pub fn is_parked_on(&self, grant: &GrantId) -> bool {
        self.parked.iter().any(|parked| parked.grant == *grant)
    }

    /// Takes the next entry of the journal in.
    pub fn apply(&mut self, entry: Entry) {
        let Entry { at, event } = entry;
        self.opened_at = self.opened_at.or(Some(at));
        self.changed_at = Some(at);
        match event {
            Event::Closed => self.closed_at = Some(at),
            Event::Done { key, output, took } => {
                self.longest_step = self.longest_step.max(took);
                self.end(key, StepState::Done { output, at, took });
            }
            Event::Failed { key, reason, counts } => {
                let step = self.at(key, StepState::Failed { at, reason });
                step.failures = step.failures.saturating_add(u32::from(counts));
            }
            Event::Opened { runner } => {
                self.fence += 1;
                self.runner = runner;
                self.closed_at = None;
            }
            Event::Parked { grant, code } => {
                if !self.is_parked_on(&grant) {
                    self.parked.push(Parked { grant, code, since: at });
                }
            }
            Event::Resolved { key, decision } => match decision {
                Decision::Done(output) => self.end(key, StepState::Done { output, at, took: Duration::ZERO }),
                Decision::Rerun => self.end(key, StepState::Rerun),
            },
            Event::Resumed { grant } => self.parked.retain(|parked| parked.grant != grant),
            Event::Started { key, effect, input } => {
                let fence = self.fence();
                let step = self.at(key, StepState::Started { at, fence, effect });
                step.starts = step.starts.saturating_add(1);
                step.input = input.or(step.input);
            }
        }
    }

    /// Comes to its end, or is put back to its beginning: no failure before counts any more.
    fn end(&mut self, key: StepKey, state: StepState) {
        self.at(key, state).failures = 0;
    }

    /// Puts a step into a state; one that is not there yet is added.
    fn at(&mut self, key: StepKey, state: StepState) -> &mut StepView {
        let next = self.steps.len();
        let place = *self.places.entry(key.clone()).or_insert(u32::try_from(next).unwrap_or(u32::MAX)) as usize;
        if place >= next {
            self.steps.push(StepView { key, starts: 0, failures: 0, input: None, state: StepState::Rerun });
            self.progress.steps = self.steps.len();
        }
        let step = &mut self.steps[place.min(next)];
        self.progress.change(&step.state, &state);
        step.state = state;
        step
    }
}
