//! The right to write to one journal. Entries that come while others are being written share a frame and
//! a sync.

use super::entry;
use super::frame::{FRAME_BYTES_MAX, FRAME_OVERHEAD};
use super::log::{Log, Refused};
use super::path::Paths;
use super::spill::{self, INLINE_BYTES_MAX};
use crate::lease::Held;
use outlast_core::journal::{Claim, JournalError};
use outlast_core::task::{Decision, Entry, Event, Output, Place, StepKey, TaskView};
use outlast_core::{BoxFuture, Fence, StoreError, Timestamp};
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use tokio::sync::oneshot;

/// Most bytes of entries in one frame.
const BODY_BYTES_MAX: usize = FRAME_BYTES_MAX - FRAME_OVERHEAD - entry::BODY_OVERHEAD - super::frame::ALIGNMENT;
/// What is there, on the disk, for the end of a step that begins: a disk that fills up while it works does
/// not keep its end from being recorded.
const HEADROOM_BYTES: u64 = INLINE_BYTES_MAX as u64 + 1024;
/// Longest word of a runner or reason, in bytes.
const WORDS_BYTES_MAX: usize = 2048;

/// The right to write to one journal.
pub(super) struct FileClaim(Arc<Shared>);

struct Shared {
    paths: Paths,
    fence: Fence,
    identity: [u8; 16],
    view: RwLock<TaskView>,
    queue: Mutex<Queue>,
    log: Mutex<Log>,
    _held: Held,
}

#[derive(Default)]
struct Queue {
    waiting: VecDeque<Waiting>,
    /// Whether a thread writes what waits.
    writing: bool,
}

/// Some entries that are to be written together.
struct Waiting {
    entries: Vec<Entry>,
    bytes: Vec<Vec<u8>>,
    answer: oneshot::Sender<Result<(), JournalError>>,
}

impl Waiting {
    fn length(&self) -> usize {
        self.bytes.iter().map(Vec::len).sum()
    }
}

impl FileClaim {
    /// Writes that the task was opened, which fences every earlier claim off. Blocks.
    pub(super) fn open(
        paths: Paths,
        log: Log,
        view: TaskView,
        held: Held,
        opened: Entry,
    ) -> Result<Arc<Self>, JournalError> {
        let fence = Fence(view.fence + 1);
        let shared = Shared {
            paths,
            fence,
            identity: log.identity(),
            view: RwLock::new(view),
            queue: Mutex::default(),
            log: Mutex::new(log),
            _held: held,
        };
        let (answer, _) = oneshot::channel();
        let opened = vec![shortened(opened)];
        let waiting = Waiting { bytes: encoded(&opened)?, entries: opened, answer };
        shared.write(std::slice::from_ref(&waiting)).map_err(|refused| shared.told(&refused))?;
        Ok(Arc::new(Self(Arc::new(shared))))
    }
}

impl Claim for FileClaim {
    fn fence(&self) -> Fence {
        self.0.fence
    }

    fn idempotency_key(&self, key: &StepKey) -> String {
        let of = [b"outlast step\0".as_slice(), &self.0.identity, key.as_str().as_bytes()].concat();
        // Half of the digest: as long as a UUID, which is what servers expect.
        spill::sha256(&of).to_string()[..32].to_owned()
    }

    fn view(&self) -> &RwLock<TaskView> {
        &self.0.view
    }

    fn append(&self, at: Timestamp, events: Vec<Event>) -> BoxFuture<'_, Result<(), JournalError>> {
        let shared = Arc::clone(&self.0);
        // On a task of its own: whoever asked for it may go away, and it is written all the same.
        let written = tokio::spawn(async move { shared.put(at, events).await });
        Box::pin(async move { written.await.unwrap_or_else(|_| Err(stopping())) })
    }
}

impl Shared {
    async fn put(self: Arc<Self>, at: Timestamp, events: Vec<Event>) -> Result<(), JournalError> {
        let events = if events.iter().any(is_large) { self.spilt(events).await? } else { events };
        let entries: Vec<Entry> = events.into_iter().map(|event| shortened(Entry { at, event })).collect();
        let (answer, answered) = oneshot::channel();
        let waiting = Waiting { bytes: encoded(&entries)?, entries, answer };
        if waiting.length() > BODY_BYTES_MAX {
            let most = BODY_BYTES_MAX as u64;
            return Err(JournalError::OutputTooLarge { length: waiting.length() as u64, most });
        }
        if self.enqueue(waiting) {
            let own = Arc::clone(&self);
            tokio::task::spawn_blocking(move || own.write_what_waits());
        }
        answered.await.unwrap_or_else(|_| Err(stopping()))
    }

    /// Tells whether nobody is writing what waits, and the caller has to see to it.
    fn enqueue(&self, waiting: Waiting) -> bool {
        let mut queue = locked(&self.queue);
        queue.waiting.push_back(waiting);
        !std::mem::replace(&mut queue.writing, true)
    }

    async fn spilt(self: &Arc<Self>, events: Vec<Event>) -> Result<Vec<Event>, JournalError> {
        let own = Arc::clone(self);
        let work = move || {
            let key = Arc::clone(locked(&own.log).key());
            let put = |output| spill::put(&own.paths, &key, output);
            let spilt = |event| {
                Ok(match event {
                    Event::Done { key, output, took } => Event::Done { key, output: put(output)?, took },
                    Event::Resolved { key, decision: Decision::Done(output) } => {
                        Event::Resolved { key, decision: Decision::Done(put(output)?) }
                    }
                    other @ (Event::Closed
                    | Event::Failed { .. }
                    | Event::Opened { .. }
                    | Event::Parked { .. }
                    | Event::Resolved { decision: Decision::Rerun, .. }
                    | Event::Resumed { .. }
                    | Event::Started { .. }) => other,
                })
            };
            events.into_iter().map(spilt).collect()
        };
        tokio::task::spawn_blocking(work).await.unwrap_or_else(|_| Err(stopping()))
    }

    fn write_what_waits(&self) {
        loop {
            let batch = {
                let mut queue = locked(&self.queue);
                if queue.waiting.is_empty() {
                    queue.writing = false;
                    return;
                }
                take_batch(&mut queue.waiting)
            };
            let written = self.write(&batch);
            for waiting in batch {
                let answer = written.as_ref().map_err(|refused| self.told(refused)).copied();
                // Whoever asked may have gone; it is written all the same.
                let _gone = waiting.answer.send(answer);
            }
        }
    }

    /// Writes what waits as one frame, and takes it into the view.
    fn write(&self, batch: &[Waiting]) -> Result<(), Refused> {
        let entries: Vec<&[u8]> = batch.iter().flat_map(|waiting| &waiting.bytes).map(Vec::as_slice).collect();
        let body = entry::body(&entries);
        let begins = batch.iter().flat_map(|waiting| &waiting.entries).any(|entry| begins_a_step(&entry.event));
        let mut log = locked(&self.log);
        let at = match log.append(&body, if begins { HEADROOM_BYTES } else { 0 }) {
            Ok(at) => at,
            Err(refused) => {
                // What was told to have failed must not count after all. Where this fails too, the next
                // append begins with it.
                let _tried_again = log.take_back();
                return Err(refused);
            }
        };
        drop(log);
        let mut view = self.view.write().unwrap_or_else(PoisonError::into_inner);
        let told = entry::decode(at, &body, |entry| view.apply(entry));
        debug_assert_eq!(told, Ok(()), "what was just written can be read");
        Ok(())
    }

    fn told(&self, refused: &Refused) -> JournalError {
        match refused {
            Refused::Fenced => JournalError::Fenced { task: self.paths.task().clone() },
            Refused::Unwritable(StoreError::Unwritable { detail }) => {
                StoreError::Unwritable { detail: detail.clone() }.into()
            }
            Refused::Unwritable(cause) => StoreError::Unwritable { detail: cause.to_string() }.into(),
        }
    }
}

/// As many as fit into a frame, and one at least.
fn take_batch(waiting: &mut VecDeque<Waiting>) -> Vec<Waiting> {
    let (mut taken, mut length) = (Vec::new(), 0);
    while let Some(next) = waiting.front() {
        length += next.length();
        if !taken.is_empty() && length > BODY_BYTES_MAX {
            break;
        }
        taken.extend(waiting.pop_front());
    }
    taken
}

fn begins_a_step(event: &Event) -> bool {
    matches!(event, Event::Started { .. })
}

fn is_large(event: &Event) -> bool {
    let output = match event {
        Event::Done { output, .. } | Event::Resolved { decision: Decision::Done(output), .. } => output,
        Event::Closed
        | Event::Failed { .. }
        | Event::Opened { .. }
        | Event::Parked { .. }
        | Event::Resolved { decision: Decision::Rerun, .. }
        | Event::Resumed { .. }
        | Event::Started { .. } => return false,
    };
    matches!(output, Output { place: Place::Here(bytes), .. } if bytes.len() > INLINE_BYTES_MAX)
}

/// Words are for people, and have a limit.
fn shortened(entry: Entry) -> Entry {
    let short = |words: String| match words.len() {
        0..=WORDS_BYTES_MAX => words,
        _ => {
            let end = (0..=WORDS_BYTES_MAX).rev().find(|end| words.is_char_boundary(*end)).unwrap_or(0);
            format!("{}…", &words[..end])
        }
    };
    let event = match entry.event {
        Event::Failed { key, reason, counts } => Event::Failed { key, reason: short(reason), counts },
        Event::Opened { runner } => Event::Opened { runner: short(runner) },
        other @ (Event::Closed
        | Event::Done { .. }
        | Event::Parked { .. }
        | Event::Resolved { .. }
        | Event::Resumed { .. }
        | Event::Started { .. }) => other,
    };
    Entry { at: entry.at, event }
}

fn encoded(entries: &[Entry]) -> Result<Vec<Vec<u8>>, JournalError> {
    let encode = |entry: &Entry| {
        let mut bytes = Vec::new();
        entry::encode(&mut bytes, entry).map(|()| bytes)
    };
    let failed = || StoreError::Unwritable { detail: "an entry of a journal cannot be written down".to_owned() };
    Ok(entries.iter().map(encode).collect::<Option<_>>().ok_or_else(failed)?)
}

fn stopping() -> JournalError {
    StoreError::Unwritable { detail: "the runtime is shutting down".to_owned() }.into()
}

/// A panic while it was held leaves nothing half-done behind: what it guards is only ever replaced.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
