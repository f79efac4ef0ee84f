//! S9, looked at while it may be broken: what every step of every task did to the world, what its journal says
//! of that, and what anybody was told. Shares nothing with the product.

use crate::log::Log;
use outlast::task::{Decision, Effect, Event, Output, Place, StepKey, TaskId};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// What is known of one step.
#[derive(Debug, Default)]
struct Account {
    /// How often the work had its effect, at a server that does not know a repeat by its key.
    effects: u64,
    /// The charge that a server made for the step's key, which it makes once.
    keyed: Option<u64>,
    /// How often a person asked for it to be run again.
    reruns: u64,
    /// It began, and nothing says what became of it; and whether it may be begun again all the same.
    begun: Option<Effect>,
    /// What is recorded as its outcome.
    outcome: Option<Vec<u8>>,
}

/// What the tasks of a world came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Worked {
    pub(crate) steps: u64,
    pub(crate) tasks: u64,
    pub(crate) decisions: u64,
}

/// The account of a world.
#[derive(Debug)]
pub(crate) struct Ledger {
    log: Arc<Log>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    accounts: BTreeMap<String, Account>,
    charges: u64,
    worked: Worked,
}

impl Ledger {
    pub(crate) fn new(log: &Arc<Log>) -> Self {
        Self { log: Arc::clone(log), state: Mutex::default() }
    }

    /// What names a step of one task among all tasks there ever were.
    pub(crate) fn name(task: &TaskId, number: u64, key: &StepKey) -> String {
        format!("{task}/{number}/{key}")
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn worked(&self) -> Worked {
        self.lock().worked
    }

    /// An entry is on the disk.
    pub(crate) fn durable(&self, task: &TaskId, number: u64, event: &Event) {
        let mut state = self.lock();
        let State { accounts, worked, .. } = &mut *state;
        worked.count(event);
        let broken = step_of(event).and_then(|key| {
            let account = accounts.entry(Self::name(task, number, key)).or_default();
            account.enter(event)
        });
        drop(state);
        self.log.note(format_args!("journal: {task}/{number} {}", what(event)));
        if let Some(how) = broken {
            self.log.violate("S9", format_args!("{task}/{number} {}: {how}", what(event)));
        }
    }

    /// The work of a step has its effect; what it brings.
    pub(crate) fn charge(&self, name: &str, effect: Effect) -> String {
        let mut state = self.lock();
        state.charges += 1;
        let next = state.charges;
        let account = state.accounts.entry(name.to_owned()).or_default();
        let charge = match effect {
            Effect::Idempotent => *account.keyed.get_or_insert(next),
            Effect::Once => {
                account.effects += 1;
                next
            }
        };
        let (effects, reruns) = (account.effects, account.reruns);
        drop(state);
        self.log.note(format_args!("work: {name} is charge {charge}"));
        if effects > 1 + reruns {
            let how = format_args!("{name} was done {effects} times, and a person asked for {reruns} of them");
            self.log.violate("S9", how);
        }
        format!("{name}#{charge}")
    }

    /// Whether a step had its effect, for a person who looks.
    pub(crate) fn is_done(&self, name: &str) -> bool {
        self.lock().accounts.get(name).is_some_and(|account| account.effects > 0 || account.keyed.is_some())
    }

    /// Somebody is told what a step brought.
    pub(crate) fn told(&self, brought: &str) {
        let name = brought.split('#').next().unwrap_or_default();
        let recorded = self.lock().accounts.get(name).and_then(|account| account.outcome.clone());
        let told = format!("\"{brought}\"");
        if recorded.as_deref() != Some(told.as_bytes()) {
            let recorded = recorded.map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
            self.log.violate("S9", format_args!("{name} is told as {told} and recorded as {recorded:?}"));
        }
    }
}

impl Worked {
    fn count(&mut self, event: &Event) {
        match event {
            Event::Closed => self.tasks += 1,
            Event::Done { .. } => self.steps += 1,
            Event::Resolved { .. } => self.decisions += 1,
            Event::Failed { .. }
            | Event::Opened { .. }
            | Event::Parked { .. }
            | Event::Resumed { .. }
            | Event::Started { .. } => {}
        }
    }
}

fn step_of(event: &Event) -> Option<&StepKey> {
    match event {
        Event::Done { key, .. }
        | Event::Failed { key, .. }
        | Event::Resolved { key, .. }
        | Event::Started { key, .. } => Some(key),
        Event::Closed | Event::Opened { .. } | Event::Parked { .. } | Event::Resumed { .. } => None,
    }
}

impl Account {
    /// Enters what the journal says of the step; what is wrong with that.
    fn enter(&mut self, event: &Event) -> Option<&'static str> {
        match event {
            Event::Done { output, .. } => self.end(output),
            Event::Failed { .. } => self.fail(),
            Event::Resolved { decision, .. } => self.decide(decision),
            Event::Started { effect, .. } => self.start(*effect),
            Event::Closed | Event::Opened { .. } | Event::Parked { .. } | Event::Resumed { .. } => None,
        }
    }

    fn start(&mut self, effect: Effect) -> Option<&'static str> {
        let unknown = self.begun.replace(effect) == Some(Effect::Once);
        if self.outcome.is_some() {
            Some("it is done, and begins")
        } else if unknown {
            Some("nobody knows what became of it, and it begins again")
        } else {
            None
        }
    }

    fn end(&mut self, output: &Output) -> Option<&'static str> {
        self.begun = None;
        let before = self.outcome.replace(bytes(output));
        before.map(|_| "it comes to its end for the second time")
    }

    fn fail(&mut self) -> Option<&'static str> {
        self.begun = None;
        self.outcome.is_some().then_some("it is done, and fails")
    }

    fn decide(&mut self, decision: &Decision) -> Option<&'static str> {
        let done = self.outcome.is_some();
        self.begun = None;
        match decision {
            Decision::Done(output) => self.outcome = Some(bytes(output)),
            Decision::Rerun => self.reruns += 1,
        }
        done.then_some("it is done, and decided on")
    }
}

fn bytes(output: &Output) -> Vec<u8> {
    match &output.place {
        Place::Here(bytes) => bytes.clone(),
        Place::Apart(_) | Place::At { .. } => Vec::new(),
    }
}

fn what(event: &Event) -> String {
    match event {
        Event::Closed => "is closed".to_owned(),
        Event::Done { key, .. } => format!("{key} is done"),
        Event::Failed { key, reason, .. } => format!("{key} failed: {reason}"),
        Event::Opened { runner } => format!("is opened by {runner}"),
        Event::Parked { grant, code } => format!("is parked on {grant}: {code}"),
        Event::Resolved { key, decision: Decision::Done(_) } => format!("{key} is decided to be done"),
        Event::Resolved { key, decision: Decision::Rerun } => format!("{key} is to be run again"),
        Event::Resumed { grant } => format!("goes on with {grant}"),
        Event::Started { key, effect, .. } => format!("{key} begins, {effect:?}"),
    }
}
