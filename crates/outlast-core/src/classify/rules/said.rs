//! What the codes and sentences of a reply say together.

use crate::classify::body::{Fact, Facts, Role};
use crate::classify::words::{Reading, TokenSaid, read_text};

/// What all the codes and sentences of a reply say together: the first fact that says each thing.
#[derive(Clone, Copy, Default)]
pub(super) struct Said<'a> {
    pub(super) scope_lacking: Option<Fact<'a>>,
    pub(super) step_up: Option<Fact<'a>>,
    pub(super) rate: Option<Fact<'a>>,
    pub(super) expired: Option<Fact<'a>>,
    pub(super) refused: Option<Fact<'a>>,
    pub(super) api_key: Option<Fact<'a>>,
    pub(super) client: Option<Fact<'a>>,
    pub(super) unauthenticated: Option<Fact<'a>>,
    pub(super) unsupported: Option<Fact<'a>>,
    pub(super) dead_refresh: Option<Fact<'a>>,
    pub(super) no_permission: Option<Fact<'a>>,
    pub(super) assertion: Option<Fact<'a>>,
}

/// How much a text has to say before it is believed.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Belief {
    /// The status says that authorization failed: "token expired" is enough.
    Refusal,
    /// The status says nothing of authorization: the access token has to be named.
    Named,
}

pub(super) fn listen<'a>(facts: &Facts<'a>, belief: Belief) -> Said<'a> {
    let mut said = Said::default();
    for fact in facts.iter() {
        let reading = read_text(fact.text);
        if reading != Reading::default() {
            said.hear(fact, reading, belief);
        }
    }
    said
}

impl<'a> Said<'a> {
    fn hear(&mut self, fact: &Fact<'a>, reading: Reading, belief: Belief) {
        let named = belief == Belief::Named;
        let note = |place: &mut Option<Fact<'a>>| {
            place.get_or_insert(*fact);
        };
        let about_token = Reading::ACCESS.and(Reading::PLAIN).and(Reading::DENIED);
        if reading.says(Reading::SCOPE_LACKING) && (!named || fact.role == Role::Code || reading.says_any(about_token))
        {
            note(&mut self.scope_lacking);
        }
        if reading.says(Reading::SCOPE_INVALID) && !named {
            note(&mut self.scope_lacking);
        }
        if reading.says(Reading::STEP_UP) {
            note(&mut self.step_up);
        }
        if reading.says(Reading::RATE) {
            note(&mut self.rate);
        }
        let faulty = Reading::INVALID.and(Reading::EXPIRED).and(Reading::MISSING).and(Reading::REVOKED);
        if reading.says(Reading::API_KEY) && reading.says_any(faulty) {
            note(&mut self.api_key);
        }
        if reading.says(Reading::CLIENT) && reading.says_any(faulty) {
            note(&mut self.client);
        }
        if reading.says(Reading::UNAUTHENTICATED) {
            note(&mut self.unauthenticated);
        }
        if reading.says(Reading::NO_PERMISSION) {
            note(&mut self.no_permission);
        }
        if reading.says(Reading::ASSERTION) {
            note(&mut self.assertion);
        }
        if reading.says(Reading::UNSUPPORTED) {
            note(&mut self.unsupported);
        }
        let ended = Reading::INVALID.and(Reading::EXPIRED).and(Reading::REVOKED);
        if reading.says(Reading::REFRESH) && reading.says_any(ended) && !reading.says_any(Reading::MISSING) {
            note(&mut self.dead_refresh);
        }
        // "expired" of a plain token is believed at any status; "invalid" is not: the token of a
        // form, of a page or of a push message is called invalid as well.
        let expired_only = reading.says(Reading::EXPIRED);
        match reading.of_access_token(named && !expired_only) {
            Some(TokenSaid::Expired) => note(&mut self.expired),
            // A permission that "requires a token with …" does not call the token bad.
            Some(TokenSaid::Refused) if !reading.says_any(ended) && reading.says(Reading::DENIED) => {}
            Some(TokenSaid::Refused) => note(&mut self.refused),
            None => {}
        }
    }
}
