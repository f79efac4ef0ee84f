//! The decisions of the authorization server: who holds what, and what a presented token deserves.
//!
//! Pure: time comes in as the duration since the sandbox started, new tokens come in made.

use crate::counters::Counters;
use crate::remembered::Remembered;
use crate::settings::{IssuedTokens, Settings};
use std::collections::BTreeMap;
use std::time::Duration;

/// Two tokens nobody has seen yet.
pub(crate) struct FreshTokens {
    pub(crate) access: String,
    pub(crate) refresh: String,
}

/// Why a refresh token was refused; every one is `invalid_grant` to the client (RFC 6749 5.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    Expired,
    FamilyRevoked,
    /// The refusal that just revoked the family.
    Reused,
    Unknown,
}

/// What a presented access token is worth.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Access {
    Expired,
    Granted {
        family: Option<u64>,
        left: Duration,
    },
    /// Never issued, revoked or forgotten: the API tells no more about it.
    Invalid,
}

/// Whose token request is in progress: a family's, or the client's own (`None`).
pub(crate) type FlightOf = Option<u64>;

#[derive(Default)]
struct Family {
    revoked: bool,
    /// When the youngest refresh token of the family runs out.
    lives_until: Duration,
}

struct RefreshToken {
    family: u64,
    expires_at: Duration,
    rotated_at: Option<Duration>,
}

struct AccessToken {
    family: Option<u64>,
    expires_at: Duration,
    revoked: bool,
}

/// The authorization server without its sockets.
pub(crate) struct AuthorizationServer {
    access_ttl: Duration,
    refresh_ttl: Duration,
    rotation_grace: Duration,
    rotate: bool,
    fractional: bool,
    families: Remembered<u64, Family>,
    families_issued: u64,
    refresh_tokens: Remembered<String, RefreshToken>,
    access_tokens: Remembered<String, AccessToken>,
    in_progress: BTreeMap<FlightOf, u64>,
    counters: Counters,
}

impl AuthorizationServer {
    pub(crate) fn new(settings: &Settings) -> Self {
        Self {
            access_ttl: settings.access_ttl,
            refresh_ttl: settings.refresh_ttl,
            rotation_grace: settings.rotation_grace,
            rotate: settings.rotate,
            fractional: settings.fractional_expires_in,
            families: Remembered::default(),
            families_issued: 0,
            refresh_tokens: Remembered::default(),
            access_tokens: Remembered::default(),
            in_progress: BTreeMap::new(),
            counters: Counters::default(),
        }
    }

    /// A new family with its first tokens, as after a login.
    pub(crate) fn issue(&mut self, fresh: FreshTokens, now: Duration) -> IssuedTokens {
        self.families_issued += 1;
        let family = self.families_issued;
        self.families.insert(family, Family::default());
        self.hand_out(fresh, family, now)
    }

    /// Redeems a refresh token. A reused one beyond its grace revokes its family on the spot.
    pub(crate) fn refresh(
        &mut self,
        presented: &str,
        fresh: FreshTokens,
        now: Duration,
    ) -> Result<IssuedTokens, Refusal> {
        let held = self.refresh_tokens.get_mut(presented).ok_or(Refusal::Unknown)?;
        let family = held.family;
        if self.families.get_mut(&family).is_none_or(|family| family.revoked) {
            return Err(Refusal::FamilyRevoked);
        }
        if held.rotated_at.is_some_and(|at| now >= at.saturating_add(self.rotation_grace)) {
            self.counters.reuse_alarms += 1;
            self.revoke_family(family);
            return Err(Refusal::Reused);
        }
        if now >= held.expires_at {
            return Err(Refusal::Expired);
        }
        self.counters.refreshes += 1;
        if self.rotate {
            self.counters.rotations += 1;
            // A reuse within the grace must not start the grace anew.
            held.rotated_at.get_or_insert(now);
            return Ok(self.hand_out(fresh, family, now));
        }
        Ok(self.hand_out_access(fresh.access, Some(family), now))
    }

    /// An access token for the client itself; it belongs to no family and has no refresh token.
    pub(crate) fn client_credentials(&mut self, fresh: FreshTokens, now: Duration) -> IssuedTokens {
        self.counters.client_credentials += 1;
        self.hand_out_access(fresh.access, None, now)
    }

    /// RFC 7009: a refresh token takes its family along, an access token goes alone, others are ignored.
    pub(crate) fn revoke(&mut self, token: &str) {
        if let Some(family) = self.refresh_tokens.get_mut(token).map(|held| held.family) {
            self.revoke_family(family);
        } else if let Some(held) = self.access_tokens.get_mut(token) {
            held.revoked = true;
        }
    }

    /// Revokes one family with all its tokens; false if it was unknown or revoked before.
    pub(crate) fn revoke_family(&mut self, family: u64) -> bool {
        let Some(held) = self.families.get_mut(&family).filter(|held| !held.revoked) else { return false };
        held.revoked = true;
        self.counters.families_revoked += 1;
        true
    }

    /// Revokes every family and tells how many that were.
    pub(crate) fn revoke_families(&mut self) -> usize {
        let living: Vec<u64> = self.families.iter().filter(|(_, held)| !held.revoked).map(|(id, _)| *id).collect();
        living.into_iter().filter(|family| self.revoke_family(*family)).count()
    }

    /// Early revocation: every access token that lives dies now, refresh tokens stay good. Tells how many died.
    pub(crate) fn kill_access_tokens(&mut self, now: Duration) -> usize {
        let living = self.access_tokens.values_mut().filter(|held| !held.revoked && now < held.expires_at);
        living.map(|held| held.revoked = true).count()
    }

    /// What the API makes of a presented access token.
    pub(crate) fn judge(&mut self, token: &str, now: Duration) -> Access {
        let Some(held) = self.access_tokens.get_mut(token) else { return Access::Invalid };
        let family = held.family;
        let family_gone = family.is_some_and(|id| self.families.get_mut(&id).is_none_or(|family| family.revoked));
        if held.revoked || family_gone {
            return Access::Invalid;
        }
        if now >= held.expires_at {
            return Access::Expired;
        }
        Access::Granted { family, left: held.expires_at.saturating_sub(now) }
    }

    /// A token request arrived; it stays in progress until [`Self::leave`] is told the same.
    pub(crate) fn enter(&mut self, refresh_token: Option<&str>) -> FlightOf {
        self.counters.token_requests += 1;
        let flight = refresh_token.and_then(|token| self.refresh_tokens.get_mut(token)).map(|held| held.family);
        let together = self.in_progress.entry(flight).or_default();
        *together += 1;
        let most = &mut self.counters.max_concurrent_token_requests_per_family;
        *most = (*most).max(*together);
        flight
    }

    /// A token request is over, answered or not.
    pub(crate) fn leave(&mut self, flight: FlightOf) {
        if let Some(together) = self.in_progress.get_mut(&flight) {
            *together -= 1;
            if *together == 0 {
                self.in_progress.remove(&flight);
            }
        }
    }

    /// A token request was answered with an error.
    pub(crate) fn note_refused(&mut self) {
        self.counters.token_refused += 1;
    }

    /// A person allowed a device what it asked for, and it has its tokens.
    pub(crate) fn note_device_login(&mut self) {
        self.counters.device_logins += 1;
    }

    /// A refresh was carried out and its answer thrown away.
    pub(crate) fn note_lost_answer(&mut self) {
        self.counters.lost_answers += 1;
    }

    /// The counters of the authorization server; those of the API are left at zero.
    pub(crate) fn counters(&self, now: Duration) -> Counters {
        let youngest = self.families.get(&self.families_issued);
        let grant_alive = youngest.is_some_and(|family| !family.revoked && now < family.lives_until);
        let token_requests_in_progress = self.in_progress.values().sum();
        Counters { grant_alive, token_requests_in_progress, ..self.counters.clone() }
    }

    fn hand_out(&mut self, fresh: FreshTokens, family: u64, now: Duration) -> IssuedTokens {
        let expires_at = now.saturating_add(self.refresh_ttl);
        if let Some(held) = self.families.get_mut(&family) {
            held.lives_until = expires_at;
        }
        self.refresh_tokens.insert(fresh.refresh.clone(), RefreshToken { family, expires_at, rotated_at: None });
        IssuedTokens { refresh: fresh.refresh, ..self.hand_out_access(fresh.access, Some(family), now) }
    }

    fn hand_out_access(&mut self, access: String, family: Option<u64>, now: Duration) -> IssuedTokens {
        let expires_at = now.saturating_add(self.access_ttl);
        self.access_tokens.insert(access.clone(), AccessToken { family, expires_at, revoked: false });
        IssuedTokens {
            access,
            refresh: String::new(),
            expires_in: self.access_ttl,
            family: family.unwrap_or(0),
            fractional: self.fractional,
        }
    }
}

#[cfg(test)]
mod tests;
