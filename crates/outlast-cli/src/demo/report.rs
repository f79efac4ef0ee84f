//! What an agent says of its work, a line each on its standard output, and what all its lives come to.

use crate::output;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// One thing that an agent says. Said before it is done where that could be the last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Said {
    /// A call of that step is sent.
    Call(usize),
    /// Every call of that step was answered 200.
    Done(usize),
    /// That step is given up.
    GivenUp(usize),
    /// An answer was 401.
    Refused,
}

impl Said {
    /// Says it. Whoever listened and is gone ends this process by other means.
    pub(crate) fn say(self) {
        let line = serde_json::to_string(&self).unwrap_or_default();
        let _heard_or_not = output::data(&line);
    }
}

/// What happened so far, over all lives of the agent of a story.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    steps: Mutex<Steps>,
    /// Steps that were given up since the last start.
    pub(crate) failed: AtomicUsize,
    /// Answers 401 that a worker saw.
    pub(crate) unauthorized: AtomicU64,
    /// Calls sent.
    pub(crate) calls: AtomicU64,
}

#[derive(Debug, Default)]
struct Steps {
    /// Those whose every call was answered 200.
    done: BTreeSet<usize>,
    /// Those of them of which a call was made once more.
    run_twice: BTreeSet<usize>,
}

impl Tally {
    /// Steps whose every call was answered 200.
    pub(crate) fn done(&self) -> usize {
        self.steps().done.len()
    }

    /// Steps that were begun again after they had been done.
    pub(crate) fn run_twice(&self) -> usize {
        self.steps().run_twice.len()
    }

    /// Counts what an agent says.
    pub(crate) fn hear(&self, said: Said) {
        match said {
            Said::Call(step) => {
                self.calls.fetch_add(1, Ordering::Relaxed);
                let mut steps = self.steps();
                if steps.done.contains(&step) {
                    steps.run_twice.insert(step);
                }
            }
            Said::Done(step) => drop(self.steps().done.insert(step)),
            Said::GivenUp(_) => drop(self.failed.fetch_add(1, Ordering::Relaxed)),
            Said::Refused => drop(self.unauthorized.fetch_add(1, Ordering::Relaxed)),
        }
    }

    fn steps(&self) -> MutexGuard<'_, Steps> {
        self.steps.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_is_run_twice_when_a_call_of_it_is_made_after_it_was_done() {
        let tally = Tally::default();
        [Said::Call(3), Said::Call(3), Said::Done(3), Said::Call(4)].into_iter().for_each(|said| tally.hear(said));
        assert_eq!((tally.done(), tally.run_twice()), (1, 0));
        tally.hear(Said::Call(3));
        assert_eq!((tally.done(), tally.run_twice(), tally.calls.into_inner()), (1, 1, 4));
    }
}
