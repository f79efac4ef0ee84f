//! What only a person can give, remembered until the next login.

use crate::classify::StepUp;
use std::time::Duration;

/// Most challenged scopes that are remembered for one grant.
pub const WANTED_SCOPES_MAX: usize = 64;
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
}

impl Wanted {
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
            acr_values: known(&step_up.acr_values).or_else(|| self.acr_values.clone()),
            max_age: step_up.max_age.or(self.max_age),
            claims: known(&step_up.claims).or_else(|| self.claims.clone()),
        }
    }

    /// What remains after a login: the scopes, which every later login has to ask for again.
    #[must_use]
    pub(crate) fn signed_in(&self) -> Self {
        Self { scope: self.scope.clone(), ..Self::default() }
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
        assert_eq!(wanted.signed_in(), Wanted::default().with_scope(&words("a")), "a login meets the rest");
    }
}
