//! What a run came to, and the code it ends with.

use super::report::Report;
use crate::exit::Fault;
use outlast::{Advice, Code};
use rustix::process::Signal;

/// So many keys of steps are named.
const NAMED_MAX: usize = 5;

/// What a run came to.
#[derive(Default)]
pub(crate) struct Ending {
    /// The command that goes on.
    again: String,
    done: usize,
    reused: usize,
    known: usize,
    failed: Vec<String>,
    blocked: Vec<String>,
    worst: Option<Fault>,
    is_stopped: bool,
    complete: bool,
    stopped_by: Option<Signal>,
}

impl Ending {
    pub(super) fn new(again: String) -> Self {
        Self { again, ..Self::default() }
    }

    pub(super) fn done(&mut self, reused: bool) {
        self.done += 1;
        self.reused += usize::from(reused);
    }

    pub(super) fn count_done(&self) -> usize {
        self.done
    }

    pub(super) fn failed(&mut self, report: &Report, key: &str, fault: Fault) {
        report.given_up(key, &fault);
        self.failed.push(key.to_owned());
        self.take(fault);
    }

    pub(super) fn blocked(&mut self, report: &Report, key: &str, on: &str) {
        report.blocked(key, on);
        self.blocked.push(key.to_owned());
    }

    /// Nothing can be run any more.
    pub(super) fn stop(&mut self, fault: Fault) {
        self.take(fault);
        self.is_to_stop();
    }

    pub(super) fn is_to_stop(&mut self) {
        self.is_stopped = true;
    }

    pub(super) fn is_stopped(&self) -> bool {
        self.is_stopped
    }

    pub(super) fn ended(&mut self, report: &Report, known: usize, complete: bool, stopped_by: Option<Signal>) {
        (self.known, self.complete, self.stopped_by) = (known, complete, stopped_by);
        report.ended(known, self.done, self.reused, complete);
    }

    /// Whether all of the plan is done.
    pub(crate) fn is_done(&self) -> bool {
        self.complete
    }

    /// The failure that says most of what is to be done, whatever the order in which they came.
    fn take(&mut self, fault: Fault) {
        let rank = |fault: &Fault| rank(fault.code);
        if self.worst.as_ref().is_none_or(|worst| rank(&fault) < rank(worst)) {
            self.worst = Some(fault);
        }
    }

    /// A line for people.
    pub(crate) fn summary(&self, task: &str) -> String {
        let earlier = match self.reused {
            0 => String::new(),
            reused => format!(", {reused} of them in earlier runs"),
        };
        format!("task {task}: {} of {} steps are done{earlier}", self.done, self.known)
    }

    /// The failure to end with; none if all is done.
    pub(crate) fn fault(self, task: &str) -> Option<Fault> {
        if self.complete {
            return None;
        }
        let summary = self.summary(task);
        if let Some(signal) = self.stopped_by.filter(|_| self.worst.is_none()) {
            let mut fault = Fault::interrupted(signal);
            fault.text = format!("interrupted; nothing was lost. {summary}. Go on with: {}", self.again);
            return Some(fault);
        }
        let mut worst = self.worst.unwrap_or_else(|| Fault::new(Code::Internal, "the plan ended before its end"));
        let mut text = format!("{summary}; not done: {}", named(&self.failed));
        if !self.blocked.is_empty() {
            text.push_str(&format!("; not begun, for they need those: {}", named(&self.blocked)));
        }
        let mend = format!("{}; what is done is kept, go on with: {}", worst.what_to_do(), self.again);
        worst.text = format!("{text}. {}", worst.text);
        Some(worst.mend(mend))
    }
}

fn named(keys: &[String]) -> String {
    let named = keys.iter().take(NAMED_MAX).map(String::as_str).collect::<Vec<_>>().join(", ");
    match keys.len().saturating_sub(NAMED_MAX) {
        0 => named,
        more => format!("{named} and {more} more"),
    }
}

/// A person's word comes first: what waits for it will not end by itself.
fn rank(code: Code) -> u8 {
    match code.advice() {
        Advice::Decide => 0,
        Advice::AskUser => 1,
        Advice::ReportBug => 2,
        Advice::FixConfig => 3,
        Advice::Wait => 4,
        Advice::Retry => 5,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_be_tried_again_is_told_only_where_nothing_else_has_to_be_done() {
        for worse in [Code::StepFailed, Code::StepAmbiguous, Code::StepPoisoned, Code::NeedsUser, Code::CoolingDown] {
            for codes in [[Code::StepFailing, worse], [worse, Code::StepFailing]] {
                let mut ending = Ending::new("outlast task run plan.toml".to_owned());
                codes.into_iter().for_each(|code| ending.take(Fault::new(code, "it failed")));
                assert_eq!(ending.fault("harvest").map(|fault| fault.code), Some(worse), "{codes:?}");
            }
        }
        let mut ending = Ending::new("outlast task run plan.toml".to_owned());
        ending.take(Fault::new(Code::StepFailing, "it failed"));
        let fault = ending.fault("harvest").expect("it is not done");
        assert_eq!((fault.code, fault.exit_code()), (Code::StepFailing, 75));
        assert!(fault.what_to_do().ends_with("what is done is kept, go on with: outlast task run plan.toml"));
    }
}
