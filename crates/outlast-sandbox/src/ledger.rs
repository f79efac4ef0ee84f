//! What the protected API remembers: answers given, side effects, steps of work. Pure.

use crate::counters::Counters;
use std::collections::{BTreeMap, HashMap};

/// How many idempotency keys, and how many different steps, are remembered; beyond it requests are refused.
pub(crate) const REMEMBERED_MAX: usize = 100_000;

/// What became of a charge.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Charge {
    /// The side effect took place now, under this number.
    Done(u64),
    /// The idempotency key was used for another content before.
    KeyOfAnother,
    /// More keys than can be remembered.
    Full,
    /// The side effect took place earlier, under this number.
    Replayed(u64),
}

/// The books of the protected API.
#[derive(Default)]
pub(crate) struct Ledger {
    answers: BTreeMap<u16, u64>,
    charges: u64,
    charge_of_key: HashMap<String, (u64, Vec<u8>)>,
    work_calls: u64,
    work_repeated: u64,
    calls_of_step: HashMap<u64, u64>,
    /// By step and number of the call within it.
    calls_of_call: HashMap<(u64, u64), u64>,
}

impl Ledger {
    pub(crate) fn note_answer(&mut self, status: u16) {
        *self.answers.entry(status).or_default() += 1;
    }

    /// Carries the side effect out, unless `key` tells that it was carried out before.
    /// `content` stands for the request's body: a key may not be used for two of them.
    pub(crate) fn charge(&mut self, key: Option<&str>, content: &[u8]) -> Charge {
        let Some(key) = key else {
            self.charges += 1;
            return Charge::Done(self.charges);
        };
        if let Some((number, known)) = self.charge_of_key.get(key) {
            return if known == content { Charge::Replayed(*number) } else { Charge::KeyOfAnother };
        }
        if self.charge_of_key.len() >= REMEMBERED_MAX {
            return Charge::Full;
        }
        self.charges += 1;
        self.charge_of_key.insert(key.to_owned(), (self.charges, content.to_owned()));
        Charge::Done(self.charges)
    }

    /// Carries a step out and tells how often that has been done, or `None` if there are too many steps.
    pub(crate) fn work(&mut self, step: u64) -> Option<u64> {
        if self.calls_of_step.len() >= REMEMBERED_MAX && !self.calls_of_step.contains_key(&step) {
            return None;
        }
        self.work_calls += 1;
        let calls = self.calls_of_step.entry(step).or_default();
        *calls += 1;
        Some(*calls)
    }

    /// The same for a call of a step that has a number, and is therefore known when it comes again.
    pub(crate) fn work_call(&mut self, step: u64, call: u64) -> Option<u64> {
        if self.calls_of_call.len() >= REMEMBERED_MAX && !self.calls_of_call.contains_key(&(step, call)) {
            return None;
        }
        self.work(step)?;
        let calls = self.calls_of_call.entry((step, call)).or_default();
        *calls += 1;
        self.work_repeated += u64::from(*calls > 1);
        Some(*calls)
    }

    /// Adds the API's share to the counters.
    pub(crate) fn fill(&self, counters: &mut Counters) {
        counters.api_total = self.answers.values().sum();
        counters.api_unauthorized = self.answers.get(&401).copied().unwrap_or(0);
        counters.api_by_status = self.answers.clone();
        counters.charges = self.charges;
        counters.work_calls = self.work_calls;
        counters.work_repeated = self.work_repeated;
        counters.work_steps = self.calls_of_step.len() as u64;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_idempotency_key_is_charged_once_and_only_for_one_content() {
        let mut ledger = Ledger::default();
        assert_eq!(ledger.charge(Some("key"), b"5"), Charge::Done(1));
        assert_eq!(ledger.charge(Some("key"), b"5"), Charge::Replayed(1));
        assert_eq!(ledger.charge(Some("key"), b"6"), Charge::KeyOfAnother);
        assert_eq!(ledger.charge(None, b"5"), Charge::Done(2));
        assert_eq!(ledger.charge(None, b"5"), Charge::Done(3));
        let mut counters = Counters::default();
        ledger.fill(&mut counters);
        assert_eq!(counters.charges, 3);
    }

    #[test]
    fn a_numbered_call_that_comes_again_is_a_repeat_and_another_of_its_step_is_none() {
        let mut ledger = Ledger::default();
        let answers = [(7, 0), (7, 1), (8, 0), (7, 1), (7, 1)].map(|(step, call)| ledger.work_call(step, call));
        assert_eq!(answers, [Some(1), Some(1), Some(1), Some(2), Some(3)]);
        assert_eq!(ledger.work(7), Some(5));
        let mut counters = Counters::default();
        ledger.fill(&mut counters);
        assert_eq!((counters.work_calls, counters.work_steps, counters.work_repeated), (6, 2, 2));
    }

    #[test]
    fn one_key_and_one_step_past_the_limit_are_refused_and_known_ones_still_served() {
        let mut ledger = Ledger::default();
        for number in 0..REMEMBERED_MAX {
            ledger.charge(Some(&number.to_string()), b"");
            ledger.work(number as u64);
        }
        assert_eq!(ledger.charge(Some("one more"), b""), Charge::Full);
        assert_eq!(ledger.charge(Some("0"), b""), Charge::Replayed(1));
        assert_eq!(ledger.work(REMEMBERED_MAX as u64), None);
        assert_eq!(ledger.work(0), Some(2));
        for number in 0..REMEMBERED_MAX {
            ledger.work_call(1, number as u64);
        }
        assert_eq!(ledger.work_call(1, REMEMBERED_MAX as u64), None);
        assert_eq!(ledger.work_call(1, 0), Some(2));
    }
}
