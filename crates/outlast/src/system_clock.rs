//! The only file that asks the operating system for the time.

use outlast_core::{BoxFuture, Clock, Timestamp};
use outlast_store::boot_began;
use rustix::time::{ClockId, clock_gettime};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

/// How often the coarse time is set, and so how far it may lag.
const COARSE_TICK: Duration = Duration::from_millis(50);
/// Longest single wait, so that a suspend is noticed soon after the resume: the runtime's timers
/// stand still while the machine sleeps.
const NAP_MAX: Duration = Duration::from_secs(1);

/// Names this boot of the machine.
const BOOT_ID: &str = "/proc/sys/kernel/random/boot_id";
/// A wall clock that says less was not set yet: this was written later (2026-01-01).
const WALL_AT_LEAST: Timestamp = Timestamp::from_secs(1_767_225_600);

/// The system's time: when the machine was booted by the wall clock, carried on by the boot clock,
/// which counts suspend and is not moved when somebody sets the wall clock (D11). A clock that nobody
/// had set yet is given up as soon as somebody has (F19).
#[derive(Debug)]
pub struct SystemClock {
    /// In milliseconds since the epoch.
    began: AtomicU64,
    home: Option<PathBuf>,
}

impl SystemClock {
    /// Anchored at the wall clock as it is now.
    pub fn new() -> Self {
        Self::anchored(None)
    }

    /// Anchored where the first process of this boot that used the state folder `home` found the
    /// wall clock: all processes agree on the time, whatever was done to the wall clock since. Where
    /// that cannot be had, the same as [`SystemClock::new`].
    pub fn of(home: &Path) -> Self {
        Self::anchored(Some(home.to_owned()))
    }

    fn anchored(home: Option<PathBuf>) -> Self {
        let began = began(home.as_deref());
        Self { began: AtomicU64::new(began.as_millis()), home }
    }

    /// How far the wall clock is from this one, and whether it is ahead.
    pub fn wall_is_off_by(&self) -> (Duration, bool) {
        let (wall, now) = (wall(), self.now());
        (wall.since(now).max(now.since(wall)), wall > now)
    }
}

impl Default for SystemClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        let now = Timestamp::from_millis(self.began.load(Ordering::Relaxed)).plus(boot());
        if now >= WALL_AT_LEAST || wall() < WALL_AT_LEAST {
            return now;
        }
        // Reads or writes a small file, once in the life of a process.
        let began = began(self.home.as_deref());
        self.began.store(began.as_millis(), Ordering::Relaxed);
        began.plus(boot())
    }

    fn sleep(&self, at_most: Duration) -> BoxFuture<'_, ()> {
        let end = self.now().plus(at_most);
        Box::pin(async move {
            loop {
                let left = self.now().until(end);
                if left.is_zero() {
                    return;
                }
                tokio::time::sleep(left.min(NAP_MAX)).await;
            }
        })
    }
}

/// When this boot began, as the processes that use `home` agree on it.
fn began(home: Option<&Path>) -> Timestamp {
    let own = wall().minus(boot());
    let plausible = |began: Timestamp| began.plus(boot()) >= WALL_AT_LEAST;
    let agreed = home.and_then(|home| {
        let id = std::fs::read_to_string(BOOT_ID).ok()?;
        boot_began(home, id.trim(), own, plausible).ok()
    });
    agreed.unwrap_or(own)
}

fn wall() -> Timestamp {
    let time = clock_gettime(ClockId::Realtime);
    let millis = u64::try_from(time.tv_sec).unwrap_or(0) * 1000 + u64::try_from(time.tv_nsec).unwrap_or(0) / 1_000_000;
    Timestamp::from_millis(millis)
}

/// For how long the machine was suspended since it was booted.
pub fn time_asleep() -> Duration {
    let awake = clock_gettime(ClockId::Monotonic);
    let awake = Duration::new(u64::try_from(awake.tv_sec).unwrap_or(0), u32::try_from(awake.tv_nsec).unwrap_or(0));
    boot().saturating_sub(awake)
}

fn boot() -> Duration {
    let time = clock_gettime(ClockId::Boottime);
    Duration::new(u64::try_from(time.tv_sec).unwrap_or(0), u32::try_from(time.tv_nsec).unwrap_or(0))
}

/// The time as of the last tick, for the path that may not make a system call. A thread of its
/// own sets it, so that a busy runtime cannot hold it up; the thread ends with the last holder.
#[derive(Clone, Debug)]
pub(crate) struct CoarseTime(Arc<AtomicU64>);

impl CoarseTime {
    /// Follows `clock` until dropped.
    pub(crate) fn follow(clock: Arc<SystemClock>) -> Self {
        let cell = Arc::new(AtomicU64::new(clock.now().as_millis()));
        let watched = Arc::downgrade(&cell);
        let ticking =
            std::thread::Builder::new().name("outlast-clock".to_owned()).spawn(move || tick(&clock, &watched));
        // Without the thread the cell must not be believed; every ask then takes the exact path.
        if ticking.is_err() { Self::never() } else { Self(cell) }
    }

    /// A time at which nothing is fresh: every ask takes the exact path.
    pub(crate) fn never() -> Self {
        Self(Arc::new(AtomicU64::new(u64::MAX)))
    }

    /// Milliseconds since the epoch, as of the last tick.
    pub(crate) fn millis(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

fn tick(clock: &SystemClock, cell: &Weak<AtomicU64>) {
    while let Some(cell) = cell.upgrade() {
        cell.store(clock.now().as_millis(), Ordering::Relaxed);
        drop(cell);
        #[expect(clippy::disallowed_methods, reason = "this thread does nothing but wait for its tick")]
        std::thread::sleep(COARSE_TICK);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn f19_a_process_that_started_without_a_clock_goes_by_it_once_it_is_set() {
        let clock = SystemClock { began: AtomicU64::new(0), home: None };
        assert!(clock.now() >= WALL_AT_LEAST, "{}", clock.now().as_secs());
        assert!(clock.wall_is_off_by().0 < Duration::from_secs(1));
    }

    #[test]
    fn f16_a_clock_that_was_set_is_not_looked_at_again() {
        let year = 365 * 86_400 * 1000;
        let clock = SystemClock { began: AtomicU64::new(wall().minus(boot()).as_millis() + year), home: None };
        let (off, ahead) = clock.wall_is_off_by();
        assert!(!ahead && off.as_millis() > u128::from(year) / 2, "{off:?}");
    }
}
