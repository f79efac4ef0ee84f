//! The shell: load, plan, lease, load again, note the intent, redeem, settle, commit, publish.

use crate::flight::Flight;
use crate::published::{AccessToken, FreshToken, Published};
use crate::settings::{GrantSettings, Server};
use crate::system_clock::CoarseTime;
use crate::token_error::TokenError;
use arc_swap::ArcSwapOption;
use outlast_core::classify::{Evidence, Quirks, Verdict};
use outlast_core::freshness::Lead;
use outlast_core::outcome::judge;
use outlast_core::plan::{By, plan};
use outlast_core::settle::{begin, settle};
use outlast_core::strategy::{GrantType, Redemption};
use outlast_core::token::TokenSet;
use outlast_core::wire::{Fault, Provider, TokenEndpoint};
use outlast_core::{
    Ask, Clock, Code, Generation, Grant, GrantId, Lease, Outcome, Plan, Standing, StoreError, Terms, Timestamp,
    TokenStore,
};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// Longest wait of one caller (L2).
pub const PATIENCE: Duration = Duration::from_secs(30);
/// Longest wait for another process that renews: longer than discovery and a token request may
/// take together (D3). Callers stop waiting before, after [`PATIENCE`].
const LEASE_PATIENCE: Duration = Duration::from_secs(45);
/// Longest time that finding the authorization server may take, with all its requests.
const DISCOVERY_MAX: Duration = Duration::from_secs(20);
/// Pauses between attempts to persist a token set that a full or failing disk refused (F20).
const PERSIST_AGAIN: [Duration; 6] = [
    Duration::from_secs(1),
    Duration::from_secs(2),
    Duration::from_secs(5),
    Duration::from_secs(10),
    Duration::from_secs(20),
    Duration::from_secs(60),
];
/// How often an attempt is begun anew because another process wrote in between.
const ROUNDS_MAX: usize = 8;

/// Finds the authorization server of a grant.
pub(crate) trait Discovery: Send + Sync {
    fn discover<'a>(&'a self, issuer: &'a str) -> outlast_core::BoxFuture<'a, Result<Provider, NotFound>>;
}

/// Why discovery failed.
pub(crate) struct NotFound {
    pub(crate) code: Code,
    pub(crate) detail: String,
}

/// One grant in this process.
pub(crate) struct Entry {
    pub(crate) settings: GrantSettings,
    pub(crate) terms: Terms,
    pub(crate) quirks: Quirks,
    pub(crate) grant_type: &'static dyn GrantType,
    pub(crate) lead: Lead,
    pub(crate) published: ArcSwapOption<Published>,
    pub(crate) flight: Flight,
    /// Tells whoever waits that another record was published.
    pub(crate) changed: tokio::sync::Notify,
    publishing: std::sync::Mutex<()>,
    provider: tokio::sync::OnceCell<Provider>,
    coarse: CoarseTime,
}

pub(crate) struct Parts {
    pub(crate) store: Arc<dyn TokenStore>,
    pub(crate) endpoint: Arc<dyn TokenEndpoint>,
    pub(crate) discovery: Arc<dyn Discovery>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) coarse: CoarseTime,
}

/// Keeps grants: the one road to the token endpoint. Cheap to clone.
#[derive(Clone)]
pub struct Keeper(Arc<Inner>);

struct Inner {
    parts: Parts,
    entries: BTreeMap<GrantId, Arc<Entry>>,
}

impl Keeper {
    pub(crate) fn new(parts: Parts, grants: Vec<(GrantSettings, &'static dyn GrantType)>) -> Self {
        let coarse = parts.coarse.clone();
        let entry = |(settings, grant_type): (GrantSettings, &'static dyn GrantType)| {
            let entry = Entry {
                terms: settings.terms(),
                quirks: Quirks::for_provider(&settings.quirks),
                lead: Lead::of(&settings.id),
                grant_type,
                published: ArcSwapOption::empty(),
                flight: Flight::default(),
                changed: tokio::sync::Notify::new(),
                publishing: std::sync::Mutex::new(()),
                provider: tokio::sync::OnceCell::new(),
                coarse: coarse.clone(),
                settings,
            };
            (entry.settings.id.clone(), Arc::new(entry))
        };
        Self(Arc::new(Inner { entries: grants.into_iter().map(entry).collect(), parts }))
    }

    /// The names of the configured grants, in order.
    pub fn grants(&self) -> impl Iterator<Item = &GrantId> {
        self.0.entries.keys()
    }

    /// A handle on one grant: callers look it up once and ask it for every request.
    pub fn grant(&self, id: &GrantId) -> Result<GrantHandle, TokenError> {
        let entry = self.0.entries.get(id).ok_or_else(|| TokenError::GrantUnknown { grant: id.to_string() })?;
        Ok(GrantHandle { keeper: self.clone(), entry: Arc::clone(entry) })
    }

    /// An access token of `id` that meets `ask`; see [`GrantHandle::access_token`].
    pub async fn access_token(&self, id: &GrantId, ask: Ask) -> Result<AccessToken, TokenError> {
        self.grant(id)?.access_token(ask).await
    }

    pub(crate) fn clock(&self) -> &Arc<dyn Clock> {
        &self.0.parts.clock
    }

    pub(crate) fn entries(&self) -> impl Iterator<Item = &Arc<Entry>> {
        self.0.entries.values()
    }

    fn now(&self) -> Timestamp {
        self.0.parts.clock.now()
    }

    /// The record as it is on disk now, published if it is newer than what is.
    pub(crate) async fn reload(&self, entry: &Arc<Entry>) -> Result<Arc<Published>, TokenError> {
        let grant = self.load(entry).await?;
        Ok(self.publish(entry, grant))
    }

    async fn load(&self, entry: &Entry) -> Result<Grant, TokenError> {
        let stored = self.0.parts.store.load(&entry.terms.id).await?;
        let grant = stored.unwrap_or_else(|| Grant::empty(&entry.terms)).under(&entry.terms);
        if grant.authorization_server == entry.terms.authorization_server {
            return Ok(grant);
        }
        // N44, N48: a refresh token goes to the server that issued it and to no other.
        Err(TokenError::AuthorizationServerChanged {
            grant: grant.id,
            held: grant.authorization_server,
            configured: entry.terms.authorization_server.clone(),
        })
    }

    /// Publishes a record unless a later generation is published already (S3).
    fn publish(&self, entry: &Entry, grant: Grant) -> Arc<Published> {
        let publishing = entry.publishing.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let current = entry.published.load_full();
        let next = match current {
            Some(current) if current.grant.generation > grant.generation => return current,
            Some(current) if current.grant == grant => return current,
            current => {
                let same = current.filter(|current| current.grant.generation == grant.generation);
                let accepted = same.is_some_and(|current| current.accepted());
                Arc::new(Published::new(grant, entry.lead, accepted))
            }
        };
        entry.published.store(Some(Arc::clone(&next)));
        drop(publishing);
        entry.changed.notify_waiters();
        next
    }

    /// Joins the renewal that is aloft for this grant, or launches one on a task of its own: a
    /// caller that goes away cancels nothing (D1, F06).
    async fn renew(&self, entry: &Arc<Entry>, ask: Ask) -> Result<(), TokenError> {
        let (keeper, own) = (self.clone(), Arc::clone(entry));
        entry.flight.join_or_launch(move || async move { keeper.fly(&own, ask).await }).await
    }

    async fn fly(&self, entry: &Arc<Entry>, ask: Ask) -> Result<(), TokenError> {
        for _ in 0..ROUNDS_MAX {
            let lease = self.0.parts.store.lease(&entry.terms.id, LEASE_PATIENCE).await?;
            // Look again: what was read before the lease is a rumour (R1).
            let held = self.load(entry).await?;
            let strategy = entry.grant_type.strategy();
            let wait_until = match plan(&held, strategy, ask, entry.lead, self.now()) {
                Plan::Renew | Plan::ServeAndRenew(_) => match self.redeem(entry, &lease, &held, ask).await {
                    Ok(()) => return Ok(()),
                    Err(StoreError::Fenced { .. }) => continue,
                    Err(error) => return Err(error.into()),
                },
                Plan::Wait { until } if matches!(held.standing, Standing::Renewing { .. }) => until,
                Plan::NeedsUser(_) | Plan::Serve(_) | Plan::Wait { .. } => {
                    self.publish(entry, held);
                    return Ok(());
                }
            };
            // The holder before us died with a token in flight: its fate is found out on D4's
            // schedule, and meanwhile the lease is free for whoever knows more.
            drop(lease);
            self.publish(entry, held);
            tokio::select! {
                // A login in this process settles it sooner.
                () = entry.changed.notified() => {}
                () = self.0.parts.clock.sleep(self.now().until(wait_until)) => {}
            }
        }
        Err(StoreError::Busy { grant: entry.terms.id.clone() }.into())
    }

    /// One attempt, under the lease: intent on disk, send, settle, commit, publish (D1).
    async fn redeem(&self, entry: &Arc<Entry>, lease: &Lease, held: &Grant, ask: Ask) -> Result<(), StoreError> {
        let parts = &self.0.parts;
        let provider = self.provider(entry).await;
        let intent = begin(held, &entry.terms, ask, self.now());
        // Also the probe: a full or read-only disk fails here, before the token is spent (R4).
        parts.store.commit(lease, held.generation, &intent).await?;
        let outcome = match provider {
            Ok(provider) => self.send(entry, lease, &intent, provider).await,
            Err(missing) => not_found(missing),
        };
        let next = settle(&intent, entry.grant_type.strategy(), outcome, self.now());
        let persisted = parts.store.commit(lease, intent.generation, &next).await;
        note(&next);
        match persisted {
            Ok(()) => {
                self.publish(entry, next);
                Ok(())
            }
            Err(StoreError::Unwritable { .. }) if next.generation > held.generation => {
                // The server has rotated: what memory holds is the only copy. Serve it, and go on
                // trying to write it down while the lease keeps every other process away.
                self.publish(entry, next.clone());
                self.persist(lease, intent.generation, &next).await
            }
            Err(error) => Err(error),
        }
    }

    async fn send(&self, entry: &Entry, lease: &Lease, intent: &Grant, provider: &Provider) -> Outcome {
        match entry.grant_type.renewal(intent, &entry.terms, provider) {
            Ok(Redemption::Post(request)) => {
                judge(&self.0.parts.endpoint.send(lease, &request).await, &provider.quirks)
            }
            // Plan asks for no renewal that cannot be written; a row that says otherwise is ours to mend.
            Ok(Redemption::Run { .. }) | Err(_) => {
                let found = "no renewal can be written for this grant".to_owned();
                Outcome::Refused(Verdict::ClientMisconfigured, Evidence { place: "grant type", found })
            }
        }
    }

    async fn persist(&self, lease: &Lease, expected: Generation, next: &Grant) -> Result<(), StoreError> {
        let mut pauses = PERSIST_AGAIN.into_iter().chain(std::iter::repeat(PERSIST_AGAIN[PERSIST_AGAIN.len() - 1]));
        loop {
            tracing::error!(grant = %next.id, code = %Code::StoreUnwritable, "a renewed token set is not on disk yet");
            self.0.parts.clock.sleep(pauses.next().unwrap_or(PERSIST_AGAIN[0])).await;
            match self.0.parts.store.commit(lease, expected, next).await {
                Err(StoreError::Unwritable { .. }) => {}
                settled => return settled,
            }
        }
    }

    async fn provider<'e>(&self, entry: &'e Entry) -> Result<&'e Provider, NotFound> {
        let find = || async {
            match &entry.settings.server {
                Server::Known(provider) => Ok(provider.clone()),
                Server::Issuer(issuer) => {
                    let found = self.0.parts.discovery.discover(issuer);
                    let mut provider = tokio::time::timeout(DISCOVERY_MAX, found).await.unwrap_or_else(|_| {
                        let detail = "the authorization server's metadata did not arrive in time".to_owned();
                        Err(NotFound { code: Code::ServerUnreachable, detail })
                    })?;
                    provider.quirks = entry.quirks;
                    Ok(provider)
                }
            }
        };
        entry.provider.get_or_try_init(find).await
    }

    async fn import(&self, entry: &Arc<Entry>, tokens: TokenSet) -> Result<Generation, TokenError> {
        for _ in 0..ROUNDS_MAX {
            let lease = self.0.parts.store.lease(&entry.terms.id, LEASE_PATIENCE).await?;
            let held = self.0.parts.store.load(&entry.terms.id).await?;
            let held = held.unwrap_or_else(|| Grant::empty(&entry.terms));
            let next = held.granted(&entry.terms, tokens.clone());
            match self.0.parts.store.commit(&lease, held.generation, &next).await {
                Ok(()) => return Ok(self.publish(entry, next).grant.generation),
                Err(StoreError::Fenced { .. }) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Err(StoreError::Busy { grant: entry.terms.id.clone() }.into())
    }
}

fn not_found(missing: NotFound) -> Outcome {
    let NotFound { code, detail: found } = missing;
    match code {
        Code::InsecureAddress => Outcome::Unsent(Fault::Insecure),
        Code::MetadataInvalid => {
            Outcome::Refused(Verdict::ClientMisconfigured, Evidence { place: "metadata of the issuer", found })
        }
        _ => Outcome::Refused(
            Verdict::Transient { retry_after: None },
            Evidence { place: "metadata of the issuer", found },
        ),
    }
}

fn note(next: &Grant) {
    match (next.standing, &next.trouble) {
        (Standing::Live, _) | (_, None) => {
            tracing::info!(grant = %next.id, generation = %next.generation, "renewed");
        }
        (Standing::CoolingDown { .. } | Standing::Parked { .. } | Standing::Renewing { .. }, Some(trouble)) => {
            tracing::warn!(grant = %next.id, code = %trouble.code, detail = %trouble.detail, "not renewed");
        }
    }
}

/// One grant of a [`Keeper`]. Cheap to clone.
#[derive(Clone)]
pub struct GrantHandle {
    keeper: Keeper,
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
                None => self.keeper.reload(&self.entry).await?,
            };
            let strategy = self.entry.grant_type.strategy();
            match plan(&record.grant, strategy, ask, self.entry.lead, self.keeper.now()) {
                Plan::Serve(_) => return self.serve(record),
                Plan::ServeAndRenew(_) => {
                    self.renew_behind(ask);
                    return self.serve(record);
                }
                Plan::Renew => self.renew_until(ask, deadline).await?,
                obstacle @ (Plan::NeedsUser(_) | Plan::Wait { .. }) => {
                    // Another process may have renewed or revived it since: look before giving up.
                    let latest = self.keeper.reload(&self.entry).await?;
                    if Arc::ptr_eq(&latest, &record) {
                        self.meet(obstacle, &record.grant, ask, obstacles_end).await?;
                    }
                }
            }
            known = self.entry.published.load_full();
        }
    }

    fn serve(&self, record: Arc<Published>) -> Result<AccessToken, TokenError> {
        let grant = self.id().clone();
        AccessToken::of(record).ok_or(TokenError::NeedsUser { grant, cause: outlast_core::Cause::NeverGranted })
    }

    fn renew_behind(&self, ask: Ask) {
        if self.entry.flight.is_aloft() {
            return;
        }
        let handle = self.clone();
        tokio::spawn(async move {
            // What went wrong is in the record; the caller has a good token.
            let _ = handle.keeper.renew(&handle.entry, ask).await;
        });
    }

    async fn renew_until(&self, ask: Ask, deadline: Timestamp) -> Result<(), TokenError> {
        let clock = self.keeper.clock();
        let left = clock.now().until(deadline);
        tokio::select! {
            landed = self.keeper.renew(&self.entry, ask) => landed,
            () = clock.sleep(left) => Err(TokenError::TimedOut { grant: self.id().clone() }),
        }
    }

    /// Waits for an obstacle that will pass in time; otherwise says what it is.
    async fn meet(&self, obstacle: Plan<'_>, grant: &Grant, ask: Ask, deadline: Timestamp) -> Result<(), TokenError> {
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
                    () = self.entry.changed.notified() => {}
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

    /// The record as it is on disk now.
    pub async fn record(&self) -> Result<Grant, TokenError> {
        Ok(self.keeper.reload(&self.entry).await?.grant.clone())
    }

    /// When the held token set is due for renewal, where known.
    pub fn due_at(&self, grant: &Grant) -> Option<Timestamp> {
        grant.tokens.as_ref().and_then(|tokens| self.entry.lead.due_at(tokens))
    }

    /// Waits until another record of this grant is published in this process, or `at_most` passes.
    pub async fn changed(&self, at_most: Duration) {
        tokio::select! {
            () = self.entry.changed.notified() => {}
            () = self.keeper.clock().sleep(at_most) => {}
        }
    }

    /// Renews behind the caller if the grant is due; for the refresher.
    pub(crate) async fn renew_if_due(&self) {
        let _ = self.keeper.renew(&self.entry, Ask::default()).await;
    }
}
