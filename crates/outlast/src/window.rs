//! THE UNAVOIDABLE WINDOW (F04): from the last byte of an answer until the token set in it is on disk. A
//! crash in it loses a grant whose server rotates without grace, so it is kept short, and measured.

use crate::keeper::Keeper;
use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How many renewals the figures are made of: the latest ones.
const KEPT_MAX: usize = 512;

/// How long this process took to make renewed token sets durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// How many renewals this is about, the latest 512 at most.
    pub renewals: usize,
    /// The latest.
    pub last: Duration,
    /// What 99 of 100 stayed within.
    pub p99: Duration,
}

/// The latest windows of a keeper.
#[derive(Debug, Default)]
pub(crate) struct Windows(Mutex<VecDeque<Duration>>);

/// One that is open.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Opened(Instant);

impl Opened {
    /// The last byte is there. Never a deadline, only a measure: the machine does not sleep in it.
    #[expect(clippy::disallowed_methods, reason = "measures milliseconds and decides nothing")]
    pub(crate) fn now() -> Self {
        Self(Instant::now())
    }
}

impl Windows {
    /// The token set is on disk.
    pub(crate) fn closed(&self, opened: Opened) {
        let took = opened.0.elapsed();
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() == KEPT_MAX {
            kept.pop_front();
        }
        kept.push_back(took);
    }

    fn figures(&self) -> Option<Window> {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let last = *kept.back()?;
        let mut sorted: Vec<_> = kept.into();
        sorted.sort_unstable();
        let renewals = sorted.len();
        // The smallest that at least 99 of 100 stay within.
        let p99 = sorted[(renewals * 99).div_ceil(100) - 1];
        Some(Window { renewals, last, p99 })
    }
}

impl Keeper {
    /// How long token sets that were renewed in this process were at risk; nothing before the first renewal.
    pub fn window(&self) -> Option<Window> {
        self.windows().figures()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn f04_the_figures_are_of_the_latest_renewals() {
        let windows = Windows::default();
        assert_eq!(windows.figures(), None);
        for millis in 1..=100 {
            windows.0.lock().unwrap().push_back(Duration::from_millis(millis));
        }
        let (last, p99) = (Duration::from_millis(100), Duration::from_millis(99));
        assert_eq!(windows.figures(), Some(Window { renewals: 100, last, p99 }));
        for _ in 0..KEPT_MAX {
            windows.closed(Opened::now());
        }
        let figures = windows.figures().unwrap();
        assert_eq!(figures.renewals, KEPT_MAX);
        assert!(figures.p99 < Duration::from_millis(99), "what is old does not count");
    }
}
