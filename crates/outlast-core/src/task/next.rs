//! What is to be done with a step that somebody wants to run.

use super::entry::{Digest, Effect, Output};
use super::name::StepKey;
use super::view::{StepState, StepView, TaskView};
use crate::clock::Timestamp;
use std::time::Duration;

/// So often a step may fail, one time after the other, before it waits for a person (F79).
pub const ATTEMPTS_MAX: u32 = 5;
/// First and longest pause before a step that failed is tried again.
const BACK_OFF_FIRST: Duration = Duration::from_secs(1);
const BACK_OFF_LAST: Duration = Duration::from_secs(300);

/// A step that somebody wants to run.
#[derive(Clone, Copy, Debug)]
pub struct Wish<'a> {
    /// Which.
    pub key: &'a StepKey,
    /// What running it twice would do.
    pub effect: Effect,
    /// What it is given, if that is known.
    pub input: Option<Digest>,
    /// Whether the runner that asks is running it at this moment.
    pub running: bool,
}

/// What is to be done.
#[derive(Clone, Debug, PartialEq)]
pub enum Next<'a> {
    /// It began once, and nobody knows whether it came to its end: a person has to say.
    Ambiguous {
        /// When it began.
        since: Timestamp,
    },
    /// The task is over; it is opened again before anything runs.
    Closed,
    /// The same key was used with another input: one of the two is a mistake.
    InputChanged,
    /// It failed too often.
    Poisoned {
        /// How often.
        failures: u32,
        /// The last reason.
        reason: &'a str,
    },
    /// It is done: this is its output, and nothing runs.
    Reuse(&'a Output),
    /// Run it.
    Run {
        /// How often it will have been started, with this time.
        attempt: u32,
        /// Not before this.
        not_before: Timestamp,
    },
    /// It runs at this moment, in this very runner.
    Running,
}

/// What is to be done with a step, from all that the journal says. There is one runner at a time: a step
/// that began and that the runner which asks is not running has lost whoever ran it.
pub fn next<'a>(task: &'a TaskView, wish: Wish<'_>) -> Next<'a> {
    if task.closed_at.is_some() {
        return Next::Closed;
    }
    let step = match task.step(wish.key) {
        Some(step) => step,
        // About to be written down.
        None if wish.running => return Next::Running,
        None => return Next::Run { attempt: 1, not_before: Timestamp::default() },
    };
    if let (Some(then), Some(now)) = (step.input, wish.input)
        && then != now
        && !step.is_undone()
    {
        return Next::InputChanged;
    }
    let run = |not_before| Next::Run { attempt: step.starts.saturating_add(1), not_before };
    match &step.state {
        StepState::Done { output, .. } => Next::Reuse(output),
        StepState::Failed { .. } | StepState::Rerun | StepState::Started { .. } if wish.running => Next::Running,
        StepState::Failed { reason, .. } if step.is_poisoned() => Next::Poisoned { failures: step.failures, reason },
        StepState::Failed { at, .. } => run(at.plus(back_off(step.failures))),
        StepState::Rerun => run(Timestamp::default()),
        StepState::Started { at, effect, .. } => match (effect, wish.effect) {
            (Effect::Idempotent, Effect::Idempotent) => run(Timestamp::default()),
            // What was begun as something to be done once stays that, whatever is said of it now.
            (Effect::Once, _) | (_, Effect::Once) => Next::Ambiguous { since: *at },
        },
    }
}

/// The pause after so many failures in a row.
pub fn back_off(failures: u32) -> Duration {
    let doubled = BACK_OFF_FIRST.saturating_mul(1 << failures.saturating_sub(1).min(16));
    doubled.min(BACK_OFF_LAST)
}

/// Whether a step is to be left alone still. A moment that is further off than the longest pause was written by
/// another clock than ours: nobody waits for it.
pub fn is_paused(not_before: Timestamp, now: Timestamp) -> bool {
    not_before > now && now.until(not_before) <= BACK_OFF_LAST
}

impl StepView {
    /// Whether it began and has no outcome, and may not simply be run again: a person has to decide,
    /// unless a runner is still at it.
    pub fn is_open(&self) -> bool {
        match &self.state {
            StepState::Started { effect, .. } => *effect == Effect::Once,
            StepState::Done { .. } | StepState::Failed { .. } | StepState::Rerun => false,
        }
    }

    /// Whether nothing of it is done, so that it may as well be given something else: what it was given
    /// may have been the mistake.
    pub fn is_undone(&self) -> bool {
        match &self.state {
            StepState::Failed { .. } | StepState::Rerun => true,
            StepState::Done { .. } | StepState::Started { .. } => false,
        }
    }

    /// Whether it failed too often to be tried again before a person says so.
    pub fn is_poisoned(&self) -> bool {
        match &self.state {
            StepState::Failed { .. } => self.failures >= ATTEMPTS_MAX,
            StepState::Done { .. } | StepState::Rerun | StepState::Started { .. } => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::entry::{Decision, Entry, Event, Place};
    use super::*;
    use crate::error::Code;

    fn key(text: &str) -> StepKey {
        StepKey::parse(text).unwrap()
    }

    fn output() -> Output {
        Output { exit: Some(0), length: 2, place: Place::Here(b"ok".to_vec()) }
    }

    fn opened() -> Event {
        Event::Opened { runner: "test".to_owned() }
    }

    fn started(effect: Effect) -> Event {
        Event::Started { key: key("page-1"), effect, input: None }
    }

    fn failed() -> Event {
        Event::Failed { key: key("page-1"), reason: "the page is not there yet".to_owned(), counts: true }
    }

    fn done() -> Event {
        Event::Done { key: key("page-1"), output: output(), took: Duration::from_secs(1) }
    }

    fn folded(events: impl IntoIterator<Item = Event>) -> TaskView {
        TaskView::fold(
            events.into_iter().zip(1..).map(|(event, second)| Entry { at: Timestamp::from_secs(second), event }),
        )
    }

    fn asked(events: impl IntoIterator<Item = Event>, effect: Effect) -> String {
        let key = key("page-1");
        format!("{:?}", next(&folded(events), Wish { key: &key, effect, input: None, running: false }))
    }

    const RUN_FIRST: &str = "Run { attempt: 1, not_before: Timestamp(0) }";
    const RUN_AGAIN: &str = "Run { attempt: 2, not_before: Timestamp(0) }";

    #[test]
    fn a_step_that_nobody_began_runs_and_one_that_is_done_never_again() {
        assert_eq!(asked([opened()], Effect::Once), RUN_FIRST);
        let told = asked([opened(), started(Effect::Once), done(), opened()], Effect::Once);
        assert!(told.starts_with("Reuse"), "{told}");
    }

    #[test]
    fn a_step_without_an_outcome_is_never_silently_run_again() {
        let begun = |effect| [opened(), started(effect), opened()];
        assert_eq!(asked(begun(Effect::Once), Effect::Once), "Ambiguous { since: Timestamp(2000) }");
        assert_eq!(asked(begun(Effect::Once), Effect::Idempotent), "Ambiguous { since: Timestamp(2000) }");
        assert_eq!(asked(begun(Effect::Idempotent), Effect::Once), "Ambiguous { since: Timestamp(2000) }");
        assert_eq!(asked(begun(Effect::Idempotent), Effect::Idempotent), RUN_AGAIN);
        let key = key("page-1");
        let wish = |running| Wish { key: &key, effect: Effect::Once, input: None, running };
        let lost = folded([opened(), started(Effect::Once)]);
        assert_eq!(next(&lost, wish(true)), Next::Running);
        assert_eq!(next(&folded([opened()]), wish(true)), Next::Running, "not written down yet");
        assert!(
            matches!(next(&lost, wish(false)), Next::Ambiguous { .. }),
            "whoever ran it gave up, in this very runner"
        );
    }

    #[test]
    fn a_person_decides_what_is_ambiguous() {
        let resolved = |decision| {
            let resolved = Event::Resolved { key: key("page-1"), decision };
            asked([opened(), started(Effect::Once), opened(), resolved], Effect::Once)
        };
        assert_eq!(resolved(Decision::Rerun), RUN_AGAIN);
        assert!(resolved(Decision::Done(output())).starts_with("Reuse"));
    }

    #[test]
    fn f79_a_step_that_fails_five_times_waits_for_a_person() {
        let failing = |times: usize| {
            std::iter::once(opened()).chain(std::iter::repeat_n([started(Effect::Once), failed()], times).flatten())
        };
        // Each failure is followed by a longer pause.
        assert_eq!(asked(failing(1), Effect::Once), "Run { attempt: 2, not_before: Timestamp(4000) }");
        assert_eq!(asked(failing(4), Effect::Once), "Run { attempt: 5, not_before: Timestamp(17000) }");
        let poisoned = asked(failing(5), Effect::Once);
        assert!(poisoned.starts_with("Poisoned { failures: 5"), "{poisoned}");
        let rerun = Event::Resolved { key: key("page-1"), decision: Decision::Rerun };
        assert_eq!(asked(failing(5).chain([rerun]), Effect::Once), "Run { attempt: 6, not_before: Timestamp(0) }");
        assert_eq!(back_off(u32::MAX), BACK_OFF_LAST);
    }

    #[test]
    fn a_step_of_which_nothing_is_done_may_be_given_something_else() {
        let input = |byte| Some(Digest([byte; 32]));
        let started = |byte| Event::Started { key: key("page-1"), effect: Effect::Once, input: input(byte) };
        let asked = |events: Vec<Event>, byte| {
            let (view, key) = (folded(events), key("page-1"));
            format!("{:?}", next(&view, Wish { key: &key, effect: Effect::Once, input: input(byte), running: false }))
        };
        let rerun = Event::Resolved { key: key("page-1"), decision: Decision::Rerun };
        assert!(asked(vec![opened(), started(1), failed()], 2).starts_with("Run"));
        assert_eq!(asked(vec![opened(), started(1), rerun], 2), RUN_AGAIN);
        assert_eq!(asked(vec![opened(), started(1)], 2), "InputChanged", "it may be done");
        let again = vec![opened(), started(1), failed(), started(2), done()];
        assert_eq!(asked(again.clone(), 1), "InputChanged", "what it was done with is what counts");
        assert!(asked(again, 2).starts_with("Reuse"));
    }

    #[test]
    fn the_same_key_with_another_input_is_refused_even_when_it_is_done() {
        let input = |byte| Some(Digest([byte; 32]));
        let started = Event::Started { key: key("page-1"), effect: Effect::Once, input: input(1) };
        let view = folded([opened(), started, done()]);
        let asked = |input| {
            let key = key("page-1");
            format!("{:?}", next(&view, Wish { key: &key, effect: Effect::Once, input, running: false }))
        };
        assert_eq!(asked(input(2)), "InputChanged");
        assert!(asked(input(1)).starts_with("Reuse"));
        assert!(asked(None).starts_with("Reuse"));
    }

    #[test]
    fn a_task_that_is_closed_runs_nothing_until_it_is_opened_again() {
        assert_eq!(asked([opened(), Event::Closed], Effect::Once), "Closed");
        assert_eq!(asked([opened(), Event::Closed, opened()], Effect::Once), RUN_FIRST);
    }

    #[test]
    fn f85_an_attempt_that_a_dead_credential_spoilt_does_not_count() {
        let spoilt = Event::Failed { key: key("page-1"), reason: "the token was refused".to_owned(), counts: false };
        let attempts = std::iter::repeat_n([started(Effect::Once), spoilt], 9).flatten();
        let told = asked(std::iter::once(opened()).chain(attempts), Effect::Once);
        assert!(told.starts_with("Run { attempt: 10"), "{told}");
    }

    #[test]
    fn a_task_is_parked_on_each_grant_until_that_grant_can_be_used() {
        let grant = |name| crate::GrantId::parse(name).unwrap();
        let parked = |name| Event::Parked { grant: grant(name), code: Code::NeedsUser };
        let on = |events: &[Event]| -> Vec<String> {
            let view = folded(std::iter::once(opened()).chain(events.iter().cloned()));
            view.parked.iter().map(|parked| format!("{}@{}", parked.grant, parked.since.as_secs())).collect()
        };
        assert_eq!(on(&[parked("crm"), parked("crm"), parked("erp")]), ["crm@2", "erp@4"]);
        assert_eq!(on(&[parked("crm"), parked("erp"), Event::Resumed { grant: grant("crm") }]), ["erp@3"]);
        // Another runner takes it up: the grant is as dead as before.
        assert_eq!(on(&[parked("crm"), opened()]), ["crm@2"]);
    }

    #[test]
    fn steps_are_told_in_the_order_they_began() {
        let view = folded(["c", "a", "b", "a"].map(|name| Event::Started {
            key: key(name),
            effect: Effect::Once,
            input: None,
        }));
        let order: Vec<&str> = view.steps().iter().map(|step| step.key.as_str()).collect();
        assert_eq!(order, ["c", "a", "b"]);
        assert_eq!(view.step(&key("a")).unwrap().starts, 2);
        assert!(view.step(&key("d")).is_none());
    }
}
