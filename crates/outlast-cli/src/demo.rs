//! The demo: one task told three ways, each against a strict server of its own, side by side.

pub(crate) mod agent;
pub(crate) mod life;
mod progress;
pub(crate) mod report;
pub(crate) mod story;
pub(crate) mod table;
mod trouble;

use crate::exit::Fault;
use crate::process;
use std::time::Duration;
use story::Story;
use table::Run;

/// Said before it starts.
pub(crate) const INTRODUCTION: &str = "\
A task of 24 steps, four workers, and access tokens that live 3 seconds. The authorization server
rotates refresh tokens and revokes everything when one is used twice. Three runs, side by side:
  fixed-token         the workers keep the token they were started with
  refresh-per-worker  each worker refreshes by itself when it meets a 401
  outlast             the workers of fixed-token, through the sidecar, each paid call recorded in a task
A second after 18 steps are done, or at 10 seconds where it never comes so far, the agent of each run,
a process of its own, is killed in the middle of its steps (SIGKILL) and started again; one that has
given up before is started again then. The first two begin at step 0 with a fresh grant, for they keep
no record; the third asks for its task at the sidecar and goes on there. Only the third has to
cope with an outage of the token endpoint, with access tokens that are revoked, and with the whole grant
revoked, until the demo signs in again with a device code, as a person would.
";

/// Longest run of a story: past this something is wrong, and the figures are those so far.
const STORY_TIME_MAX: Duration = Duration::from_secs(60);

/// Runs all three stories at once; each has its own server, so none can disturb another.
pub(crate) async fn run() -> Result<Vec<Run>, Fault> {
    let mut stop = process::Stop::listen()?;
    let stories = [Story::fixed_token().await?, Story::refresh_per_worker().await?, Story::outlast().await?];
    let watched = stories.iter().map(Story::watched).collect();
    let (events, told) = progress::Events::open();
    let showing = tokio::spawn(progress::show(watched, told));
    let [fixed_token, refresh_per_worker, outlast] = stories;
    let told = async {
        tokio::try_join!(
            fixed_token.tell(STORY_TIME_MAX, &events),
            refresh_per_worker.tell(STORY_TIME_MAX, &events),
            outlast.tell(STORY_TIME_MAX, &events)
        )
    };
    let runs = tokio::select! {
        told = told => told.map(|(first, second, third)| vec![first, second, third]),
        // The stories are dropped here, and their folder with them.
        signal = stop.asked() => Err(Fault::interrupted(signal)),
    };
    showing.abort();
    runs
}
