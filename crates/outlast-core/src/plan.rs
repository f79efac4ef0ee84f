//! What an ask deserves: the first of the two decisions.

use crate::clock::Timestamp;
use crate::freshness::{Freshness, Lead, demand, doubt_delay, freshness};
use crate::grant::{Cause, Grant, Standing};
use crate::settle::RETRY_AFTER_MAX;
use crate::strategy::{Renewal, Strategy};
use crate::token::{Generation, TokenSet, TokenType};
use std::time::Duration;

/// Shortest time between two renewals that a demand for remaining life asks for (F45).
pub const RENEWAL_GAP: Duration = Duration::from_secs(1);

/// What a caller wants.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ask {
    /// The life the access token should have left.
    pub min_ttl: Duration,
    /// The generation that will not do, and why.
    pub rejected: Option<Rejected>,
}

/// A complaint about one generation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rejected {
    /// Which.
    pub generation: Generation,
    /// Who complains.
    pub by: By,
}

/// Who complains about a generation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum By {
    /// A person who wants a new token now.
    Person,
    /// A resource refused it.
    Resource {
        /// Whether it took the same token before.
        accepted: bool,
    },
}

/// What is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Plan<'g> {
    /// Only a person can go on.
    NeedsUser(Cause),
    /// Renew, then plan again.
    Renew,
    /// Serve this.
    Serve(&'g TokenSet),
    /// Serve this, and renew behind the caller.
    ServeAndRenew(&'g TokenSet),
    /// Neither serve nor renew before `until`.
    Wait {
        /// When to plan again.
        until: Timestamp,
    },
}

/// Decides what `ask` deserves at `now`.
pub fn plan<'g>(grant: &'g Grant, strategy: &Strategy, ask: Ask, lead: Lead, now: Timestamp) -> Plan<'g> {
    let permit = permit(grant, strategy, ask, lead, now);
    match (servable(grant, ask, now), permit) {
        (None, Ok(())) => Plan::Renew,
        (None, Err(obstacle)) => obstacle,
        (Some(tokens), permit) => {
            let short = ask.min_ttl > Duration::ZERO && left(tokens, now) < demand(tokens, ask.min_ttl);
            let spaced = now.since(tokens.issued_at) >= RENEWAL_GAP;
            match (freshness(tokens, lead, now), permit) {
                (_, Ok(())) if short && spaced => Plan::Renew,
                (Freshness::Due, Ok(())) => Plan::ServeAndRenew(tokens),
                // D4: the fate of a token that was sent is found out while the server's grace lasts,
                // however fresh the access token is.
                (Freshness::Fresh, Ok(())) if is_in_flight(grant) => Plan::ServeAndRenew(tokens),
                // R5: while the held token is good, an obstacle to renewing it is nobody's outage.
                (Freshness::Due | Freshness::Expired | Freshness::Fresh, _) => Plan::Serve(tokens),
            }
        }
    }
}

/// Whether this complaint is about the held generation.
fn disputed(grant: &Grant, ask: Ask) -> Option<By> {
    ask.rejected.filter(|rejected| rejected.generation >= grant.generation).map(|rejected| rejected.by)
}

fn servable(grant: &Grant, ask: Ask, now: Timestamp) -> Option<&TokenSet> {
    // Whoever signed out does not want it used, though the server may still take it.
    let tokens = grant.tokens.as_ref().filter(|_| !matches!(grant.standing, Standing::Revoking { .. }))?;
    let ended = tokens.expires_at.is_some_and(|end| now >= end);
    (!ended && !has_lost_key(grant) && disputed(grant, ask).is_none()).then_some(tokens)
}

/// Whether the held tokens are bound to a key that is not there any more (F48).
fn has_lost_key(grant: &Grant) -> bool {
    let bound = grant.tokens.as_ref().is_some_and(|tokens| tokens.token_type == TokenType::Dpop);
    bound && grant.proof_key.is_none()
}

/// Whether a token was sent whose fate is not known yet.
fn is_in_flight(grant: &Grant) -> bool {
    matches!(grant.standing, Standing::Renewing { .. })
}

fn left(tokens: &TokenSet, now: Timestamp) -> Duration {
    tokens.expires_at.map_or(Duration::MAX, |end| now.until(end))
}

/// Whether a renewal may be begun now; if not, the plan that says what stands in the way.
fn permit(grant: &Grant, strategy: &Strategy, ask: Ask, lead: Lead, now: Timestamp) -> Result<(), Plan<'static>> {
    renewable(grant, strategy)?;
    // F19: a moment further off than any pause lasts was written by another clock than ours.
    let passed = |until: Timestamp| until <= now || now.until(until) > RETRY_AFTER_MAX;
    let wait = |until| if passed(until) { Ok(()) } else { Err(Plan::Wait { until }) };
    match grant.standing {
        Standing::CoolingDown { until } => wait(until)?,
        Standing::Live => {}
        Standing::Parked { cause, .. } => return Err(Plan::NeedsUser(cause)),
        // No breaker: what was begun is counted, and this only finds out what became of it.
        Standing::Renewing { since, attempt } => {
            wait(since.plus(doubt_delay(attempt)))?;
            return held_back(grant, ask, lead, attempt, now);
        }
        Standing::Revoking { .. } => return Err(Plan::NeedsUser(Cause::LoggedOut)),
    }
    match disputed(grant, ask) {
        Some(By::Resource { accepted }) if !nearly_due(grant, now) => {
            grant.breaker.permits(accepted, now).or_else(wait)
        }
        Some(By::Resource { .. } | By::Person) | None => Ok(()),
    }
}

/// What is put off for the sake of the held access token. One that a resource refuses is worth nothing.
fn held_back(grant: &Grant, ask: Ask, lead: Lead, attempt: u8, now: Timestamp) -> Result<(), Plan<'static>> {
    let refused = has_lost_key(grant) || matches!(disputed(grant, ask), Some(By::Resource { .. }));
    let until = grant.tokens.as_ref().filter(|_| !refused).and_then(|tokens| lead.held_back_until(tokens, attempt));
    match until {
        // May be further off than any pause lasts: it goes by the life of a token, and by no record of a wait.
        Some(until) if now < until => Err(Plan::Wait { until }),
        Some(_) | None => Ok(()),
    }
}

fn renewable(grant: &Grant, strategy: &Strategy) -> Result<(), Plan<'static>> {
    // Whoever signed out is not told that nobody ever signed in.
    if let (Standing::Parked { cause, .. }, None) = (grant.standing, &grant.tokens) {
        return Err(Plan::NeedsUser(cause));
    }
    if strategy.renewal == Renewal::Refresh && has_lost_key(grant) {
        return Err(Plan::NeedsUser(Cause::ProofKeyLost));
    }
    let refreshable = grant.tokens.as_ref().is_some_and(|tokens| tokens.refresh.is_some());
    match (strategy.renewal, &grant.tokens) {
        (Renewal::Refresh, _) if refreshable => Ok(()),
        (Renewal::Delegate | Renewal::Remint, _) => Ok(()),
        (Renewal::Never | Renewal::Refresh, None) => Err(Plan::NeedsUser(Cause::NeverGranted)),
        (Renewal::Never | Renewal::Refresh, Some(_)) => Err(Plan::NeedsUser(Cause::NotRenewable)),
    }
}

/// Whether the held token is in the second half of its life. A renewal then at most doubles the
/// ordinary rate, so the breaker does not count it: servers that count lives in whole seconds
/// refuse short tokens up to a second early, again and again.
pub(crate) fn nearly_due(grant: &Grant, now: Timestamp) -> bool {
    let tokens = grant.tokens.as_ref();
    tokens.and_then(|held| Some(now.since(held.issued_at) >= held.life()? / 2)).unwrap_or(false)
}
