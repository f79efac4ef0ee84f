//! Shows how far a plan is: a bar on a terminal, lines elsewhere, or one JSON object for each event.

use crate::{ask, output, words};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use outlast::task::{Change, Progress, Reporter, TaskId};
use outlast::{Code, GrantId, Timestamp};
use serde_json::{Value, json};
use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::mpsc;

/// How it is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Style {
    Bar,
    Json,
    Lines,
}

impl Style {
    pub(crate) fn of(as_json: bool) -> Self {
        match (as_json, output::stderr_is_terminal()) {
            (true, _) => Self::Json,
            (false, true) => Self::Bar,
            (false, false) => Self::Lines,
        }
    }
}

/// Shows how far a plan is. Cheap to clone.
#[derive(Clone)]
pub(super) struct Report(Arc<Inner>);

struct Inner {
    style: Style,
    task: TaskId,
    bar: ProgressBar,
    state: Mutex<State>,
    /// Told of grants that need their owner.
    parked: mpsc::Sender<GrantId>,
}

#[derive(Default)]
struct State {
    running: HashSet<String>,
    failed: usize,
    parked: Vec<String>,
    slowed_until: Timestamp,
    all_known: bool,
}

impl Report {
    /// `parked` is told of grants that need their owner.
    pub(super) fn new(style: Style, task: TaskId, parked: mpsc::Sender<GrantId>) -> Self {
        let bar = match style {
            Style::Bar => ProgressBar::new(0),
            Style::Json | Style::Lines => ProgressBar::with_draw_target(None, ProgressDrawTarget::hidden()),
        };
        // A template that cannot be read is no reason not to show anything.
        if let Ok(look) = ProgressStyle::with_template("{prefix} [{bar:30}] {pos}/{len}  {elapsed}  {msg}") {
            bar.set_style(look.progress_chars("=> "));
        }
        bar.set_prefix(task.to_string());
        Self(Arc::new(Inner { style, task, bar, state: Mutex::default(), parked }))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What the task tells of itself.
    pub(super) fn reporter(&self) -> Reporter {
        let report = self.clone();
        Reporter::new(move |change: &Change, _: Progress| report.changed(change))
    }

    fn changed(&self, change: &Change) {
        match change {
            Change::Done { key, took } => {
                self.state().running.remove(key.as_str());
                let line = format!("done {key} ({})", words::duration(*took));
                let took_ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
                self.event(json!({ "event": "done", "step": key.as_str(), "took_ms": took_ms }), Some(line));
            }
            Change::Failed { key, reason } => {
                self.state().running.remove(key.as_str());
                let line = format!("failed {key}: {reason}");
                self.event(json!({ "event": "failed", "step": key.as_str(), "reason": reason }), Some(line));
            }
            Change::Parked { grant, code } => {
                self.state().parked.push(grant.to_string());
                // Where nobody listens any more, nobody waits.
                let _ = self.0.parked.try_send(grant.clone());
                let (grant, code) = (grant.as_str(), code.as_str());
                let mend = format!("outlast login {grant}");
                self.event(json!({ "event": "parked", "grant": grant, "code": code, "what_to_do": mend }), None);
            }
            Change::Resumed { grant } => {
                self.state().parked.retain(|parked| parked != grant.as_str());
                let line = format!("grant {grant} can be used again");
                self.event(json!({ "event": "resumed", "grant": grant.as_str() }), Some(line));
            }
            Change::Reused { key } => self.event(json!({ "event": "reused", "step": key.as_str() }), None),
            Change::Started { key, attempt } => {
                self.state().running.insert(key.as_str().to_owned());
                self.event(json!({ "event": "started", "step": key.as_str(), "attempt": attempt }), None);
            }
        }
    }

    /// An event for programs, and the line for people where there is no bar.
    fn event(&self, mut event: Value, line: Option<String>) {
        match (self.0.style, line) {
            (Style::Json, _) => {
                event["at"] = Value::String(words::rfc3339(ask::now()));
                event["task"] = Value::String(self.0.task.to_string());
                // A reader that has gone away is no reason to stop.
                let _ = output::data(&output::json_line(&event));
            }
            (Style::Lines, Some(line)) => output::talk(&line),
            (Style::Bar | Style::Lines, _) => {}
        }
        self.draw();
    }

    fn draw(&self) {
        if self.0.style != Style::Bar {
            return;
        }
        let state = self.state();
        let mut remarks = Vec::new();
        if let [grant, ..] = state.parked.as_slice() {
            remarks.push(format!("waits for: outlast login {grant}"));
        } else if state.slowed_until > ask::now() {
            remarks.push(format!(
                "the server is left alone, going on {}",
                words::seen_from(ask::now(), state.slowed_until)
            ));
        } else if !state.running.is_empty() {
            remarks.push(format!("{} running", state.running.len()));
        }
        if state.failed > 0 {
            remarks.push(format!("{} failed", state.failed));
        }
        if !state.all_known {
            remarks.push("more to come".to_owned());
        }
        self.0.bar.set_message(remarks.join(", "));
    }

    /// How many steps there are, as far as that is known.
    pub(super) fn known(&self, known: usize, all: bool) {
        self.state().all_known = all;
        self.0.bar.set_length(known as u64);
        self.draw();
    }

    pub(super) fn position(&self, done: usize) {
        self.0.bar.set_position(done as u64);
    }

    /// A server wants a pause, or is away.
    pub(super) fn slowed(&self, key: &str, reason: &str, now: Timestamp, until: Timestamp) {
        let longer = {
            let mut state = self.state();
            let longer = until > state.slowed_until;
            state.slowed_until = until.max(state.slowed_until);
            longer
        };
        let line = format!("{key}: {reason}; going on with that server {}", words::seen_from(now, until));
        let event = json!({ "event": "slowed", "step": key, "text": reason, "until": words::rfc3339(until) });
        self.event(event, longer.then_some(line));
    }

    /// A step will not be done in this run.
    pub(super) fn given_up(&self, key: &str, fault: &crate::exit::Fault) {
        self.state().failed += 1;
        let event = json!({
            "event": "given-up", "step": key, "code": fault.code.as_str(), "text": fault.text,
            "what_to_do": fault.what_to_do(),
        });
        self.event(event, None);
        // That it failed was said a moment ago, where lines are said at all.
        let was_said = matches!(fault.code, Code::StepFailed | Code::StepFailing);
        if self.0.style != Style::Lines || !was_said {
            self.say_unless_json(&format!("step {key} is not done: {}", fault.text));
        }
    }

    pub(super) fn blocked(&self, key: &str, on: &str) {
        let line = format!("step {key} was not begun: it needs {on}");
        self.event(json!({ "event": "blocked", "step": key, "on": on }), None);
        self.say_unless_json(&line);
    }

    pub(super) fn ended(&self, known: usize, done: usize, reused: usize, is_done: bool) {
        let event = json!({ "event": "ended", "steps": known, "done": done, "reused": reused, "complete": is_done });
        self.event(event, None);
        self.0.bar.finish_and_clear();
    }

    /// What a command said on standard error.
    pub(super) fn said(&self, key: &str, line: &str) {
        let still: String = line.chars().map(|c| if c == '\t' || !c.is_control() { c } else { '\u{fffd}' }).collect();
        self.say(&format!("{key} | {still}"));
    }

    fn say_unless_json(&self, line: &str) {
        if self.0.style != Style::Json {
            self.say(line);
        }
    }

    /// A line of talk, above the bar where there is one.
    pub(super) fn say(&self, line: &str) {
        self.0.bar.suspend(|| output::talk(line));
    }
}
