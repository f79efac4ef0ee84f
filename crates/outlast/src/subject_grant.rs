//! A grant that is exchanged from others: gets their tokens first (RFC 8693).

use crate::keeper::{Entry, Keeper};
use crate::published::AccessToken;
use crate::settings::GrantSettings;
use crate::token_error::TokenError;
use outlast_core::classify::Verdict;
use outlast_core::plan::{By, Rejected};
use outlast_core::{Ask, BoxFuture, GrantId, Outcome};
use std::collections::{BTreeMap, BTreeSet};

/// The option that names the grant whose token is exchanged.
const SUBJECT_GRANT: &str = "subject_grant";
/// The option that names the grant whose token acts for it.
const ACTOR_GRANT: &str = "actor_grant";

impl GrantSettings {
    /// The grants whose tokens this one is had for: whom it is for, and who acts for them.
    pub fn grants_behind(&self) -> impl Iterator<Item = &GrantId> {
        [SUBJECT_GRANT, ACTOR_GRANT].into_iter().filter_map(|name| self.options.grant(name))
    }
}

/// The tokens of the grants that a grant is exchanged from. Two members and not a list: whose token
/// stands for whom is never confused (N27).
#[derive(Clone, Default)]
pub(crate) struct TokensBehind {
    pub(crate) subject: Option<AccessToken>,
    pub(crate) actor: Option<AccessToken>,
}

impl TokensBehind {
    pub(crate) fn is_empty(&self) -> bool {
        self.subject.is_none() && self.actor.is_none()
    }
}

impl Keeper {
    /// The tokens to exchange, if there are any: good, and others than `refused`. Asked for before the
    /// lease of the grant that wants them, so that no two leases are ever held at once.
    ///
    /// # Errors
    /// Those of the other grants, by their names: it is their owners who can go on.
    pub(crate) async fn tokens_behind(
        &self,
        entry: &Entry,
        refused: Option<&TokensBehind>,
    ) -> Result<TokensBehind, TokenError> {
        let options = &entry.settings.options;
        // No server says which of the two it refuses: both are brought anew, once.
        let (subject, actor) =
            refused.map_or((None, None), |refused| (refused.subject.as_ref(), refused.actor.as_ref()));
        Ok(TokensBehind {
            subject: self.token_behind(options.grant(SUBJECT_GRANT), subject).await?,
            actor: self.token_behind(options.grant(ACTOR_GRANT), actor).await?,
        })
    }

    fn token_behind<'a>(
        &'a self,
        grant: Option<&'a GrantId>,
        refused: Option<&'a AccessToken>,
    ) -> BoxFuture<'a, Result<Option<AccessToken>, TokenError>> {
        // Boxed by name: the other grant may be exchanged from a third.
        Box::pin(async move {
            let Some(id) = grant else { return Ok(None) };
            let by = By::Resource { accepted: true };
            let rejected = refused.map(|token| Rejected { generation: token.generation(), by });
            self.any_grant(id)?.access_token(Ask { rejected, ..Ask::default() }).await.map(Some)
        })
    }
}

/// Whether the server refused an exchange for what it was given, and not for who asked.
pub(crate) fn refuses_tokens(outcome: &Outcome) -> bool {
    match outcome {
        Outcome::Refused(Verdict::GrantDead | Verdict::AccessTokenExpired | Verdict::AccessTokenInvalid, _) => true,
        // What RFC 8693 2.2.2 says of a subject or actor token that is not good.
        Outcome::Refused(_, evidence) => evidence.found == "invalid_request",
        Outcome::CommandFailed { .. }
        | Outcome::Discarded { .. }
        | Outcome::InDoubt { .. }
        | Outcome::Redirected { .. }
        | Outcome::Renewed(_)
        | Outcome::Reused(_)
        | Outcome::RotationInDoubt { .. }
        | Outcome::Unsent(_) => false,
    }
}

/// What is wrong with a chain of exchanges.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Broken {
    /// It comes back to where it began.
    Circle(GrantId),
    /// It names a grant that is not there.
    Missing {
        /// The grant that names it.
        grant: GrantId,
        /// The name.
        behind: GrantId,
    },
}

/// Checks that every chain of exchanges ends; `behind` says of each grant which it is exchanged from.
pub(crate) fn check_chains(behind: &BTreeMap<GrantId, Vec<GrantId>>) -> Result<(), Broken> {
    for (grant, names) in behind {
        if let Some(missing) = names.iter().find(|name| !behind.contains_key(*name)) {
            return Err(Broken::Missing { grant: grant.clone(), behind: missing.clone() });
        }
    }
    // Takes away what rests only on what was taken away before: what is left goes in a circle.
    let mut left: BTreeMap<&GrantId, &Vec<GrantId>> = behind.iter().collect();
    loop {
        let ends: BTreeSet<&GrantId> = left
            .iter()
            .filter(|(_, names)| !names.iter().any(|name| left.contains_key(name)))
            .map(|(id, _)| *id)
            .collect();
        if ends.is_empty() {
            return left.keys().next().map_or(Ok(()), |grant| Err(Broken::Circle((*grant).clone())));
        }
        left.retain(|id, _| !ends.contains(id));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(name: &str) -> GrantId {
        GrantId::parse(name).unwrap()
    }

    fn checked(pairs: &[(&str, &[&str])]) -> Result<(), Broken> {
        check_chains(
            &pairs.iter().map(|(name, behind)| (id(name), behind.iter().map(|name| id(name)).collect())).collect(),
        )
    }

    #[test]
    fn a_chain_ends_or_is_refused() {
        assert_eq!(checked(&[("a", &[]), ("b", &["a"]), ("c", &["b", "a"])]), Ok(()));
        assert_eq!(checked(&[("a", &["a"])]), Err(Broken::Circle(id("a"))));
        assert_eq!(checked(&[("a", &["b"]), ("b", &["a"])]), Err(Broken::Circle(id("a"))));
        let by_actor = checked(&[("a", &[]), ("b", &["a", "c"]), ("c", &["a", "b"])]);
        assert_eq!(by_actor, Err(Broken::Circle(id("b"))), "whoever acts is part of the chain");
        let missing = Broken::Missing { grant: id("b"), behind: id("x") };
        assert_eq!(checked(&[("a", &[]), ("b", &["a", "x"])]), Err(missing));
    }
}
