//! Whether a program that ended before its task was done is started again, and when.

use crate::child::{Ended, Outcome};
use crate::context::Context;
use crate::exit::Fault;
use crate::{ask, notice, output, process, words};
use outlast::task::TaskId;
use outlast::{GrantHandle, GrantId, Keeper, Standing};
use std::time::Duration;

/// So often a program is started again that comes no further: no step more is done than before.
const STARTS_MAX: u32 = 5;
/// First and longest pause after a crash.
const PAUSE_FIRST: Duration = Duration::from_secs(1);
const PAUSE_LAST: Duration = Duration::from_secs(60);
/// How often the records are looked at for a login in another process.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Codes that say that a start from the beginning would end the same way: a wrong call, a decision or a mend
/// that only a person can make, a program that is not there.
const HOPELESS: [u8; 6] = [2, 65, 77, 78, 126, 127];

/// When a program is started again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Restart {
    /// Never
    Never,
    /// After somebody has signed in, if it ended for want of that
    OnAuth,
    /// That, and after a pause if it failed or was killed
    OnCrash,
}

/// What comes after a program has ended.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Next {
    AfterLogin,
    AfterPause(Duration),
    End,
}

/// Judges it. `parked` if a grant of the program needs its owner, `in_vain` how often it was started without
/// getting any further.
fn next(restart: Restart, outcome: &Outcome, parked: bool, in_vain: u32) -> Next {
    let told_to_stop = outcome.passed_on.is_some();
    if restart == Restart::Never || told_to_stop || outcome.ended.code() == 0 || in_vain >= STARTS_MAX {
        return Next::End;
    }
    let hopeless = match outcome.ended {
        Ended::Exited(code) => HOPELESS.contains(&code),
        Ended::NotStarted(_) => true,
        Ended::Signalled(_) => false,
    };
    let startable = !matches!(outcome.ended, Ended::NotStarted(_));
    match (parked, restart) {
        (true, Restart::OnAuth | Restart::OnCrash) if startable => Next::AfterLogin,
        (false, Restart::OnCrash) if !hopeless => {
            let pause = PAUSE_FIRST.saturating_mul(1 << in_vain.min(16)).min(PAUSE_LAST);
            Next::AfterPause(pause)
        }
        (true | false, Restart::Never | Restart::OnAuth | Restart::OnCrash) => Next::End,
    }
}

/// The starts of one program.
pub(crate) struct Starts<'a> {
    pub(crate) context: &'a Context,
    pub(crate) keeper: &'a Keeper,
    pub(crate) task: &'a TaskId,
    pub(crate) grants: &'a [GrantId],
    pub(crate) restart: Restart,
    done: usize,
    in_vain: u32,
}

impl<'a> Starts<'a> {
    /// Of a program that works on a task.
    pub(crate) fn new(
        context: &'a Context,
        keeper: &'a Keeper,
        task: &'a TaskId,
        grants: &'a [GrantId],
        restart: Restart,
    ) -> Self {
        Self { context, keeper, task, grants, restart, done: 0, in_vain: 0 }
    }

    /// Waits for what a new start needs; false if there is to be none.
    pub(crate) async fn again(&mut self, outcome: &Outcome, signals: &mut process::Stop) -> Result<bool, Fault> {
        self.count().await;
        let parked = self.parked().await;
        let (task, code) = (self.task, outcome.ended.code());
        match next(self.restart, outcome, !parked.is_empty(), self.in_vain) {
            Next::End => {
                if self.in_vain >= STARTS_MAX && code != 0 && self.restart != Restart::Never {
                    output::talk(&format!(
                        "task {task}: started {STARTS_MAX} times without a step more being done; not started again"
                    ));
                }
                return Ok(false);
            }
            Next::AfterLogin => self.login(&parked, signals).await?,
            Next::AfterPause(pause) => {
                let pause_in_words = words::duration(pause);
                output::talk(&format!("task {task}: the program ended with {code}; started again in {pause_in_words}"));
                tokio::select! {
                    () = tokio::time::sleep(pause) => {}
                    signal = signals.asked() => return Err(Fault::interrupted(signal)),
                }
            }
        }
        self.in_vain += 1;
        Ok(true)
    }

    /// Counts anew once a step more is done.
    async fn count(&mut self) {
        let Ok((summary, _)) = self.keeper.tasks().show(self.task).await else { return };
        if summary.progress.done > self.done {
            self.done = summary.progress.done;
            self.in_vain = 0;
        }
    }

    /// The program's grants that need their owner, as the store says now.
    async fn parked(&self) -> Vec<GrantHandle> {
        let mut parked = Vec::new();
        for handle in self.grants.iter().filter_map(|grant| self.keeper.grant(grant).ok()) {
            if needs_its_owner(&handle).await {
                parked.push(handle);
            }
        }
        parked
    }

    async fn login(&self, parked: &[GrantHandle], signals: &mut process::Stop) -> Result<(), Fault> {
        let began = ask::now();
        for handle in parked {
            notice::tell_if_parked(self.context, &self.keeper.tasks(), handle, self.task).await;
            while needs_its_owner(handle).await {
                tokio::select! {
                    () = handle.changed(LOOK_EVERY) => {}
                    signal = signals.asked() => return Err(Fault::interrupted(signal)),
                }
            }
        }
        let waited = words::duration(ask::now().since(began));
        output::talk(&format!("task {}: somebody signed in after {waited}; the program is started again", self.task));
        Ok(())
    }
}

async fn needs_its_owner(handle: &GrantHandle) -> bool {
    let record = handle.record().await;
    record.is_ok_and(|record| matches!(record.standing, Standing::Parked { .. } | Standing::Revoking { .. }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::child::Written;

    fn judged(restart: Restart, ended: Ended, parked: bool, in_vain: u32) -> Next {
        next(restart, &Outcome { ended, written: Written::default(), passed_on: None }, parked, in_vain)
    }

    #[test]
    fn a_program_is_started_again_for_a_reason_only() {
        use Restart::{Never, OnAuth, OnCrash};
        let (failed, killed) = (Ended::Exited(1), Ended::Signalled(137));
        let pause = |secs| Next::AfterPause(Duration::from_secs(secs));
        let table = [
            (OnAuth, Ended::Exited(0), true, 0, Next::End),
            (OnAuth, failed, false, 0, Next::End),
            (OnAuth, failed, true, 0, Next::AfterLogin),
            (OnAuth, Ended::Exited(77), true, 4, Next::AfterLogin),
            (OnAuth, killed, true, 0, Next::AfterLogin),
            (OnAuth, Ended::NotStarted(127), true, 0, Next::End),
            (OnAuth, failed, true, STARTS_MAX, Next::End),
            (OnCrash, failed, true, 0, Next::AfterLogin),
            (OnCrash, failed, false, 0, pause(1)),
            (OnCrash, killed, false, 3, pause(8)),
            (OnCrash, killed, false, STARTS_MAX, Next::End),
            (OnCrash, Ended::Exited(65), false, 0, Next::End),
            (OnCrash, Ended::NotStarted(126), false, 0, Next::End),
            (Never, failed, true, 0, Next::End),
            (Never, killed, false, 0, Next::End),
        ];
        for (restart, ended, parked, in_vain, expected) in table {
            assert_eq!(judged(restart, ended, parked, in_vain), expected, "{restart:?} {ended:?} {parked} {in_vain}");
        }
        let stopped =
            Outcome { ended: killed, written: Written::default(), passed_on: Some(rustix::process::Signal::TERM) };
        assert_eq!(next(OnCrash, &stopped, true, 0), Next::End, "somebody wanted it to stop");
    }
}
