//! What only a person can give, remembered until the next login.

use crate::classify::StepUp;
use crate::clock::Timestamp;
use crate::freshness::hash;
use std::time::Duration;

/// Most challenged scopes that are remembered for one grant.
pub const WANTED_SCOPES_MAX: usize = 64;
/// How many sign-ins one and the same challenge is worth: one that comes again after so many is not
/// met by signing in (N46).
pub const TRIES_MAX: u8 = 3;
/// How many challenges are told apart; beyond that they are not counted.
const DEMANDS_MAX: usize = 16;
/// After this time a challenge that comes again is a new one, unless it names an age of its own.
const TRIES_COUNT_FOR: Duration = Duration::from_secs(24 * 3600);
/// The shortest such time: a demand for a sign-in of this very moment comes again at once.
const TRIES_COUNT_FOR_MIN: Duration = Duration::from_secs(5 * 60);
/// Longest scope, authentication context or claims request that is remembered, in bytes.
const WANTED_BYTES_MAX: usize = 4096;

/// What a server or resource asked for that only a person can give: goes with the next login
/// (RFC 6750 3.1, RFC 9470 3, OpenID Connect Core 3.1.2.1).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wanted {
    /// Scopes that were challenged for, besides the configured.
    pub scope: Vec<String>,
    /// Authentication context classes.
    pub acr_values: Option<String>,
    /// Largest age of the sign-in.
    pub max_age: Option<Duration>,
    /// A claims request, as it is.
    pub claims: Option<String>,
    /// The challenges that it comes from, and how often a person signed in for each.
    pub demands: Vec<Demand>,
}

/// One challenge of the grant's resource, and what was tried about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Demand {
    /// Tells what was asked for from other things that are.
    pub mark: u64,
    /// How many sign-ins since have asked for it.
    pub tries: u8,
    /// When the last of them was.
    pub tried_at: Option<Timestamp>,
}

impl Wanted {
    /// After a challenge for these scopes; nothing if [`TRIES_MAX`] sign-ins that asked for them did not
    /// end it, so that another would not either (N46).
    pub fn challenged_for_scope(&self, scopes: &[String], now: Timestamp) -> Option<Self> {
        let mut sorted = scopes.to_vec();
        sorted.sort_unstable();
        sorted.dedup();
        let mark = hash(format!("scope {}", sorted.join(" ")).as_bytes());
        self.demanded(mark, TRIES_COUNT_FOR, now).map(|next| next.with_scope(scopes))
    }

    /// The same for a demand on the sign-in itself (N34). One that names a largest age comes again by
    /// right when that has passed.
    pub fn challenged_for_sign_in(&self, step_up: &StepUp, now: Timestamp) -> Option<Self> {
        let StepUp { acr_values, max_age, claims } = step_up;
        let mark = hash(format!("sign-in {acr_values:?} {max_age:?} {claims:?}").as_bytes());
        let count_for = max_age.unwrap_or(TRIES_COUNT_FOR).max(TRIES_COUNT_FOR_MIN);
        self.demanded(mark, count_for, now).map(|next| next.with_step_up(step_up))
    }

    fn demanded(&self, mark: u64, count_for: Duration, now: Timestamp) -> Option<Self> {
        let mut next = self.clone();
        let Some(demand) = next.demands.iter_mut().find(|demand| demand.mark == mark) else {
            // Full is full: to put a new one in the place of an old one would let a resource that asks for
            // ever other things have the record written with each request.
            if next.demands.len() < DEMANDS_MAX {
                next.demands.push(Demand { mark, tries: 0, tried_at: None });
            }
            return Some(next);
        };
        if demand.tried_at.is_some_and(|at| at.plus(count_for) <= now) {
            (demand.tries, demand.tried_at) = (0, None);
        }
        (demand.tries < TRIES_MAX).then_some(next)
    }

    /// With these scopes as well: two resources that challenge in turn are both satisfied by one
    /// login (N47). Bounded: a hostile resource cannot fill the record.
    #[must_use]
    pub fn with_scope(&self, scopes: &[String]) -> Self {
        let mut next = self.clone();
        for scope in scopes.iter().filter(|scope| is_scope(scope)) {
            if next.scope.len() < WANTED_SCOPES_MAX && !next.scope.contains(scope) {
                next.scope.push(scope.clone());
            }
        }
        next
    }

    /// With this demand on the sign-in: the latest counts (RFC 9470 3), and what it does not speak
    /// of stays.
    #[must_use]
    pub fn with_step_up(&self, step_up: &StepUp) -> Self {
        let known = |text: &Option<String>| text.clone().filter(|text| is_short(text));
        Self {
            scope: self.scope.clone(),
            demands: self.demands.clone(),
            acr_values: known(&step_up.acr_values).or_else(|| self.acr_values.clone()),
            max_age: step_up.max_age.or(self.max_age),
            claims: known(&step_up.claims).or_else(|| self.claims.clone()),
        }
    }

    /// What remains after a login: the scopes, which every later login has to ask for again, and that
    /// it was a try to meet every challenge so far.
    #[must_use]
    pub(crate) fn signed_in(&self, now: Timestamp) -> Self {
        let is_recent = |demand: &&Demand| demand.tried_at.is_none_or(|at| now < at.plus(TRIES_COUNT_FOR));
        let tried = |demand: &Demand| Demand { tries: demand.tries.saturating_add(1), tried_at: Some(now), ..*demand };
        let demands = self.demands.iter().filter(is_recent).map(tried).collect();
        Self { scope: self.scope.clone(), demands, ..Self::default() }
    }

    /// Whether a sign-in itself is asked for, and not only more scope.
    pub fn asks_for_sign_in(&self) -> bool {
        self.acr_values.is_some() || self.max_age.is_some() || self.claims.is_some()
    }
}

/// Those of `asked` that are not in `granted`. What a server never echoes is not missed: the
/// scopes that ask for an ID token and for a refresh token.
pub(crate) fn lacking<'a>(asked: impl Iterator<Item = &'a str>, granted: &[String]) -> Vec<String> {
    let silent = |scope: &str| matches!(scope, "offline_access" | "openid");
    asked.filter(|scope| !silent(scope) && !granted.iter().any(|one| one == scope)).map(str::to_owned).collect()
}

/// RFC 6749 3.3: visible ASCII without quote and backslash.
fn is_scope(scope: &str) -> bool {
    !scope.is_empty() && is_short(scope) && scope.bytes().all(|byte| matches!(byte, 0x21 | 0x23..=0x5b | 0x5d..=0x7e))
}

fn is_short(text: &str) -> bool {
    text.len() <= WANTED_BYTES_MAX
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<String> {
        text.split(' ').map(str::to_owned).collect()
    }

    #[test]
    fn n47_two_alternating_challenges_come_to_their_union() {
        let wanted = Wanted::default().with_scope(&words("files:read")).with_scope(&words("mail:read files:read"));
        assert_eq!(wanted.scope, words("files:read mail:read"));
        assert_eq!(wanted.with_scope(&words("mail:read")), wanted);
    }

    #[test]
    fn n46_one_scope_past_the_limit_is_not_remembered() {
        let many: Vec<String> = (0..=WANTED_SCOPES_MAX).map(|n| format!("s{n}")).collect();
        assert_eq!(Wanted::default().with_scope(&many).scope.len(), WANTED_SCOPES_MAX);
    }

    #[test]
    fn what_is_no_scope_is_not_remembered() {
        let hostile = [String::new(), "a b".to_owned(), "a\r\nb".to_owned(), "\u{1b}[2J".to_owned(), "x".repeat(5000)];
        assert_eq!(Wanted::default().with_scope(&hostile), Wanted::default());
    }

    #[test]
    fn f42_a_step_up_keeps_what_it_does_not_speak_of() {
        let first = StepUp { acr_values: Some("mfa".to_owned()), ..StepUp::default() };
        let second = StepUp { max_age: Some(Duration::from_secs(60)), ..StepUp::default() };
        let wanted = Wanted::default().with_scope(&words("a")).with_step_up(&first).with_step_up(&second);
        assert_eq!((wanted.acr_values.as_deref(), wanted.max_age), (Some("mfa"), Some(Duration::from_secs(60))));
        assert!(wanted.asks_for_sign_in());
        let now = Timestamp::from_secs(1);
        assert_eq!(wanted.signed_in(now), Wanted::default().with_scope(&words("a")), "a login meets the rest");
    }

    const START: Timestamp = Timestamp::from_secs(1_000_000);
    const MINUTE: Duration = Duration::from_secs(60);

    /// Challenged by `challenge` and signed in, until the challenge is worth no sign-in any more; how often.
    fn sign_ins(challenge: impl Fn(&Wanted, Timestamp) -> Option<Wanted>, apart: Duration) -> usize {
        let (mut wanted, mut now) = (Wanted::default(), START);
        for done in 0..50 {
            let Some(next) = challenge(&wanted, now) else { return done };
            wanted = next.signed_in(now.plus(MINUTE));
            now = now.plus(apart);
        }
        50
    }

    #[test]
    fn n46_a_scope_that_three_sign_ins_did_not_bring_is_not_asked_for_a_fourth_time() {
        let scopes = words("files:write mail:read");
        let tries = sign_ins(|wanted, now| wanted.challenged_for_scope(&scopes, now), 10 * MINUTE);
        assert_eq!(tries, usize::from(TRIES_MAX));
        // The same set in another order is the same; each time another one is not.
        let turns = [words("a b"), words("b a")];
        let tries = sign_ins(|wanted, now| wanted.challenged_for_scope(&turns[wanted.demands.len() % 2], now), MINUTE);
        assert_eq!(tries, usize::from(TRIES_MAX));
        let tries = sign_ins(|wanted, now| wanted.challenged_for_scope(&scopes, now), 48 * 60 * MINUTE);
        assert_eq!(tries, 50, "days later it is asked for anew");
    }

    #[test]
    fn n46_a_challenge_that_is_given_up_takes_no_other_with_it() {
        let mut wanted = Wanted::default();
        for _ in 0..TRIES_MAX {
            wanted = wanted.challenged_for_scope(&words("a"), START).unwrap().signed_in(START);
        }
        assert_eq!(wanted.challenged_for_scope(&words("a"), START), None);
        let other = wanted.challenged_for_scope(&words("b"), START).unwrap();
        assert_eq!(other.scope, words("a b"), "and the union stays what it was (N47)");
    }

    #[test]
    fn n34_n46_three_sign_ins_that_are_not_enough_end_the_asking_but_an_age_that_passed_does_not() {
        let of = |max_age| StepUp { acr_values: Some("mfa".to_owned()), max_age, ..StepUp::default() };
        let (never, hourly, now) = (of(None), of(Some(60 * MINUTE)), of(Some(Duration::ZERO)));
        let tries = |step_up: &StepUp, apart| sign_ins(|wanted, at| wanted.challenged_for_sign_in(step_up, at), apart);
        assert_eq!(tries(&never, MINUTE), usize::from(TRIES_MAX));
        assert_eq!(tries(&hourly, MINUTE), usize::from(TRIES_MAX));
        assert_eq!(tries(&hourly, 2 * 60 * MINUTE), 50, "the sign-in grew too old each time");
        assert_eq!(tries(&now, MINUTE), usize::from(TRIES_MAX));
    }

    #[test]
    fn n46_one_challenge_past_the_limit_changes_nothing_that_is_kept() {
        let scope = |n: usize| vec![format!("s{}", n % WANTED_SCOPES_MAX)];
        let full = (0..WANTED_SCOPES_MAX)
            .fold(Wanted::default(), |wanted, n| wanted.challenged_for_scope(&scope(n), START).unwrap());
        assert_eq!(full.demands.len(), DEMANDS_MAX);
        for n in 0..200 {
            let pair = [scope(n), scope(n + 1)].concat();
            assert_eq!(full.challenged_for_scope(&pair, START).as_ref(), Some(&full), "it costs no write");
        }
    }
}
