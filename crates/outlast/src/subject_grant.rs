//! A grant that is exchanged from another: gets the other's token first (RFC 8693).

use crate::keeper::{Entry, Keeper};
use crate::published::AccessToken;
use crate::settings::GrantSettings;
use crate::token_error::TokenError;
use outlast_core::classify::Verdict;
use outlast_core::plan::{By, Rejected};
use outlast_core::{Ask, BoxFuture, GrantId, Outcome};
use std::collections::BTreeMap;

/// The option that names the other grant.
const SUBJECT_GRANT: &str = "subject_grant";

impl GrantSettings {
    /// The grant this one is exchanged from, for one that is had by exchange.
    pub fn subject_grant(&self) -> Option<&GrantId> {
        self.options.grant(SUBJECT_GRANT)
    }
}

impl Keeper {
    /// The token to exchange, if there is one: good, and another than `refused`. Asked for before the
    /// lease of the grant that wants it, so that no two leases are ever held at once.
    ///
    /// # Errors
    /// Those of the other grant, by its name: it is that one's owner who can go on.
    pub(crate) fn subject_token<'a>(
        &'a self,
        entry: &'a Entry,
        refused: Option<&'a AccessToken>,
    ) -> BoxFuture<'a, Result<Option<AccessToken>, TokenError>> {
        // Boxed by name: the other grant may be exchanged from a third.
        Box::pin(async move {
            let Some(id) = entry.settings.subject_grant() else { return Ok(None) };
            let by = By::Resource { accepted: true };
            let rejected = refused.map(|token| Rejected { generation: token.generation(), by });
            self.any_grant(id)?.access_token(Ask { rejected, ..Ask::default() }).await.map(Some)
        })
    }
}

/// Whether the server refused an exchange for what it was given, and not for who asked.
pub(crate) fn refuses_subject(outcome: &Outcome) -> bool {
    match outcome {
        Outcome::Refused(Verdict::GrantDead | Verdict::AccessTokenExpired | Verdict::AccessTokenInvalid, _) => true,
        // What RFC 8693 2.2.2 says of a subject token that is not good.
        Outcome::Refused(_, evidence) => evidence.found == "invalid_request",
        Outcome::CommandFailed { .. }
        | Outcome::Discarded { .. }
        | Outcome::InDoubt { .. }
        | Outcome::Renewed(_)
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
        subject: GrantId,
    },
}

/// Checks that every chain of exchanges ends; `subjects` says of each grant which it is exchanged
/// from.
pub(crate) fn check_chains(subjects: &BTreeMap<GrantId, Option<GrantId>>) -> Result<(), Broken> {
    for start in subjects.keys() {
        let mut at = start;
        // A chain that is longer than there are grants goes in a circle.
        for step in 0..=subjects.len() {
            match subjects.get(at) {
                Some(None) => break,
                Some(Some(_)) if step == subjects.len() => return Err(Broken::Circle(start.clone())),
                Some(Some(next)) if subjects.contains_key(next) => at = next,
                Some(Some(next)) => return Err(Broken::Missing { grant: at.clone(), subject: next.clone() }),
                None => break,
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(name: &str) -> GrantId {
        GrantId::parse(name).unwrap()
    }

    fn checked(pairs: &[(&str, Option<&str>)]) -> Result<(), Broken> {
        check_chains(&pairs.iter().map(|(name, subject)| (id(name), subject.map(id))).collect())
    }

    #[test]
    fn a_chain_ends_or_is_refused() {
        assert_eq!(checked(&[("a", None), ("b", Some("a")), ("c", Some("b"))]), Ok(()));
        assert_eq!(checked(&[("a", Some("a"))]), Err(Broken::Circle(id("a"))));
        assert_eq!(checked(&[("a", Some("b")), ("b", Some("a"))]), Err(Broken::Circle(id("a"))));
        let missing = Broken::Missing { grant: id("b"), subject: id("x") };
        assert_eq!(checked(&[("a", Some("b")), ("b", Some("x"))]), Err(missing));
    }
}
