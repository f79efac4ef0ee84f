//! The shell: load, plan, lease, load again, note the intent, redeem, settle, commit, publish.

use crate::at_disk::AtDisk;
use crate::discovery::{Discovery, NotFound};
use crate::flight::Flight;
use crate::handle::GrantHandle;
use crate::latest::Latest;
use crate::published::{AccessToken, Published};
use crate::redeem;
use crate::servers::{Servers, down};
use crate::settings::GrantSettings;
use crate::spending::Spending;
use crate::subject_grant::{TokensBehind, refuses_tokens};
use crate::system_clock::CoarseTime;
use crate::task::WAKES_MAX;
use crate::token_error::TokenError;
use crate::window::{Opened, Windows};
use outlast_core::classify::{Evidence, Quirks, Verdict};
use outlast_core::freshness::{BACK_OFF_MAX, Lead};
use outlast_core::outage::answered;
use outlast_core::plan::plan;
use outlast_core::rotation::keep_replaced;
use outlast_core::settle::{begin, settle};
use outlast_core::strategy::{GrantType, Renewal, Renewing, Rotation, Unrenewable};
use outlast_core::token::TokenSet;
use outlast_core::wire::{Fault, Provider, TokenEndpoint};
use outlast_core::{
    Ask, Clock, Code, Copied, Generation, Grant, GrantId, Happening, Journal, Lease, Outcome, Plan, Process, Standing,
    StoreError, Terms, Timestamp, TokenStore,
};
use outlast_oauth::dpop::{self, Nonces};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

/// Longest wait of one caller (L2).
pub const PATIENCE: Duration = Duration::from_secs(30);
/// Longest wait for another process that renews: longer than discovery and a token request may
/// take together (D3). Callers stop waiting before, after [`PATIENCE`].
pub(crate) const LEASE_PATIENCE: Duration = Duration::from_secs(45);
/// How often an attempt is begun anew because another process wrote in between.
pub(crate) const ROUNDS_MAX: usize = 8;

/// One grant in this process.
pub(crate) struct Entry {
    pub(crate) settings: GrantSettings,
    pub(crate) terms: Terms,
    pub(crate) quirks: Quirks,
    pub(crate) grant_type: &'static dyn GrantType,
    pub(crate) lead: Lead,
    pub(crate) published: Latest<Published>,
    pub(crate) flight: Flight,
    /// Whether that renewal waits for the disk.
    pub(crate) at_disk: AtDisk,
    /// Why the grant may be kept at another place as well, when its record was last looked at (F15).
    pub(crate) copied: std::sync::Mutex<Option<Copied>>,
    /// Whether what is published is newer than what is on disk (F20).
    pub(crate) unpersisted: AtomicBool,
    pub(crate) provider: tokio::sync::OnceCell<Provider>,
    pub(crate) coarse: CoarseTime,
}

pub(crate) struct Parts {
    pub(crate) store: Arc<dyn TokenStore>,
    pub(crate) journal: Arc<dyn Journal>,
    pub(crate) endpoint: Arc<dyn TokenEndpoint>,
    pub(crate) discovery: Arc<dyn Discovery>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) coarse: CoarseTime,
    /// What kind of process this is, for the history of its grants.
    pub(crate) process: Process,
}

impl Parts {
    /// This record with us as who did what is new in its history.
    pub(crate) fn ours(&self, grant: Grant) -> Grant {
        Grant { history: grant.history.by(self.process), ..grant }
    }
}

/// Keeps grants: the one road to the token endpoint. Cheap to clone.
#[derive(Clone)]
pub struct Keeper(Arc<Inner>);

struct Inner {
    parts: Parts,
    entries: BTreeMap<GrantId, Arc<Entry>>,
    /// The nonces that resources want in proofs (RFC 9449 9), by their origin.
    nonces: Nonces,
    windows: Windows,
    servers: Servers,
    /// Those that are there for other grants alone.
    supporting: BTreeSet<GrantId>,
    spending: Spending,
    /// Turns of tasks that go on after a login (F83).
    wakes: Arc<tokio::sync::Semaphore>,
}

/// One attempt to renew.
struct Attempt<'a> {
    held: &'a Grant,
    ask: Ask,
    /// The token that is exchanged, for a grant that is had by exchange.
    behind: &'a TokensBehind,
    /// Whether that token may be renewed if the server refuses it.
    may_renew_behind: bool,
}

/// What became of an attempt.
enum Attempted {
    /// It was not begun: the process is about to end.
    Ending,
    /// Its server is down, and somebody else finds out until then whether it is back.
    ServerDown(Timestamp),
    /// It left a record behind.
    Settled,
    /// The server refused the token that was to be exchanged; nothing was left behind.
    BehindRefused,
}

impl Keeper {
    pub(crate) fn new(
        parts: Parts,
        grants: Vec<(GrantSettings, &'static dyn GrantType)>,
        supporting: BTreeSet<GrantId>,
    ) -> Self {
        let coarse = parts.coarse.clone();
        let entry = |(settings, grant_type): (GrantSettings, &'static dyn GrantType)| {
            let entry = Entry {
                terms: settings.terms(),
                quirks: Quirks::for_provider(&settings.quirks),
                lead: lead(&settings, grant_type),
                grant_type,
                published: Latest::default(),
                flight: Flight::default(),
                at_disk: AtDisk::default(),
                copied: std::sync::Mutex::default(),
                unpersisted: AtomicBool::new(false),
                provider: tokio::sync::OnceCell::new(),
                coarse: coarse.clone(),
                settings,
            };
            (entry.settings.id.clone(), Arc::new(entry))
        };
        Self(Arc::new(Inner {
            entries: grants.into_iter().map(entry).collect(),
            parts,
            nonces: Nonces::default(),
            windows: Windows::default(),
            servers: Servers::default(),
            supporting,
            spending: Spending::default(),
            wakes: Arc::new(tokio::sync::Semaphore::new(WAKES_MAX)),
        }))
    }

    /// The names of the configured grants, in order.
    pub fn grants(&self) -> impl Iterator<Item = &GrantId> {
        self.0.entries.keys().filter(|id| !self.0.supporting.contains(id))
    }

    /// A handle on one grant: callers look it up once and ask it for every request.
    pub fn grant(&self, id: &GrantId) -> Result<GrantHandle, TokenError> {
        if self.0.supporting.contains(id) {
            return Err(TokenError::GrantUnknown { grant: id.to_string() });
        }
        self.any_grant(id)
    }

    /// The same, for grants that are there for others alone too.
    pub(crate) fn any_grant(&self, id: &GrantId) -> Result<GrantHandle, TokenError> {
        let entry = self.0.entries.get(id).ok_or_else(|| TokenError::GrantUnknown { grant: id.to_string() })?;
        Ok(GrantHandle { keeper: self.clone(), entry: Arc::clone(entry) })
    }

    /// An access token of `id` that meets `ask`; see [`GrantHandle::access_token`].
    pub async fn access_token(&self, id: &GrantId, ask: Ask) -> Result<AccessToken, TokenError> {
        self.grant(id)?.access_token(ask).await
    }

    pub(crate) fn parts(&self) -> &Parts {
        &self.0.parts
    }

    pub(crate) fn windows(&self) -> &Windows {
        &self.0.windows
    }

    pub(crate) fn nonces(&self) -> &Nonces {
        &self.0.nonces
    }

    pub(crate) fn servers(&self) -> &Servers {
        &self.0.servers
    }

    pub(crate) fn wakes(&self) -> Arc<tokio::sync::Semaphore> {
        Arc::clone(&self.0.wakes)
    }

    pub(crate) fn spending(&self) -> &Spending {
        &self.0.spending
    }

    /// The clock that all of its deadlines go by.
    pub fn clock(&self) -> &Arc<dyn Clock> {
        &self.0.parts.clock
    }

    pub(crate) fn entries(&self) -> impl Iterator<Item = &Arc<Entry>> {
        self.0.entries.values()
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.0.parts.clock.now()
    }

    /// The record as it is on disk now, published if it is newer than what is.
    pub(crate) async fn reload(&self, entry: &Arc<Entry>) -> Result<Arc<Published>, TokenError> {
        let grant = self.load(entry).await?;
        Ok(self.publish(entry, grant))
    }

    pub(crate) async fn load(&self, entry: &Entry) -> Result<Grant, TokenError> {
        let stored = self.0.parts.store.load(&entry.terms.id).await?;
        self.look_for_copies(entry).await?;
        let grant = as_configured(entry, stored.unwrap_or_else(|| Grant::empty(&entry.terms)));
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
    pub(crate) fn publish(&self, entry: &Entry, grant: Grant) -> Arc<Published> {
        entry.published.publish(grant.generation.0, |current| match current {
            Some(current) if current.grant == grant => Arc::clone(current),
            current => {
                let same = current.filter(|current| current.grant.generation == grant.generation);
                let accepted = same.is_some_and(|current| current.accepted());
                Arc::new(Published::new(grant, entry.lead, &entry.settings.presentation, accepted))
            }
        })
    }

    /// Joins the renewal that is aloft for this grant, or launches one on a task of its own: a
    /// caller that goes away cancels nothing (D1, F06).
    pub(crate) async fn renew(&self, entry: &Arc<Entry>, ask: Ask) -> Result<(), TokenError> {
        let (keeper, own) = (self.clone(), Arc::clone(entry));
        entry.flight.join_or_launch(move || async move { keeper.fly(&own, ask).await }).await
    }

    async fn fly(&self, entry: &Arc<Entry>, ask: Ask) -> Result<(), TokenError> {
        let mut behind = self.tokens_behind(entry, None).await?;
        let mut behind_renewed = false;
        for _ in 0..ROUNDS_MAX {
            let lease = self.0.parts.store.lease(&entry.terms.id, LEASE_PATIENCE).await?;
            // Look again: what was read before the lease is a rumour (R1).
            let held = entry.at_disk.during(self.now(), self.load(entry)).await?;
            let held = match self.retire(entry, &lease, held).await {
                Ok(held) => held,
                Err(StoreError::Fenced { .. }) => continue,
                Err(error) => return Err(error.into()),
            };
            let strategy = entry.grant_type.strategy();
            let wait_until = match plan(&held, strategy, ask, entry.lead, self.now()) {
                Plan::Renew | Plan::ServeAndRenew(_) => {
                    if let Some(refused) = entry.adopt_needed() {
                        self.publish(entry, held);
                        return Err(refused);
                    }
                    let may_renew_behind = !behind_renewed;
                    let attempt = Attempt { held: &held, ask, behind: &behind, may_renew_behind };
                    match self.redeem(entry, &lease, attempt).await {
                        Ok(Attempted::Settled) => return Ok(()),
                        Ok(Attempted::ServerDown(until)) => {
                            self.publish(entry, held);
                            return Err(down(&entry.terms.id, until, self.now()));
                        }
                        Ok(Attempted::Ending) => return Err(TokenError::Ending { grant: entry.terms.id.clone() }),
                        Ok(Attempted::BehindRefused) => {
                            drop(lease);
                            behind = self.tokens_behind(entry, Some(&behind)).await?;
                            behind_renewed = true;
                            continue;
                        }
                        Err(StoreError::Fenced { .. }) => continue,
                        Err(error) => return Err(error.into()),
                    }
                }
                Plan::Wait { until } if self.ends_doubt_soon(&held, until) => until,
                Plan::NeedsUser(_) | Plan::Serve(_) | Plan::Wait { .. } => {
                    self.publish(entry, held);
                    return Ok(());
                }
            };
            // The holder before us died with a token in flight: its fate is found out on D4's
            // schedule, and meanwhile the lease is free for whoever knows more.
            drop(lease);
            let found = self.publish(entry, held);
            tokio::select! {
                biased;
                // A login in this process settles it sooner.
                () = entry.published.other_than(&found) => {}
                () = self.0.parts.clock.sleep(self.now().until(wait_until)) => {}
            }
        }
        Err(StoreError::Busy { grant: entry.terms.id.clone() }.into())
    }

    /// Whether `until` is when a token of unknown fate is sent again, and not so far off that no flight is
    /// spent on it.
    fn ends_doubt_soon(&self, held: &Grant, until: Timestamp) -> bool {
        matches!(held.standing, Standing::Renewing { .. }) && self.now().until(until) <= BACK_OFF_MAX
    }

    /// One attempt, under the lease: intent on disk, send, settle, commit, publish (D1).
    async fn redeem(&self, entry: &Arc<Entry>, lease: &Lease, attempt: Attempt<'_>) -> Result<Attempted, StoreError> {
        let Attempt { held, ask, behind, may_renew_behind } = attempt;
        let parts = &self.0.parts;
        let turn = match self.turn(entry).await {
            Ok(turn) => turn,
            Err(until) => return Ok(Attempted::ServerDown(until)),
        };
        let provider = self.provider(entry).await;
        let Some(_spent) = self.spending().begin() else { return Ok(Attempted::Ending) };
        let intent = with_proof_key(parts.ours(begin(held, &entry.terms, ask, self.now())), entry);
        // Also the probe: a full or read-only disk fails here, before the token is spent (R4).
        let noting = parts.store.commit(lease, held.generation, &intent);
        entry.at_disk.during(self.now(), noting).await?;
        let outcome = match provider {
            Ok(provider) => self.send(entry, lease, &intent, provider, behind).await,
            Err(missing) => not_found(missing),
        };
        let opened = Opened::now();
        let answered = answered(&outcome);
        if matches!(outcome, Outcome::Unsent(Fault::LeaseLost)) {
            // Nothing was spent, and another process may have the grant by now. The note is taken back
            // if it is still ours; either way the lease is asked for anew, and the record looked at.
            parts.store.commit(lease, intent.generation, held).await?;
            return Err(StoreError::Fenced { grant: held.id.clone() });
        }
        if may_renew_behind && !behind.is_empty() && refuses_tokens(&outcome) {
            // Nothing was spent: the record is put back as it was, and the other grant is renewed.
            parts.store.commit(lease, intent.generation, held).await?;
            self.ended(entry, turn, answered).await;
            return Ok(Attempted::BehindRefused);
        }
        let next = parts.ours(settle(&intent, entry.grant_type.strategy(), outcome, self.now()));
        let next = keep_replaced(held, next, entry.grant_type.overlap(&entry.terms), self.now());
        let persisted = if next.generation > held.generation {
            self.write_down(entry, lease, intent.generation, &next).await
        } else {
            let settling = parts.store.commit(lease, intent.generation, &next);
            entry.at_disk.during(self.now(), settling).await
        };
        if persisted.is_ok() && next.generation > held.generation {
            self.0.windows.closed(opened);
        }
        // Only now: until the answer is on disk, nothing else is done (F04).
        self.ended(entry, turn, answered).await;
        note(&next);
        match persisted {
            Ok(()) => {
                self.publish(entry, next);
                Ok(Attempted::Settled)
            }
            Err(error) if next.generation > held.generation && !matches!(error, StoreError::Fenced { .. }) => {
                let settled = self.serve_from_memory(entry, lease, intent.generation, next).await;
                settled.map(|()| Attempted::Settled)
            }
            Err(error) => Err(error),
        }
    }

    async fn send(
        &self,
        entry: &Entry,
        lease: &Lease,
        intent: &Grant,
        provider: &Provider,
        behind: &TokensBehind,
    ) -> Outcome {
        let terms = entry.terms.as_registered(intent);
        let subject_token = behind.subject.as_ref().map(AccessToken::secret);
        let actor_token = behind.actor.as_ref().map(AccessToken::secret);
        let renewing = Renewing { grant: intent, terms: &terms, provider, subject_token, actor_token };
        match entry.grant_type.renewal(&renewing) {
            Ok(redemption) => redeem::carry_out(&self.0.parts, entry, intent, lease, redemption, provider).await,
            // Plan asks for no renewal that cannot be written; a row that says otherwise is ours to mend.
            Err(Unrenewable::NoRefreshToken) => redeem::unwritable("no renewal can be written for this grant"),
            Err(Unrenewable::Misconfigured(why)) => redeem::unwritable(why),
            Err(Unrenewable::RotationInDoubt(pause)) => Outcome::RotationInDoubt {
                detail: "a rotation was interrupted: a key may exist that nobody knows; look for it at the provider"
                    .to_owned(),
                pause,
            },
            Err(Unrenewable::RotationBlocked(why)) => Outcome::CommandFailed { detail: why.to_owned() },
        }
    }

    pub(crate) async fn import(&self, entry: &Arc<Entry>, tokens: TokenSet) -> Result<Generation, TokenError> {
        let granted = |held: &Grant| held.granted(&entry.terms, tokens.clone()).noting(Happening::Imported, self.now());
        let next = self.change(entry, |held| Some(self.parts().ours(granted(held)))).await?;
        Ok(next.grant.generation)
    }

    /// Changes a record under its lease: `change` gets it as it is on disk, and says what it is to
    /// be; nothing to leave it as it is.
    pub(crate) async fn change(
        &self,
        entry: &Arc<Entry>,
        change: impl Fn(&Grant) -> Option<Grant>,
    ) -> Result<Arc<Published>, TokenError> {
        for _ in 0..ROUNDS_MAX {
            let lease = self.0.parts.store.lease(&entry.terms.id, LEASE_PATIENCE).await?;
            let held = self.0.parts.store.load(&entry.terms.id).await?;
            let held = held.unwrap_or_else(|| Grant::empty(&entry.terms));
            let Some(next) = change(&held) else { return Ok(self.publish(entry, as_configured(entry, held))) };
            match self.0.parts.store.commit(&lease, held.generation, &next).await {
                Ok(()) => return Ok(self.publish(entry, as_configured(entry, next))),
                Err(StoreError::Fenced { .. }) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Err(StoreError::Busy { grant: entry.terms.id.clone() }.into())
    }
}

/// When this grant's renewals are due, and whether one of unknown fate can be repeated without loss.
fn lead(settings: &GrantSettings, grant_type: &dyn GrantType) -> Lead {
    let spends = grant_type.strategy().rotation == Rotation::Possible;
    let no_grace = spends && settings.grace == Some(Duration::ZERO);
    Lead::of(&settings.id).at_most(settings.terms().renew_within).without_grace(no_grace)
}

/// A record as it is served: without what the configuration has changed since it was written.
fn as_configured(entry: &Entry, stored: Grant) -> Grant {
    let grant = stored.under(&entry.terms);
    if entry.grant_type.is_outdated(&grant, &entry.terms) { grant.without_tokens() } else { grant }
}

/// With a key for its tokens to be bound to, where a grant that is minted has none yet: it is on disk
/// with the note of intent, before anything is bound to it (N32).
fn with_proof_key(intent: Grant, entry: &Entry) -> Grant {
    let minted = entry.grant_type.strategy().renewal == Renewal::Remint;
    if !entry.terms.dpop || !minted || intent.proof_key.is_some() {
        return intent;
    }
    // Without random numbers there is no key, and the server refuses what is not bound.
    Grant { proof_key: dpop::generate().ok(), ..intent }
}

fn not_found(missing: NotFound) -> Outcome {
    let NotFound { code, detail: found } = missing;
    match code {
        Code::InsecureAddress => Outcome::Unsent(Fault::Insecure),
        Code::ClientMisconfigured | Code::MetadataInvalid => {
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
        (
            Standing::CoolingDown { .. }
            | Standing::Parked { .. }
            | Standing::Renewing { .. }
            | Standing::Revoking { .. },
            Some(trouble),
        ) => {
            tracing::warn!(grant = %next.id, code = %trouble.code, detail = %trouble.detail, "not renewed");
        }
    }
}
