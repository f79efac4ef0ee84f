//! PROACTIVE REFRESH: when a token set is due for renewal (D11).

use crate::clock::Timestamp;
use crate::grant::{Grant, GrantId, Standing};
use crate::token::TokenSet;
use std::time::Duration;

/// Share of the granted life, in thousandths, after which a renewal is due on average.
const DUE_PERMILLE: u64 = 750;
/// How far a grant's own share may lie from the average, either way.
const JITTER_PERMILLE: u64 = 50;
/// Share of the granted life that an asker may demand to have left.
const DEMAND_PERMILLE_MAX: u64 = 900;
/// Share of its life, in thousandths, up to which an access token is worth more than to know what
/// became of a refresh token (D4).
const WORTH_PERMILLE: u64 = 800;
/// What a demand that no token of this server can meet is cut down to.
const DEMAND_PERMILLE_UNMET: u64 = 500;

/// After which share of its life a token of a grant is due. Each grant has its own share between
/// 70 and 80 per cent, so that grants made together are not renewed together; never a fixed
/// margin, for a margin that suits an hour exceeds the whole life of a short token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lead {
    permille: u64,
    at_most: Option<Duration>,
    no_grace: bool,
}

impl Lead {
    /// The share of this grant.
    pub fn of(id: &GrantId) -> Self {
        let permille = DUE_PERMILLE - JITTER_PERMILLE + hash(id.as_str().as_bytes()) % (2 * JITTER_PERMILLE + 1);
        Self { permille, at_most: None, no_grace: false }
    }

    /// This share, but never later than `at_most` after the last renewal: for grants that end when
    /// they are idle, and keys that are rotated (F47).
    #[must_use]
    pub fn at_most(self, at_most: Option<Duration>) -> Self {
        Self { at_most, ..self }
    }

    /// This share at a server that is known to end the whole family when a replaced refresh token is
    /// used again, however soon.
    #[must_use]
    pub fn without_grace(self, no_grace: bool) -> Self {
        Self { no_grace, ..self }
    }

    /// Until when the attempt of unknown fate of that number is not repeated for the held tokens' sake
    /// (D4). A server without grace that has rotated ends the family at the first repetition, and the access
    /// token with it: so that is put off until little of that token's life is left.
    pub fn held_back_until(self, tokens: &TokenSet, attempt: u8) -> Option<Timestamp> {
        let life = tokens.life().filter(|_| self.no_grace && attempt <= 1)?;
        Some(tokens.issued_at.plus(share(life, WORTH_PERMILLE)))
    }

    /// When this token set is due; never, if its life is not known and nothing else says when.
    pub fn due_at(self, tokens: &TokenSet) -> Option<Timestamp> {
        let by_life = tokens.life().map(|life| tokens.issued_at.plus(share(life, self.permille)));
        let at_most = self.at_most.map(|at_most| tokens.issued_at.plus(at_most));
        by_life.into_iter().chain(at_most).min()
    }
}

/// How fresh a token set is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Freshness {
    /// To be renewed, and good to serve meanwhile.
    Due,
    /// Past its end.
    Expired,
    /// Good.
    Fresh,
}

/// How fresh a token set is at `now`. A set of unknown life is fresh until it is refused (N05).
pub fn freshness(tokens: &TokenSet, lead: Lead, now: Timestamp) -> Freshness {
    match (tokens.expires_at, lead.due_at(tokens)) {
        (Some(end), _) if now >= end => Freshness::Expired,
        (_, Some(due)) if now >= due => Freshness::Due,
        _ => Freshness::Fresh,
    }
}

/// The remaining life an asker can be promised: what was demanded, cut down to what this server
/// grants at all; otherwise every asker with a larger demand would cause a renewal.
pub fn demand(tokens: &TokenSet, min_ttl: Duration) -> Duration {
    match tokens.life() {
        Some(life) if min_ttl > share(life, DEMAND_PERMILLE_MAX) => share(life, DEMAND_PERMILLE_UNMET),
        _ => min_ttl,
    }
}

/// When the refresher has to look at a grant next; nothing if only an event can change it.
pub fn next_wake(grant: &Grant, lead: Lead) -> Option<Timestamp> {
    let due = grant.tokens.as_ref().and_then(|tokens| lead.due_at(tokens))?;
    match grant.standing {
        Standing::CoolingDown { until } => Some(due.max(until)),
        Standing::Live => Some(due),
        Standing::Parked { .. } => None,
        Standing::Revoking { retry_at, .. } => Some(retry_at),
        Standing::Renewing { since, attempt } => {
            let held_back = grant.tokens.as_ref().and_then(|tokens| lead.held_back_until(tokens, attempt));
            Some(since.plus(doubt_delay(attempt)).max(held_back.unwrap_or_default()))
        }
    }
}

/// How long after an attempt of unknown fate the next may be made (D4): two quick ones, to hit the
/// server's grace window, then ever slower.
pub fn doubt_delay(attempt: u8) -> Duration {
    match attempt {
        0 | 1 => Duration::from_millis(500),
        2 => Duration::from_secs(3),
        n => Duration::from_secs(3_u64.saturating_mul(1 << (n - 2).min(5))).min(BACK_OFF_MAX),
    }
}

/// First pause after a failure.
pub const BACK_OFF_FIRST: Duration = Duration::from_millis(500);
/// Longest pause between two attempts that failed for a passing reason.
pub const BACK_OFF_MAX: Duration = Duration::from_secs(60);

/// Shortest pause before a server is asked again to revoke tokens; also the time after which whoever
/// began it is taken for dead.
pub const REVOKE_AGAIN_MIN: Duration = Duration::from_secs(60);
/// Longest pause before a server is asked again to revoke tokens, if it names none.
pub const REVOKE_AGAIN_MAX: Duration = Duration::from_secs(60 * 60);
/// Longest pause that a server may ask for (RFC 7009 2.2.1).
const REVOKE_AFTER_MAX: Duration = Duration::from_secs(24 * 60 * 60);

/// The pause after a server did not revoke the tokens of a grant that was signed out of since `since`:
/// as long again as it has been tried for, and not shorter than the server asked for (N24).
pub fn revoke_again(since: Timestamp, asked: Option<Duration>, now: Timestamp) -> Duration {
    let tried_for = now.since(since).clamp(REVOKE_AGAIN_MIN, REVOKE_AGAIN_MAX);
    tried_for.max(asked.unwrap_or_default().min(REVOKE_AFTER_MAX))
}

/// The pause after this many failures in a row: doubling, and different for each grant by up to a
/// tenth, so that grants that failed together do not come back together.
pub fn back_off(id: &GrantId, failures: u8) -> Duration {
    let doubled = BACK_OFF_FIRST.saturating_mul(1 << failures.saturating_sub(1).min(10)).min(BACK_OFF_MAX);
    let spread = hash(id.as_str().as_bytes()) % 100;
    doubled.saturating_sub(share(doubled, spread))
}

fn share(of: Duration, permille: u64) -> Duration {
    let millis = u128::from(permille) * of.as_millis() / 1000;
    Duration::from_millis(u64::try_from(millis).unwrap_or(u64::MAX))
}

/// FNV-1a: stable over processes and versions, which the standard library's hasher is not.
pub(crate) fn hash(bytes: &[u8]) -> u64 {
    let folded = bytes
        .iter()
        .fold(0xcbf2_9ce4_8422_2325, |hash: u64, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3));
    // The low bits of a short name's FNV differ little; fold the high half in.
    folded ^ (folded >> 32)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::TokenResponse;

    fn tokens(life_secs: u64) -> TokenSet {
        let life = Some(Duration::from_secs(life_secs));
        TokenSet::first(TokenResponse { expires_in: life, ..TokenResponse::bearer("a") }, Timestamp::from_secs(1000))
    }

    fn id(name: &str) -> GrantId {
        GrantId::parse(name).unwrap()
    }

    #[test]
    fn d11_due_lies_between_70_and_80_per_cent_of_any_life() {
        for life in [1, 2, 3, 10, 300, 3600, 86_400, 31_536_000] {
            for name in 0..200 {
                let due = Lead::of(&id(&format!("g{name}"))).due_at(&tokens(life)).unwrap();
                let part = due.since(Timestamp::from_secs(1000)).as_millis() as f64 / (life as f64 * 1000.0);
                assert!((0.699..=0.801).contains(&part), "{life} {name} {part}");
            }
        }
    }

    #[test]
    fn d11_grants_made_together_are_not_due_together() {
        let dues: std::collections::BTreeSet<_> =
            (0..100).map(|n| Lead::of(&id(&format!("tenant-{n}"))).due_at(&tokens(3600))).collect();
        assert!(dues.len() > 30, "{}", dues.len());
    }

    #[test]
    fn f45_a_token_of_two_seconds_is_fresh_then_due_then_expired() {
        let (lead, held) = (Lead::of(&id("crm")), tokens(2));
        let at = |millis: u64| freshness(&held, lead, Timestamp::from_millis(1_000_000 + millis));
        assert_eq!([at(0), at(1399), at(1601), at(1999), at(2000)], {
            use Freshness::{Due, Expired, Fresh};
            [Fresh, Fresh, Due, Due, Expired]
        });
    }

    #[test]
    fn n05_a_token_of_unknown_life_stays_fresh() {
        let held = TokenSet::first(TokenResponse::bearer("a"), Timestamp::from_secs(1000));
        assert_eq!(freshness(&held, Lead::of(&id("crm")), Timestamp::from_secs(u64::MAX / 2000)), Freshness::Fresh);
    }

    #[test]
    fn a_demand_beyond_the_granted_life_is_cut_down() {
        assert_eq!(demand(&tokens(3600), Duration::from_secs(1800)), Duration::from_secs(1800));
        assert_eq!(demand(&tokens(60), Duration::from_secs(300)), Duration::from_secs(30));
    }

    #[test]
    fn back_off_doubles_up_to_a_minute() {
        let pauses: Vec<_> = (1..=12).map(|failures| back_off(&id("crm"), failures)).collect();
        assert!(pauses.is_sorted());
        assert!(pauses[0] >= Duration::from_millis(450) && pauses[0] <= Duration::from_millis(500));
        assert!(pauses[11] >= Duration::from_secs(54) && pauses[11] <= Duration::from_secs(60));
    }

    #[test]
    fn d12_grants_that_failed_together_do_not_come_back_together() {
        for failures in [1, 4, 8, 200] {
            let pauses: std::collections::BTreeSet<_> =
                (0..100).map(|n| back_off(&id(&format!("tenant-{n}")), failures)).collect();
            assert!(pauses.len() > 30, "{failures}: {}", pauses.len());
        }
    }
}
