//! Shows how far the stories are while they run: bars on a terminal, lines elsewhere; and what befalls
//! them, a line each.

use super::agent::STEPS;
use super::report::Tally;
use crate::output;
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::sync::mpsc;

/// How often bars are drawn.
const DRAW_EVERY: Duration = Duration::from_millis(200);
/// After how many drawings a line is written where there is no terminal.
const LINE_EVERY: u64 = 15;

/// Most events that wait to be shown.
const EVENTS_MAX: usize = 64;

/// Where a story tells what befalls it.
#[derive(Clone)]
pub(crate) struct Events(mpsc::Sender<String>);

impl Events {
    /// A new place for events, and where they come out.
    pub(crate) fn open() -> (Self, mpsc::Receiver<String>) {
        let (sender, receiver) = mpsc::channel(EVENTS_MAX);
        (Self(sender), receiver)
    }

    /// Tells one. It is for a person to see: nothing waits for it.
    pub(crate) fn tell(&self, story: &str, what: &str) {
        let _shown_or_not = self.0.try_send(format!("{story}: {what}"));
    }
}

/// One story as it is watched.
pub(crate) struct Watched {
    pub(crate) name: &'static str,
    pub(crate) tally: Arc<Tally>,
}

/// Shows progress until dropped by whoever runs the stories; never ends by itself.
pub(crate) async fn show(stories: Vec<Watched>, events: mpsc::Receiver<String>) {
    if output::stderr_is_terminal() { bars(stories, events).await } else { lines(stories, events).await }
}

async fn bars(stories: Vec<Watched>, mut events: mpsc::Receiver<String>) {
    let all = MultiProgress::new();
    let template = "  {prefix:<20} [{bar:30}] {pos:>2}/{len} steps  {msg}";
    // A template that cannot be read is no reason not to show anything.
    let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
    let bars: Vec<(Watched, ProgressBar)> = stories
        .into_iter()
        .map(|story| {
            let bar = all.add(ProgressBar::new(STEPS as u64).with_style(style.clone()).with_prefix(story.name));
            (story, bar)
        })
        .collect();
    loop {
        while let Ok(event) = events.try_recv() {
            // A terminal that cannot be written to shows no bars either.
            drop(all.println(event));
        }
        for (story, bar) in &bars {
            bar.set_position(story.tally.done() as u64);
            bar.set_message(remarks(&story.tally));
        }
        tokio::time::sleep(DRAW_EVERY).await;
    }
}

async fn lines(stories: Vec<Watched>, mut events: mpsc::Receiver<String>) {
    let mut drawings = 0_u64;
    loop {
        tokio::time::sleep(DRAW_EVERY).await;
        while let Ok(event) = events.try_recv() {
            output::talk(&event);
        }
        drawings += 1;
        if drawings.is_multiple_of(LINE_EVERY) {
            let states: Vec<String> = stories
                .iter()
                .map(|story| format!("{} {}/{STEPS}{}", story.name, story.tally.done(), remarks(&story.tally)))
                .collect();
            output::talk(&format!("{:>3}s  {}", drawings * 200 / 1000, states.join("   ")));
        }
    }
}

fn remarks(tally: &Tally) -> String {
    let (failed, refused) = (tally.failed.load(Ordering::Relaxed), tally.unauthorized.load(Ordering::Relaxed));
    match (failed, refused) {
        (0, 0) => String::new(),
        (failed, refused) => format!(" ({failed} failed, {refused} x 401)"),
    }
}
