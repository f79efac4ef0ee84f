//! `outlast task show ID`.

use super::super::Done;
use super::timeline;
use super::{tasks, words as task_words};
use crate::ask::now;
use crate::context::Context;
use crate::exit::Fault;
use crate::step::{step_key, task_id};
use crate::{output, process, words};
use outlast::task::{Stand, StepState, StepView, Summary, TaskView, Tasks};
use outlast::{Code, Timestamp};
use serde_json::Value;
use std::time::Duration;

/// How often `--watch` looks.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// So many steps a person is shown: the newest. JSON has them all.
const STEPS_MAX: usize = 200;

/// What `task show` is told.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  outlast task show harvest
  outlast task show harvest --timeline
  outlast task show harvest --watch --json     one line whenever something changes
  outlast task show harvest page-17            what a step printed, as it was")]
pub(super) struct Arguments {
    /// The task
    #[arg(value_name = "ID")]
    task: String,
    /// Print what this step brought, and nothing else
    #[arg(value_name = "KEY", conflicts_with_all = ["json", "watch", "timeline"])]
    key: Option<String>,
    /// Print JSON
    #[arg(long)]
    pub(super) json: bool,
    /// The steps as bars over time
    #[arg(long, conflicts_with = "json")]
    timeline: bool,
    /// Look again every second
    #[arg(long)]
    watch: bool,
}

pub(super) async fn run(context: &Context, arguments: &Arguments) -> Done {
    let (tasks, task) = (tasks(context)?, task_id(&arguments.task)?);
    if let Some(key) = &arguments.key {
        let key = step_key(key)?;
        let recorded = tasks.output(&task, &key).await?.ok_or_else(|| {
            Fault::new(Code::RequestInvalid, format!("step {key} of task {task} is not done: it has no output"))
                .mend(format!("see how it stands with: outlast task show {task}"))
        })?;
        output::bytes(&recorded.bytes)?;
        return Ok(0);
    }
    if arguments.watch {
        return watch(&tasks, arguments).await;
    }
    let (summary, view) = tasks.show(&task).await?;
    if arguments.json {
        output::json(&as_json(&summary, &view))?;
    } else {
        output::data(&as_text(&summary, &view, arguments.timeline, now()))?;
    }
    Ok(0)
}

async fn watch(tasks: &Tasks, arguments: &Arguments) -> Done {
    let task = task_id(&arguments.task)?;
    let (mut told, mut stop) = (None, process::Stop::listen()?);
    loop {
        let (summary, view) = tasks.show(&task).await?;
        let found = as_json(&summary, &view);
        if told.as_ref() != Some(&found) || output::stdout_is_terminal() {
            if arguments.json {
                output::data(&output::json_line(&found))?;
            } else {
                if output::stdout_is_terminal() {
                    output::clear_screen()?;
                }
                output::data(&as_text(&summary, &view, arguments.timeline, now()))?;
            }
            told = Some(found);
        }
        tokio::select! {
            () = tokio::time::sleep(LOOK_EVERY) => {}
            _ = stop.asked() => return Ok(0),
        }
    }
}

/// The summary, with `steps_shown` beside its members: every step, in the order in which they were begun.
fn as_json(summary: &Summary, view: &TaskView) -> Value {
    let claimed = summary.stand == Stand::Running;
    let mut value = task_words::summary_as_json(summary);
    value["steps_shown"] = view.steps().iter().map(|step| task_words::step_as_json(step, view, claimed)).collect();
    value
}

fn as_text(summary: &Summary, view: &TaskView, as_timeline: bool, now: Timestamp) -> String {
    let mut text = head(summary, now);
    let steps = view.steps();
    let shown = &steps[steps.len().saturating_sub(STEPS_MAX)..];
    let claimed = summary.stand == Stand::Running;
    if shown.is_empty() {
        return text;
    }
    text.push_str("\n\n");
    if as_timeline {
        text.push_str(&timeline::bars(shown, view, claimed, now));
    } else {
        let head = ["step", "state", "took", "when", "started", "output", "why"];
        text.push_str(&output::table(&head, shown.iter().map(|step| row(step, view, claimed, now)).collect()));
    }
    if steps.len() > shown.len() {
        text.push_str(&format!("\nthe newest {} of {} steps; --json has them all", shown.len(), steps.len()));
    }
    text
}

/// How far it is, what it cost, and what keeps it.
fn head(summary: &Summary, now: Timestamp) -> String {
    let progress = &summary.progress;
    let at = |at: Option<Timestamp>| at.map_or_else(|| output::NOTHING.to_owned(), |at| words::seen_from(now, at));
    let spent = match (summary.opened_at, summary.changed_at) {
        (Some(opened), Some(changed)) => words::duration(changed.since(opened)),
        _ => output::NOTHING.to_owned(),
    };
    let runner = if summary.stand == Stand::Running { "run by" } else { "last run by" };
    let mut lines = vec![
        format!("task {}: {}", summary.id, output::coloured(summary.stand.as_str())),
        format!(
            "  progress   {} {} of {} steps begun are done{}",
            output::bar(progress.done, progress.steps, 20),
            progress.done,
            progress.steps,
            failed(progress.failed)
        ),
        format!(
            "  time       begun {}, last change {}, {spent} in between",
            at(summary.opened_at),
            at(summary.changed_at)
        ),
        format!(
            "  cost       {} of work is recorded; a restart from the beginning would cost it again",
            words::duration(progress.worked)
        ),
        format!("  runner     {runner} {}; {} so far", summary.runner, summary.runners),
    ];
    for block in &summary.blocks {
        let (what, mend) = task_words::block(&summary.id, block, now);
        lines.push(format!("  kept by    {what}\n             what to do: {mend}"));
    }
    lines.join("\n")
}

fn failed(failed: usize) -> String {
    if failed > 0 { format!(", {failed} failed") } else { String::new() }
}

fn row(step: &StepView, view: &TaskView, claimed: bool, now: Timestamp) -> Vec<String> {
    let nothing = || output::NOTHING.to_owned();
    let (at, took, bytes, why) = match &step.state {
        StepState::Done { output, at, took } => (Some(*at), Some(*took), Some(output.length), nothing()),
        StepState::Failed { at, reason } => (Some(*at), None, None, reason.clone()),
        StepState::Rerun => (None, None, None, nothing()),
        StepState::Started { at, .. } => (Some(*at), None, None, nothing()),
    };
    vec![
        step.key.to_string(),
        task_words::state(step, view, claimed).to_owned(),
        took.map_or_else(nothing, words::duration),
        at.map_or_else(nothing, |at| words::seen_from(now, at)),
        format!("{}x", step.starts),
        bytes.map_or_else(nothing, |bytes| format!("{bytes} bytes")),
        Fault::plain(&why),
    ]
}
