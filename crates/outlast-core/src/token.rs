//! A set of tokens, its generation, and the rule for merging a renewal into it.

use crate::clock::Timestamp;
use crate::secret::Secret;
use crate::wire::TokenResponse;
use std::fmt;
use std::time::Duration;

/// Names one token set of a grant. Rises by one with every renewal and never falls; callers
/// complain about a token by its generation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Generation(pub u64);

impl Generation {
    /// The one that follows.
    #[must_use]
    pub fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

impl fmt::Display for Generation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// How the access token is presented to the resource server (RFC 6749 7.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum TokenType {
    /// RFC 6750.
    #[default]
    Bearer,
    /// RFC 9449.
    Dpop,
}

/// What a grant holds at one generation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenSet {
    /// The access token.
    pub access: Secret,
    /// The refresh token, where the server gave one.
    pub refresh: Option<Secret>,
    /// How the access token is presented.
    pub token_type: TokenType,
    /// When the request that brought the access token was started: its life counts from there,
    /// so that a slow answer never makes a token look younger than it is.
    pub issued_at: Timestamp,
    /// When the access token ends, where the server said so.
    pub expires_at: Option<Timestamp>,
    /// The scope the server says it granted, where that is not what was asked (RFC 6749 5.1).
    pub scope: Option<Vec<String>>,
}

impl TokenSet {
    /// The life the server granted, where it said.
    pub fn life(&self) -> Option<Duration> {
        self.expires_at.map(|end| end.since(self.issued_at))
    }

    /// This set after a renewal that was started at `now`.
    ///
    /// A refresh token or scope that the answer leaves out stays as it was (RFC 6749 6); an empty
    /// refresh token counts as left out. A new refresh token replaces the held one.
    #[must_use]
    pub fn renewed_by(&self, response: TokenResponse, now: Timestamp) -> TokenSet {
        let held = self.clone();
        let mut next = TokenSet::first(response, now);
        next.refresh = next.refresh.or(held.refresh);
        next.scope = next.scope.or(held.scope);
        next
    }

    /// The first set of a grant, from an answer whose request was started at `now`.
    pub fn first(response: TokenResponse, now: Timestamp) -> TokenSet {
        TokenSet {
            access: response.access,
            refresh: response.refresh.filter(|token| !token.is_empty()),
            token_type: response.token_type,
            issued_at: now,
            expires_at: response.expires_in.map(|life| now.plus(life)),
            scope: response.scope,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn response(refresh: Option<&str>) -> TokenResponse {
        TokenResponse { refresh: refresh.map(Secret::new), ..TokenResponse::bearer("new") }
    }

    fn held() -> TokenSet {
        TokenSet::first(response(Some("kept")), Timestamp::from_secs(1))
    }

    #[test]
    fn n07_an_absent_refresh_token_keeps_the_held_one() {
        let next = held().renewed_by(response(None), Timestamp::from_secs(2));
        assert_eq!(next.refresh, Some(Secret::new("kept")));
    }

    #[test]
    fn n07_an_empty_refresh_token_keeps_the_held_one() {
        let next = held().renewed_by(response(Some("")), Timestamp::from_secs(2));
        assert_eq!(next.refresh, Some(Secret::new("kept")));
    }

    #[test]
    fn n07_a_new_refresh_token_replaces_the_held_one() {
        let next = held().renewed_by(response(Some("fresh")), Timestamp::from_secs(2));
        assert_eq!(next.refresh, Some(Secret::new("fresh")));
    }

    #[test]
    fn f44_a_life_without_end_does_not_overflow() {
        let mut endless = response(None);
        endless.expires_in = Some(Duration::MAX);
        let next = held().renewed_by(endless, Timestamp::from_secs(2));
        assert_eq!(next.expires_at, Some(Timestamp::from_millis(u64::MAX)));
    }
}
