//! PARKING: a step whose grant needs a person waits before it begins, where nothing is in doubt.

use super::Task;
use super::error::TaskError;
use super::seat;
use super::settings::Change;
use super::step::Step;
use crate::token_error::TokenError;
use outlast_core::plan::{By, Rejected};
use outlast_core::task::Event;
use outlast_core::{Advice, Ask, Code, Generation, GrantId, Standing, Timestamp};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::oneshot;

/// How often the store is looked at for a login in another process; longer by up to as much again.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// So many tasks of a process go on at once after a login (F83), each behind a pause of up to the second;
/// the others follow as the first step of each ends, or after the third.
pub(crate) const WAKES_MAX: usize = 8;
const WAKE_SPREAD: Duration = Duration::from_millis(400);
const WAKE_LASTS: Duration = Duration::from_secs(3);
/// How soon to ask again for a token that cannot be had at the moment.
const ASK_AGAIN: Duration = Duration::from_secs(1);

/// The turn to go on after a login, until it is dropped.
#[derive(Default)]
pub(super) struct Woken {
    _ends: Option<oneshot::Sender<()>>,
}

impl Task {
    /// Sees to it that tokens of all grants of a step are there, with enough life; waits for a person where
    /// one is needed. Whether anything was waited for.
    pub(super) async fn await_tokens(
        &self,
        step: &Step,
        deadline: Option<Timestamp>,
        woken: &mut Woken,
    ) -> Result<bool, TaskError> {
        let longest = self.0.seat.view(|view| view.longest_step).unwrap_or_default();
        for grant in &step.grants {
            let by = By::Resource { accepted: true };
            let rejected = self.spoilt(grant).await.map(|generation| Rejected { generation, by });
            let ask = Ask { min_ttl: step.min_ttl.unwrap_or(longest), rejected };
            let Err(error) = self.0.keeper.access_token(grant, ask).await else { continue };
            match error.code().advice() {
                Advice::AskUser | Advice::Decide => {
                    self.park(grant, error.code(), ask, deadline).await?;
                    self.take_a_turn(woken).await;
                }
                Advice::Retry | Advice::Wait => self.outwait(error, deadline).await?,
                Advice::FixConfig | Advice::ReportBug => return Err(error.into()),
            }
            return Ok(true);
        }
        Ok(false)
    }

    /// The generation of a grant that will not do, though its token may look good until its end: without the
    /// complaint a step would begin, be refused and begin again, until somebody has signed in (F85).
    async fn spoilt(&self, grant: &GrantId) -> Option<Generation> {
        if self.0.seat.view(|view| view.is_parked_on(grant)) == Some(true) {
            // As an earlier runner found, if nobody has signed in since.
            self.0.seat.spoil(&in_need_of_a_person(self, std::slice::from_ref(grant)).await);
        }
        self.0.seat.spoilt(grant)
    }

    /// Writes that the task waits for a person, once, and waits.
    async fn park(&self, grant: &GrantId, code: Code, ask: Ask, deadline: Option<Timestamp>) -> Result<(), TaskError> {
        let parked = || TaskError::Parked { task: self.id().clone(), grant: grant.clone(), code };
        let claim = self.claim_again().await?;
        if !seat::read(claim.view()).is_parked_on(grant) {
            claim.append(self.now(), vec![Event::Parked { grant: grant.clone(), code }]).await?;
            tracing::warn!(task = %self.id(), %grant, %code, "parked between steps until somebody signs in");
        }
        // An earlier runner may have written it and have gone.
        if self.0.seat.tell(grant) {
            self.report(Change::Parked { grant: grant.clone(), code });
        }
        drop(claim);
        let _waiting = self.wait_for_a_person();
        let handle = self.0.keeper.grant(grant)?;
        loop {
            let left = deadline.map_or(LOOK_EVERY * 2, |deadline| self.now().until(deadline));
            if left.is_zero() {
                return Err(parked());
            }
            handle.changed(left.min(LOOK_EVERY + self.spread(LOOK_EVERY))).await;
            match handle.access_token(ask).await {
                Err(error) if matches!(error.code().advice(), Advice::AskUser | Advice::Decide) => {}
                // Whatever else there is to say, it is said when the token is asked for again.
                Ok(_) | Err(_) => return Ok(()),
            }
        }
    }

    /// Waits for its turn to go on: hundreds of tasks may have waited for one login.
    async fn take_a_turn(&self, woken: &mut Woken) {
        let Ok(permit) = self.0.keeper.wakes().acquire_owned().await else { return };
        let clock = Arc::clone(self.0.keeper.clock());
        clock.sleep(self.spread(WAKE_SPREAD)).await;
        let (ends, ended) = oneshot::channel::<()>();
        tokio::spawn(async move {
            tokio::select! {
                _ = ended => {}
                () = clock.sleep(WAKE_LASTS) => {}
            }
            drop(permit);
        });
        *woken = Woken { _ends: Some(ends) };
    }

    async fn outwait(&self, error: TokenError, deadline: Option<Timestamp>) -> Result<(), TaskError> {
        let now = self.now();
        if deadline.is_some_and(|deadline| deadline <= now) {
            return Err(error.into());
        }
        let until = error.retry_at().unwrap_or_else(|| now.plus(ASK_AGAIN)).max(now.plus(ASK_AGAIN));
        self.0.keeper.clock().sleep(now.until(deadline.map_or(until, |deadline| deadline.min(until)))).await;
        Ok(())
    }

    /// A part of `at_most` that is another for each task, and always the same for one.
    fn spread(&self, at_most: Duration) -> Duration {
        let [low, high, ..] = outlast_store::sha256(self.id().as_str().as_bytes()).0;
        at_most * u32::from(u16::from_le_bytes([low, high])) / 65_536
    }
}

/// Which of these grants can only be used again once a person has done something, as the store says now, and
/// the generation that will not do.
pub(super) async fn in_need_of_a_person(task: &Task, grants: &[GrantId]) -> Vec<(GrantId, Generation)> {
    let mut found = Vec::new();
    for grant in grants {
        let Ok(handle) = task.0.keeper.grant(grant) else { continue };
        if let Ok(record) = handle.record().await
            && matches!(record.standing, Standing::Parked { .. } | Standing::Revoking { .. })
        {
            found.push((grant.clone(), record.generation));
        }
    }
    found
}
