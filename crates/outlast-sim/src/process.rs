//! Processes that can be stopped and killed at every call of a port, and the clocks they see.

use crate::fault::Fault;
use crate::log::Log;
use outlast::{BoxFuture, Clock, Timestamp};
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::Notify;

/// When a world begins, by a clock that is right.
pub(crate) const START: Timestamp = Timestamp::from_secs(1_800_000_000);

/// Where in the call of a port a process is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Moment {
    AfterCommit,
    AtLease,
    AtLoad,
    BeforeCommit,
    BeforeSend,
    DuringCommit,
    DuringSend,
    WithAnswer,
}

impl Moment {
    pub(crate) const ALL: [Self; 8] = [
        Self::AfterCommit,
        Self::AtLease,
        Self::AtLoad,
        Self::BeforeCommit,
        Self::BeforeSend,
        Self::DuringCommit,
        Self::DuringSend,
        Self::WithAnswer,
    ];

    fn crash(self) -> Fault {
        match self {
            Self::AfterCommit => Fault::CrashAfterCommit,
            Self::AtLease => Fault::CrashAtLease,
            Self::AtLoad => Fault::CrashAtLoad,
            Self::BeforeCommit => Fault::CrashBeforeCommit,
            Self::BeforeSend => Fault::CrashBeforeSend,
            Self::DuringCommit => Fault::CrashDuringCommit,
            Self::DuringSend => Fault::CrashDuringSend,
            Self::WithAnswer => Fault::CrashWithAnswer,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Life {
    Dead,
    Running,
    Stopped,
}

/// One life of a process. What is dead never answers again: its calls wait for ever.
#[derive(Debug)]
pub(crate) struct Process {
    /// Its place on the machine.
    pub(crate) slot: usize,
    /// Which life of that place.
    pub(crate) incarnation: u64,
    log: Arc<Log>,
    /// How far the wall clock was off when it started, in milliseconds; it is carried on by the boot clock.
    wall_offset: AtomicI64,
    life: Mutex<Life>,
    changed: Notify,
    /// How often it was stopped.
    stops: AtomicU64,
    /// When it last went on.
    resumed_at: AtomicU64,
    /// Where it is to die, and how often it passes there before.
    doom: Mutex<Option<(Moment, u64)>>,
}

impl Process {
    pub(crate) fn start(log: &Arc<Log>, slot: usize, incarnation: u64, wall_offset: i64) -> Arc<Self> {
        Arc::new(Self {
            slot,
            incarnation,
            log: Arc::clone(log),
            wall_offset: AtomicI64::new(wall_offset),
            life: Mutex::new(Life::Running),
            changed: Notify::new(),
            stops: AtomicU64::new(0),
            resumed_at: AtomicU64::new(0),
            doom: Mutex::new(None),
        })
    }

    /// Its clock is not what it was, and whoever waits looks at it again.
    pub(crate) fn set_clock(&self, wall_offset: i64) {
        self.wall_offset.store(wall_offset, Ordering::Relaxed);
        self.changed.notify_waiters();
    }

    pub(crate) fn is_dead(&self) -> bool {
        *lock(&self.life) == Life::Dead
    }

    /// Changes whenever it is stopped: what was timed across that says nothing.
    pub(crate) fn stops(&self) -> u64 {
        self.stops.load(Ordering::Relaxed)
    }

    pub(crate) fn kill(&self) {
        self.become_(Life::Dead);
    }

    pub(crate) fn stop(&self) {
        self.stops.fetch_add(1, Ordering::Relaxed);
        self.become_(Life::Stopped);
    }

    /// Whether it ran all the time since then.
    pub(crate) fn ran_since(&self, since: u64) -> bool {
        *lock(&self.life) == Life::Running && self.resumed_at.load(Ordering::Relaxed) < since
    }

    pub(crate) fn resume(&self) {
        self.resumed_at.store(self.log.millis(), Ordering::Relaxed);
        self.become_(Life::Running);
    }

    fn become_(&self, next: Life) {
        let mut life = lock(&self.life);
        if *life != Life::Dead {
            *life = next;
        }
        drop(life);
        self.changed.notify_waiters();
    }

    /// Lets it die the `after`th time from now that it comes to `moment`; nothing to let it live.
    pub(crate) fn doom(&self, doom: Option<(Moment, u64)>) {
        *lock(&self.doom) = doom;
    }

    /// Waits until it runs; for ever if it is dead.
    pub(crate) async fn running(&self) {
        loop {
            let changed = self.changed.notified();
            match *lock(&self.life) {
                Life::Running => return,
                Life::Dead | Life::Stopped => {}
            }
            changed.await;
        }
    }

    /// Waits until it is dead.
    pub(crate) async fn dead(&self) {
        loop {
            let changed = self.changed.notified();
            if self.is_dead() {
                return;
            }
            changed.await;
        }
    }

    /// Comes to a moment of a call: it may die here, or stand still.
    pub(crate) async fn reach(&self, moment: Moment) {
        if self.dies_at(moment) {
            self.log.hit(moment.crash());
            self.log.note(format_args!("process {} dies: {moment:?}", self.slot));
            self.kill();
        }
        self.running().await;
    }

    fn dies_at(&self, moment: Moment) -> bool {
        let mut doom = lock(&self.doom);
        match &mut *doom {
            Some((there, 0)) if *there == moment => {
                *doom = None;
                true
            }
            Some((there, left)) if *there == moment => {
                *left -= 1;
                false
            }
            Some(_) | None => false,
        }
    }
}

impl Clock for Process {
    fn now(&self) -> Timestamp {
        let right = START.plus(Duration::from_millis(self.log.millis())).as_millis();
        Timestamp::from_millis(right.saturating_add_signed(self.wall_offset.load(Ordering::Relaxed)))
    }

    fn sleep(&self, at_most: Duration) -> BoxFuture<'_, ()> {
        let end = self.now().plus(at_most);
        Box::pin(async move {
            loop {
                let changed = self.changed.notified();
                self.running().await;
                let left = self.now().until(end);
                if left.is_zero() {
                    return;
                }
                tokio::select! {
                    biased;
                    () = changed => {}
                    () = tokio::time::sleep(left) => {}
                }
            }
        })
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
