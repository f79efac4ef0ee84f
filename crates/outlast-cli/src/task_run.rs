//! Runs a task plan: asks the schedule which step may run, runs it, and writes down how it ended.

mod command;
mod ending;
mod pace;
mod report;
mod request;
mod shared;
mod unit;

pub(crate) use ending::Ending;
pub(crate) use report::Style;

use crate::context::Context;
use crate::exit::Fault;
use crate::{notice, process};
use outlast::task::{JournalError, Task, TaskError, TaskSettings};
use outlast::task_plan::{Schedule, Unit};
use outlast::{Code, GrantId, Keeper};
use outlast_daemon::task_plan::PlanFile;
use report::Report;
use rustix::process::Signal;
use shared::Shared;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use unit::End;

/// How long steps that run may take to end once a service manager wants us to stop (F77).
const END_TIME_MAX: Duration = Duration::from_secs(25);

/// So many grants that need their owner are told of at once.
const PARKED_MAX: usize = 64;

/// How a plan is to be run.
pub(crate) struct Wish {
    pub(crate) file: PlanFile,
    /// As it was typed, for the words that say how to go on.
    pub(crate) again: String,
    pub(crate) concurrency: usize,
    pub(crate) hold: Option<Duration>,
    pub(crate) style: Style,
}

/// Runs all of a plan that is not done.
pub(crate) async fn run(context: &Context, keeper: &Keeper, wish: Wish) -> Result<Ending, Fault> {
    // Before anything is renewed: a signal that ended the process now could end it half-way.
    let signals = process::Stop::listen()?;
    let plan = Arc::clone(wish.file.plan());
    let (tell, parked) = mpsc::channel(PARKED_MAX);
    let report = Report::new(wish.style, plan.id().clone(), tell);
    let settings = TaskSettings {
        runner: format!("outlast task run, process {}", std::process::id()),
        hold: wish.hold,
        reporter: Some(report.reporter()),
        ..TaskSettings::default()
    };
    let task = Task::open_with(keeper, plan.id(), settings).await?;
    let shared = Shared::new(context, keeper, task.clone(), &wish.file, wish.hold, report).await?;
    let ending = Run {
        schedule: Schedule::new(plan),
        shared: Arc::new(shared),
        running: JoinSet::new(),
        concurrency: wish.concurrency,
        ending: Ending::new(wish.again),
        stopped_by: None,
    }
    .end(signals, parked, &Told { context, keeper, file: &wish.file })
    .await;
    if ending.is_done() {
        task.close().await?;
    }
    Ok(ending)
}

/// What words are made of.
struct Told<'a> {
    context: &'a Context,
    keeper: &'a Keeper,
    file: &'a PlanFile,
}

impl Told<'_> {
    /// Tells that a grant needs its owner, once.
    async fn tell_if_parked(&self, shared: &Shared, grant: &GrantId) {
        if let Ok(handle) = self.keeper.grant(grant) {
            notice::tell_if_parked(self.context, &self.keeper.tasks(), &handle, shared.plan.id()).await;
        }
    }
}

struct Run {
    schedule: Schedule,
    shared: Arc<Shared>,
    running: JoinSet<(Unit, End)>,
    concurrency: usize,
    ending: Ending,
    stopped_by: Option<Signal>,
}

impl Run {
    /// Runs until nothing more can be run.
    async fn end(
        mut self,
        mut signals: process::Stop,
        mut parked: mpsc::Receiver<GrantId>,
        about: &Told<'_>,
    ) -> Ending {
        let file = about.file;
        let mut faults_told = 0;
        loop {
            self.begin_what_is_ready(file);
            for (key, fault) in &self.schedule.faults()[faults_told..] {
                self.ending.failed(&self.shared.report, key, file.fault(fault).into());
            }
            faults_told = self.schedule.faults().len();
            self.shared.report.known(self.schedule.known(), self.schedule.knows_all());
            if self.running.is_empty() {
                break;
            }
            tokio::select! {
                Some(joined) = self.running.join_next() => match joined {
                    Ok((unit, end)) => self.ended(&unit, end),
                    // Aborted by a second signal; a panic was told by its place.
                    Err(cause) if cause.is_cancelled() => {}
                    Err(_) => self.ending.stop(Fault::new(Code::Internal, "a step ended by a bug of Outlast")),
                },
                signal = signals.asked() => self.asked_to_stop(signal),
                Some(grant) = parked.recv() => about.tell_if_parked(&self.shared, &grant).await,
                () = self.shared.stop.too_late() => self.running.abort_all(),
            }
        }
        self.finish().await
    }

    fn begin_what_is_ready(&mut self, file: &PlanFile) {
        while self.stopped_by.is_none() && !self.ending.is_stopped() && self.running.len() < self.concurrency {
            let Some(unit) = self.schedule.next_unit() else { return };
            match self.schedule.prepare(&unit) {
                Ok(prepared) => {
                    let shared = Arc::clone(&self.shared);
                    self.running.spawn(async move {
                        let end = unit::run(&shared, &unit, prepared).await;
                        (unit, end)
                    });
                }
                Err(fault) => {
                    self.ending.failed(&self.shared.report, unit.key.as_str(), file.fault(&fault).into());
                    self.schedule.failed(&unit);
                }
            }
        }
    }

    fn ended(&mut self, unit: &Unit, end: End) {
        match end {
            End::Done { output, reused } => {
                self.ending.done(reused);
                self.shared.report.position(self.ending.count_done());
                self.schedule.done(unit, &output);
            }
            End::Failed(error) => {
                let stops = stops_everything(&error);
                let fault = self.shared.fault(unit, error);
                self.ending.failed(&self.shared.report, unit.key.as_str(), fault);
                if stops {
                    self.ending.is_to_stop();
                    self.shared.stop.now();
                }
                self.schedule.failed(unit);
            }
            End::Stopped => {}
        }
    }

    fn asked_to_stop(&mut self, signal: Signal) {
        let running = self.running.len();
        if self.stopped_by.replace(signal).is_some() {
            self.running.abort_all();
            return;
        }
        self.shared.stop.now();
        // A service manager does not ask twice, it kills.
        if signal != Signal::INT {
            self.shared.stop.at_latest_in(END_TIME_MAX);
        }
        if running > 0 {
            self.shared.report.say(&format!(
                "stopping: {running} steps under way are let come to their end; ask again to end them at once"
            ));
        }
    }

    async fn finish(mut self) -> Ending {
        for blocked in self.schedule.blocked() {
            self.ending.blocked(&self.shared.report, blocked.key, blocked.on);
        }
        let is_done = self.schedule.is_done();
        self.ending.ended(&self.shared.report, self.schedule.known(), is_done, self.stopped_by);
        // Whatever still holds it ends with the runtime.
        if let Ok(shared) = Arc::try_unwrap(self.shared) {
            shared.end().await;
        }
        self.ending
    }
}

/// Whether nothing can be run any more: the journal cannot be written, or is not ours any more.
fn stops_everything(error: &TaskError) -> bool {
    match error {
        TaskError::Journal(JournalError::OutputTooLarge { .. }) => false,
        TaskError::Journal(_) | TaskError::Closed { .. } => true,
        _ => false,
    }
}
