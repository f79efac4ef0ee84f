//! The steps of a task as bars over time.

use super::words as task_words;
use crate::{output, words};
use outlast::Timestamp;
use outlast::task::{StepState, StepView, TaskView};

/// Columns of the bars, and of the names before them.
const BARS_WIDTH: usize = 60;
const NAMES_WIDTH_MAX: usize = 30;

/// From when to when a step ran, the last time it did.
fn span(step: &StepView, now: Timestamp) -> Option<(Timestamp, Timestamp)> {
    match &step.state {
        StepState::Done { at, took, .. } => Some((at.minus(*took), *at)),
        StepState::Failed { at, .. } => Some((*at, *at)),
        StepState::Rerun => None,
        StepState::Started { at, .. } => Some((*at, now.max(*at))),
    }
}

/// One line for each step: `█` done, `░` running or in doubt, `×` failed.
pub(super) fn bars(steps: &[StepView], view: &TaskView, claimed: bool, now: Timestamp) -> String {
    // What nobody runs any more does not stretch the axis to this moment.
    let now = if claimed { now } else { view.changed_at.unwrap_or(now) };
    let spans: Vec<_> = steps.iter().map(|step| span(step, now)).collect();
    let begin = spans.iter().flatten().map(|(from, _)| *from).min().unwrap_or(now);
    let end = spans.iter().flatten().map(|(_, to)| *to).max().unwrap_or(now);
    let whole = end.since(begin).as_millis().max(1);
    let column = |at: Timestamp| {
        let column = at.since(begin).as_millis() * (BARS_WIDTH as u128 - 1) / whole;
        usize::try_from(column).unwrap_or(BARS_WIDTH - 1).min(BARS_WIDTH - 1)
    };
    let width = steps.iter().map(|step| step.key.as_str().chars().count()).max().unwrap_or(0).min(NAMES_WIDTH_MAX);
    let mut lines = Vec::new();
    for (step, span) in steps.iter().zip(spans) {
        let state = task_words::state(step, view, claimed);
        let bar = span.map_or_else(String::new, |(from, to)| {
            let (from, to) = (column(from), column(to));
            format!("{}{}", " ".repeat(from), mark(state).to_string().repeat(to - from + 1))
        });
        let took = match &step.state {
            StepState::Done { took, .. } => words::duration(*took),
            StepState::Failed { .. } | StepState::Rerun | StepState::Started { .. } => state.to_owned(),
        };
        let name: String = step.key.as_str().chars().take(NAMES_WIDTH_MAX).collect();
        let pad = " ".repeat(BARS_WIDTH - bar.chars().count());
        lines.push(format!("{name:width$} |{}{pad}| {took}", output::coloured_as(state, &bar)));
    }
    let axis = words::duration(end.since(begin));
    lines.push(format!("{:width$}  0{axis:>1$}", "", BARS_WIDTH - 1));
    lines.join("\n")
}

fn mark(state: &str) -> char {
    match state {
        "done" => '█',
        "failed" | "poisoned" => '×',
        _ => '░',
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use outlast::task::{StepKey, TaskId};
    use std::time::Duration;

    #[test]
    fn every_bar_ends_within_the_frame() {
        let _ = TaskId::parse("t");
        let step = |key: &str, state| StepView {
            key: StepKey::parse(key).unwrap(),
            starts: 1,
            failures: 0,
            input: None,
            state,
        };
        let at = Timestamp::from_secs;
        let output = outlast::task::Output { exit: Some(0), length: 0, place: outlast::task::Place::Here(Vec::new()) };
        let done = |from: u64, to: u64| StepState::Done {
            output: output.clone(),
            at: at(to),
            took: Duration::from_secs(to - from),
        };
        let steps = [
            step("a", done(100, 160)),
            step("a-long-name", done(160, 220)),
            step("failed", StepState::Failed { at: at(220), reason: "no".to_owned() }),
            step("again", StepState::Rerun),
        ];
        let text = bars(&steps, &TaskView::default(), false, at(400));
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 5, "{text}");
        for line in &lines[..4] {
            let frame = line.chars().position(|c| c == '|').unwrap();
            assert_eq!(line.chars().filter(|c| *c == '|').count(), 2, "{text}");
            assert_eq!(line.chars().skip(frame + 1).position(|c| c == '|'), Some(BARS_WIDTH), "{text}");
        }
        assert_eq!(lines[0].matches('█').count(), 30, "half of the time is half of the bar: {text}");
        assert!(lines[4].ends_with("2m 00s"), "{text}");
    }
}
