//! One grant, as callers use it.

use crate::at_disk::unanswered;
use crate::keeper::{Entry, Keeper, PATIENCE};
use crate::published::{AccessToken, FreshToken, Published};
use crate::settings::GrantSettings;
use crate::token_error::TokenError;
use outlast_core::classify::Quirks;
use outlast_core::grant::Wanted;
use outlast_core::plan::{By, plan};
use outlast_core::rotation::due_retirement;
use outlast_core::token::TokenSet;
use outlast_core::{Ask, Cause, Generation, Grant, GrantId, Outage, Plan, Standing, Timestamp};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// One grant of a [`Keeper`]. Cheap to clone.
#[derive(Clone)]
pub struct GrantHandle {
    pub(crate) keeper: Keeper,
    pub(crate) entry: Arc<Entry>,
}

impl GrantHandle {
    /// The grant's name.
    pub fn id(&self) -> &GrantId {
        &self.entry.terms.id
    }

    /// What was said of it.
    pub fn settings(&self) -> &GrantSettings {
        &self.entry.settings
    }

    /// The habits of the grant's provider.
    pub(crate) fn quirks(&self) -> &Quirks {
        &self.entry.quirks
    }

    /// The keeper it belongs to.
    pub fn keeper(&self) -> &Keeper {
        &self.keeper
    }

    /// A fresh access token at once, without lock, IO or allocation; nothing if one has to be
    /// asked for with [`GrantHandle::access_token`].
    #[inline]
    pub fn fresh(&self) -> Option<FreshToken> {
        let published = self.entry.published.load();
        let fresh = published.as_ref().is_some_and(|published| self.entry.coarse.millis() < published.fresh_until);
        fresh.then_some(FreshToken(published))
    }

    /// An access token that meets `ask`. Answers at once while the held one is good; otherwise
    /// waits at most [`PATIENCE`] for one renewal that all callers share.
    pub async fn access_token(&self, ask: Ask) -> Result<AccessToken, TokenError> {
        self.access_token_past_obstacles(ask, PATIENCE).await
    }

    /// The same, with a wait of at most `obstacles` for a pause that stands in the way of a
    /// renewal; the renewal itself is waited for as long as ever.
    pub(crate) async fn access_token_past_obstacles(
        &self,
        ask: Ask,
        obstacles: Duration,
    ) -> Result<AccessToken, TokenError> {
        if ask == Ask::default()
            && let Some(token) = self.fresh()
        {
            return Ok(token.to_owned());
        }
        let began = self.keeper.now();
        let (deadline, obstacles_end) = (began.plus(PATIENCE), began.plus(obstacles.min(PATIENCE)));
        let mut known = self.entry.published.load_full();
        loop {
            let record = match known.take() {
                Some(record) => record,
                None => self.reload_until(deadline).await?,
            };
            let strategy = self.entry.grant_type.strategy();
            match plan(&record.grant, strategy, ask, self.entry.lead, self.keeper.now()) {
                Plan::Serve(_) => return self.serve(record),
                Plan::ServeAndRenew(_) => {
                    self.renew_behind(ask);
                    return self.serve(record);
                }
                Plan::Renew => match self.renew_until(record.grant.generation, ask, deadline).await {
                    // Another grant of the same server may find it back in time.
                    Err(TokenError::CoolingDown { until, .. })
                        if until > self.keeper.now() && until <= obstacles_end =>
                    {
                        self.changed(self.keeper.now().until(until)).await;
                    }
                    landed => landed?,
                },
                obstacle @ (Plan::NeedsUser(_) | Plan::Wait { .. }) => {
                    // Another process may have renewed or revived it since: look before giving up.
                    let latest = self.reload_until(deadline).await?;
                    if Arc::ptr_eq(&latest, &record) {
                        self.meet(obstacle, &record, ask, obstacles_end).await?;
                    }
                }
            }
            known = self.entry.published.load_full();
        }
    }

    fn serve(&self, record: Arc<Published>) -> Result<AccessToken, TokenError> {
        let grant = self.id().clone();
        let cause = if record.has_lost_key() { Cause::ProofKeyLost } else { Cause::NeverGranted };
        AccessToken::of(record).ok_or(TokenError::NeedsUser { grant, cause })
    }

    fn renew_behind(&self, ask: Ask) {
        let server = &self.entry.terms.authorization_server;
        if self.entry.flight.is_aloft() || self.keeper.servers().down_until(server, self.keeper.now()).is_some() {
            return;
        }
        let handle = self.clone();
        tokio::spawn(async move {
            // What went wrong is in the record; the caller has a good token.
            let _ = handle.keeper.renew(&handle.entry, ask).await;
        });
    }

    /// The record as it is on disk, unless the disk hangs (L2).
    async fn reload_until(&self, deadline: Timestamp) -> Result<Arc<Published>, TokenError> {
        let clock = self.keeper.clock();
        let began = clock.now();
        tokio::select! {
            biased;
            found = self.keeper.reload(&self.entry) => found,
            () = clock.sleep(clock.now().until(deadline)) => Err(unanswered(clock.now().since(began)).into()),
        }
    }

    async fn renew_until(&self, held: Generation, ask: Ask, deadline: Timestamp) -> Result<(), TokenError> {
        let clock = self.keeper.clock();
        let left = clock.now().until(deadline);
        tokio::select! {
            biased;
            landed = self.keeper.renew(&self.entry, ask) => landed,
            // The flight goes on trying to write it down; nobody has to wait for the disk.
            () = self.served_from_memory(held) => Ok(()),
            () = clock.sleep(left) => Err(self.timed_out()),
        }
    }

    /// What to tell whoever waited as long as anybody does.
    fn timed_out(&self) -> TokenError {
        let trouble = self.entry.at_disk.trouble(self.keeper.now());
        trouble.map_or_else(|| TokenError::TimedOut { grant: self.id().clone() }, TokenError::from)
    }

    /// Waits until a token set later than `held` is published that the disk refused.
    async fn served_from_memory(&self, held: Generation) {
        loop {
            let changed = self.entry.published.changed();
            let later = |record: &Arc<Published>| record.grant.generation > held;
            if !self.is_persisted() && self.entry.published.load_full().as_ref().is_some_and(later) {
                return;
            }
            changed.await;
        }
    }

    /// Waits for an obstacle that will pass in time; otherwise says what it is.
    async fn meet(
        &self,
        obstacle: Plan<'_>,
        record: &Arc<Published>,
        ask: Ask,
        deadline: Timestamp,
    ) -> Result<(), TokenError> {
        let grant = &record.grant;
        let id = grant.id.clone();
        match obstacle {
            Plan::NeedsUser(cause) => Err(TokenError::NeedsUser { grant: id, cause }),
            Plan::Wait { until } => {
                let refused =
                    matches!(ask.rejected.map(|rejected| rejected.by), Some(By::Resource { accepted: false }));
                if refused && grant.standing == Standing::Live {
                    return Err(TokenError::RejectedAfterRenewal { grant: id, until });
                }
                let trouble = grant.trouble.clone();
                let mistake = trouble.as_ref().is_some_and(|t| t.code.advice() == outlast_core::Advice::FixConfig);
                if until > deadline || mistake {
                    return Err(TokenError::CoolingDown { grant: id, until, trouble });
                }
                tokio::select! {
                    biased;
                    () = self.entry.published.other_than(record) => {}
                    () = self.keeper.clock().sleep(self.keeper.now().until(until)) => {}
                }
                Ok(())
            }
            Plan::Renew | Plan::Serve(_) | Plan::ServeAndRenew(_) => Ok(()),
        }
    }

    /// Takes a token set over as the grant's next generation, whoever obtained it.
    pub async fn import(&self, tokens: TokenSet) -> Result<Generation, TokenError> {
        self.keeper.import(&self.entry, tokens).await
    }

    /// Writes down what the next login has to bring, behind the caller: its answer does not wait for
    /// the disk. What is known already is not written again, so that a resource that goes on asking
    /// costs nothing. Tells whether a login is worth trying: `add` says nothing where it is not (N46).
    pub(crate) fn want(&self, add: impl Fn(&Wanted) -> Option<Wanted> + Send + Sync + 'static) -> bool {
        let Some(known) = self.entry.published.load_full() else { return true };
        let Some(wanted) = add(&known.grant.wanted) else { return false };
        if wanted == known.grant.wanted {
            return true;
        }
        let handle = self.clone();
        tokio::spawn(async move {
            let change = |held: &Grant| {
                let wanted = add(&held.wanted).filter(|wanted| *wanted != held.wanted)?;
                Some(Grant { wanted, ..held.clone() })
            };
            if let Err(error) = handle.keeper.change(&handle.entry, change).await {
                tracing::warn!(grant = %handle.id(), code = %error.code(), "what the next login has to bring is not kept");
            }
        });
        true
    }

    /// Has every process know that a resource takes tokens again that refused them one after the other;
    /// otherwise a process that starts afterwards would go on sparing the server (D12). Behind the caller,
    /// and once: nothing is written where nothing had been counted.
    pub(crate) fn note_accepted(&self, token: &AccessToken) {
        let generation = token.generation();
        let counted = |held: &Grant| held.generation == generation && held.breaker.streak > 0;
        if !self.entry.published.load().as_ref().is_some_and(|record| counted(&record.grant)) {
            return;
        }
        let handle = self.clone();
        tokio::spawn(async move {
            let change = |held: &Grant| {
                let counted = held.generation == generation && held.breaker.streak > 0;
                counted.then(|| Grant { breaker: held.breaker.accepted(), ..held.clone() })
            };
            if let Err(error) = handle.keeper.change(&handle.entry, change).await {
                tracing::warn!(grant = %handle.id(), code = %error.code(), "that the resource takes tokens again is not kept");
            }
        });
    }

    /// The record as it is on disk now.
    pub async fn record(&self) -> Result<Grant, TokenError> {
        Ok(self.keeper.reload(&self.entry).await?.grant.clone())
    }

    /// What is known of an outage of the grant's authorization server: the failures of all its grants in
    /// all processes count (F30).
    pub async fn outage(&self) -> Outage {
        self.keeper.outage(&self.entry).await
    }

    /// Whether what is served is on disk. If not, the disk refused a token set that the server had rotated
    /// to already (F20): the only copy is in this process, which tries to write it down until it can. A
    /// process should not end before that, as far as it has the choice.
    pub fn is_persisted(&self) -> bool {
        !self.entry.unpersisted.load(Ordering::Acquire)
    }

    /// When the held token set is due for renewal, where known.
    pub fn due_at(&self, grant: &Grant) -> Option<Timestamp> {
        grant.tokens.as_ref().and_then(|tokens| self.entry.lead.due_at(tokens))
    }

    /// Waits until another record of this grant is published in this process, or `at_most` passes.
    pub async fn changed(&self, at_most: Duration) {
        tokio::select! {
            biased;
            () = self.entry.published.changed() => {}
            () = self.keeper.clock().sleep(at_most) => {}
        }
    }

    /// Waits until somebody has signed out of the grant, or at once if that is so, as far as is known in this
    /// process (F85).
    pub async fn signed_out(&self) {
        loop {
            // Before the look at the record: what is published between the two is heard of too.
            let changed = self.entry.published.changed();
            if self.entry.published.load().as_ref().is_some_and(|published| published.is_signed_out()) {
                return;
            }
            changed.await;
        }
    }

    /// Whether there is something to be done for the grant though its token may still be good.
    pub fn is_due(&self, grant: &Grant, now: Timestamp) -> bool {
        self.due_at(grant).is_some_and(|due| due <= now) || due_retirement(grant, now).is_some()
    }

    /// Does at once, and waits for, what a refresher would do for the grant by now; for processes
    /// that end before a refresher comes to it. What went wrong is in the record.
    pub async fn renew_if_due(&self) {
        let _ = self.keeper.renew(&self.entry, Ask::default()).await;
    }
}
