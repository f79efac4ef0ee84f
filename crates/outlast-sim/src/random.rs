//! Chance that repeats itself: every draw follows from the seed.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// A stream of numbers (SplitMix64). Each part of a world has a stream of its own, so that one more
/// draw in one part changes nothing in the others.
#[derive(Debug)]
pub(crate) struct Random(Mutex<u64>);

impl Random {
    /// The stream of that name under that seed.
    pub(crate) fn of(seed: u64, name: &str) -> Self {
        let hashed = name
            .bytes()
            .fold(seed ^ 0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3));
        let stream = Self(Mutex::new(hashed));
        stream.next();
        stream
    }

    fn next(&self) -> u64 {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = *state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `end`, which is not zero.
    pub(crate) fn below(&self, end: u64) -> u64 {
        self.next() % end
    }

    /// A place in a list of that length.
    pub(crate) fn index(&self, length: usize) -> usize {
        usize::try_from(self.below(length as u64)).unwrap_or(0)
    }

    /// True so many times in a thousand.
    pub(crate) fn chance(&self, permille: u64) -> bool {
        self.below(1000) < permille
    }

    /// A duration of whole milliseconds from `least` to `most`.
    pub(crate) fn between(&self, least: Duration, most: Duration) -> Duration {
        let (least, most) = (millis(least), millis(most));
        Duration::from_millis(least + self.below((most - least).max(1)))
    }

    /// One of several.
    pub(crate) fn pick<T: Copy>(&self, several: &[T]) -> T {
        several[self.index(several.len())]
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
