//! What a login leaves behind: the record with the new token set, or a refusal because the grant is
//! pinned to somebody else (R18, F82).

use crate::clock::Timestamp;
use crate::grant::{Grant, Terms};
use crate::history::Happening;
use crate::secret::Secret;
use crate::token::TokenSet;
use crate::wire::TokenResponse;

/// Whose grant it is, as the server says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subject {
    /// What tells this person from others there.
    pub id: String,
    /// The issuer that said so in an ID token; a subject means something together with it only
    /// (OpenID Connect Core 2).
    pub issuer: Option<String>,
    /// The name the person is known by.
    pub name: Option<String>,
}

/// What a login brought.
#[derive(Clone, Debug)]
pub struct SignedIn {
    /// The token set.
    pub response: TokenResponse,
    /// Who signed in, where the server says.
    pub subject: Option<Subject>,
    /// The key the tokens are bound to.
    pub proof_key: Option<Secret>,
    /// When the request for the tokens was started.
    pub started_at: Timestamp,
    /// Whether another account may take the place of the one that is held.
    pub switch_account: bool,
}

/// Somebody else signed in. Names as the server gave them: escape before showing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OtherAccount {
    /// Who was expected.
    pub held: String,
    /// Who came, where the server says.
    pub found: Option<String>,
}

/// The record after a login: one generation on, live, and pinned to who signed in.
pub fn sign_in(held: &Grant, terms: &Terms, signed_in: SignedIn, now: Timestamp) -> Result<Grant, OtherAccount> {
    let SignedIn { response, subject, proof_key, started_at, switch_account } = signed_in;
    if !switch_account {
        same_account(held, terms, subject.as_ref())?;
    }
    let (id, issuer, name) = match subject {
        Some(subject) => (Some(subject.id), subject.issuer, subject.name),
        None => (None, None, None),
    };
    let next = Grant {
        subject: id,
        subject_issuer: issuer,
        subject_name: name,
        proof_key,
        ends_at: response.refresh_expires_in.map(|life| started_at.plus(life)),
        renewed_at: Some(now),
        ..held.granted(terms, TokenSet::first(response, started_at))
    };
    Ok(next.noting(Happening::SignedIn, now))
}

fn same_account(held: &Grant, terms: &Terms, found: Option<&Subject>) -> Result<(), OtherAccount> {
    let Some(pinned) = &held.subject else { return Ok(()) };
    // The name of a person at one server means nothing at another; that the server was changed is
    // the doing of whoever wrote the configuration.
    if held.authorization_server != terms.authorization_server {
        return Ok(());
    }
    let other_issuer = |found: &Subject| match (&held.subject_issuer, &found.issuer) {
        (Some(held), Some(found)) => held != found,
        (None, _) | (_, None) => false,
    };
    match found {
        Some(found) if &found.id == pinned && !other_issuer(found) => Ok(()),
        // Nobody named is refused too: it may be anybody.
        found => Err(OtherAccount {
            held: known_as(pinned, held.subject_name.as_deref()),
            found: found.map(|found| known_as(&found.id, found.name.as_deref())),
        }),
    }
}

fn known_as(id: &str, name: Option<&str>) -> String {
    match name {
        Some(name) if name != id => format!("{name} ({id})"),
        Some(_) | None => id.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::grant::{Cause, GrantId, Standing, Wanted};
    use crate::token::Generation;

    fn terms() -> Terms {
        Terms::new(GrantId::parse("crm").unwrap(), "authorization_code", "https://as.example")
    }

    fn subject(id: &str) -> Option<Subject> {
        Some(Subject { id: id.to_owned(), issuer: Some("https://as.example".to_owned()), name: None })
    }

    fn login(subject: Option<Subject>, switch_account: bool) -> SignedIn {
        let (response, started_at) = (TokenResponse::bearer("new"), Timestamp::from_secs(5));
        SignedIn { response, subject, proof_key: None, started_at, switch_account }
    }

    fn held() -> Grant {
        let now = Timestamp::from_secs(1);
        let first = sign_in(&Grant::empty(&terms()), &terms(), login(subject("alice"), false), now).unwrap();
        Grant {
            standing: Standing::Parked { cause: Cause::Dead, since: now },
            failures: 3,
            wanted: Wanted { scope: vec!["more".to_owned()], ..Wanted::default() },
            ..first
        }
    }

    #[test]
    fn f82_the_same_person_revives_the_grant() {
        let next = sign_in(&held(), &terms(), login(subject("alice"), false), Timestamp::from_secs(9)).unwrap();
        assert_eq!((next.generation, next.standing, next.failures), (Generation(2), Standing::Live, 0));
        assert_eq!(next.wanted.scope, ["more"], "every later login has to ask for it again (N47)");
        assert_eq!(next.subject.as_deref(), Some("alice"));
    }

    #[test]
    fn r18_another_account_is_refused_with_both_names() {
        let other = Some(Subject { name: Some("bob@example.com".to_owned()), ..subject("b0b").unwrap() });
        let refused = sign_in(&held(), &terms(), login(other.clone(), false), Timestamp::from_secs(9)).unwrap_err();
        assert_eq!(refused.held, "alice");
        assert_eq!(refused.found.as_deref(), Some("bob@example.com (b0b)"));
        let switched = sign_in(&held(), &terms(), login(other, true), Timestamp::from_secs(9)).unwrap();
        assert_eq!(switched.subject.as_deref(), Some("b0b"));
    }

    #[test]
    fn r18_the_same_name_at_another_issuer_is_another_account() {
        let other = Some(Subject { issuer: Some("https://other.example".to_owned()), ..subject("alice").unwrap() });
        assert!(sign_in(&held(), &terms(), login(other, false), Timestamp::from_secs(9)).is_err());
    }

    #[test]
    fn r18_nobody_named_does_not_take_a_pinned_grant() {
        let refused = sign_in(&held(), &terms(), login(None, false), Timestamp::from_secs(9)).unwrap_err();
        assert_eq!(refused.found, None);
    }

    #[test]
    fn a_changed_server_begins_a_new_pin() {
        let moved = Terms { authorization_server: "https://new.example".to_owned(), ..terms() };
        let next = sign_in(&held(), &moved, login(subject("bob"), false), Timestamp::from_secs(9)).unwrap();
        assert_eq!(next.authorization_server, "https://new.example");
    }
}
