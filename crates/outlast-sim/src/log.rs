//! What happened in a world: a hash of every event, the faults that were hit, and the first broken
//! promise, which ends the world.

use crate::fault::Fault;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};
use tokio::sync::Notify;
use tokio::time::Instant;

/// The record of one world.
#[derive(Debug)]
pub(crate) struct Log {
    start: Instant,
    inner: Mutex<Inner>,
    over: Notify,
}

#[derive(Debug)]
struct Inner {
    hash: u64,
    lines: Option<Vec<String>>,
    hits: BTreeMap<Fault, u64>,
    violation: Option<String>,
}

/// What is left of a log when its world has ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) hash: u64,
    pub(crate) lines: Vec<String>,
    pub(crate) hits: BTreeMap<Fault, u64>,
    pub(crate) violation: Option<String>,
}

impl Log {
    /// Begins now; must be made inside a runtime.
    #[expect(clippy::disallowed_methods, reason = "simulated time is the runtime's time")]
    pub(crate) fn new(keep_lines: bool) -> Self {
        let inner = Inner {
            hash: 0xcbf2_9ce4_8422_2325,
            lines: keep_lines.then(Vec::new),
            hits: BTreeMap::new(),
            violation: None,
        };
        Self { start: Instant::now(), inner: Mutex::new(inner), over: Notify::new() }
    }

    /// Milliseconds since the world began.
    pub(crate) fn millis(&self) -> u64 {
        u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// Notes an event. It must follow from the seed: no random token, no address in memory.
    pub(crate) fn note(&self, event: fmt::Arguments<'_>) {
        let millis = self.millis();
        let line = format!("{:>6}.{:03} {event}", millis / 1000, millis % 1000);
        let mut inner = self.lock();
        for byte in line.bytes() {
            inner.hash = (inner.hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3);
        }
        if let Some(lines) = &mut inner.lines {
            lines.push(line);
        }
    }

    /// Notes that a fault took effect.
    pub(crate) fn hit(&self, fault: Fault) {
        *self.lock().hits.entry(fault).or_default() += 1;
    }

    /// How often a fault took effect.
    pub(crate) fn hits(&self, fault: Fault) -> u64 {
        self.lock().hits.get(&fault).copied().unwrap_or(0)
    }

    /// A promise is broken. Only the first counts: what follows may follow from it.
    pub(crate) fn violate(&self, promise: &str, how: fmt::Arguments<'_>) {
        self.note(format_args!("VIOLATION {promise}: {how}"));
        let millis = self.millis();
        let mut inner = self.lock();
        if inner.violation.is_none() {
            inner.violation = Some(format!("{promise} at {}.{:03} s: {how}", millis / 1000, millis % 1000));
        }
        drop(inner);
        self.over.notify_one();
    }

    /// Waits until a promise is broken.
    pub(crate) async fn over(&self) {
        self.over.notified().await;
    }

    /// What is left.
    pub(crate) fn end(&self) -> Ended {
        let mut inner = self.lock();
        Ended {
            hash: inner.hash,
            lines: inner.lines.take().unwrap_or_default(),
            hits: std::mem::take(&mut inner.hits),
            violation: inner.violation.clone(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
