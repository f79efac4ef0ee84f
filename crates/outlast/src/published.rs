//! The record a process answers from: no lock, no IO.

use crate::latest::Dated;
use crate::presentation::Presentation;
use http::{HeaderName, HeaderValue, Method, Uri};
use outlast_core::freshness::Lead;
use outlast_core::token::TokenType;
use outlast_core::{Generation, Grant, GrantId, Secret, Standing, Timestamp};
use outlast_oauth::dpop::{Proof, ProofKey};
use std::fmt;
use std::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// What one process knows of a grant at one generation.
pub(crate) struct Published {
    pub(crate) grant: Grant,
    /// Before this moment the token may be served without asking anybody; milliseconds.
    pub(crate) fresh_until: u64,
    field: HeaderName,
    header: Option<HeaderValue>,
    /// What proves that a bound token is ours (RFC 9449); read once, for signing is slow enough.
    proof_key: Option<ProofKey>,
    accepted: AtomicBool,
}

impl Dated for Published {
    fn generation(&self) -> u64 {
        self.grant.generation.0
    }
}

impl Published {
    pub(crate) fn new(grant: Grant, lead: Lead, presentation: &Presentation, accepted: bool) -> Self {
        let bound = grant.tokens.as_ref().is_some_and(|tokens| tokens.token_type == TokenType::Dpop);
        let proof_key = grant.proof_key.as_ref().filter(|_| bound).and_then(|key| ProofKey::read(key).ok());
        let fresh_until = match &grant.tokens {
            Some(_) if is_revoking(&grant) => 0,
            // F48: worth nothing without its key; `plan` says what to do.
            Some(_) if bound && proof_key.is_none() => 0,
            Some(tokens) => lead.due_at(tokens).map_or(u64::MAX - 1, Timestamp::as_millis),
            None => 0,
        };
        let header = grant.tokens.as_ref().and_then(|tokens| presentation.value(tokens.token_type, &tokens.access));
        let field = presentation.field().clone();
        Self { grant, fresh_until, field, header, proof_key, accepted: AtomicBool::new(accepted) }
    }

    /// Whether the token is bound to a key that is not there or cannot be read (F48).
    pub(crate) fn has_lost_key(&self) -> bool {
        let bound = self.grant.tokens.as_ref().is_some_and(|tokens| tokens.token_type == TokenType::Dpop);
        bound && self.proof_key.is_none()
    }

    /// Whether somebody signed out of what was held.
    pub(crate) fn is_signed_out(&self) -> bool {
        self.grant.tokens.is_none() || is_revoking(&self.grant)
    }

    /// Whether a resource took this token.
    pub(crate) fn accepted(&self) -> bool {
        self.accepted.load(Ordering::Relaxed)
    }
}

fn is_revoking(grant: &Grant) -> bool {
    matches!(grant.standing, Standing::Revoking { .. })
}

/// An access token that was good when it was handed out. Cheap to clone; ask again for every
/// request instead of keeping it.
#[derive(Clone)]
pub struct AccessToken(pub(crate) Arc<Published>);

impl AccessToken {
    /// Only records that hold a token, its header and what proves it become an access token.
    pub(crate) fn of(published: Arc<Published>) -> Option<Self> {
        (published.header.is_some() && !published.has_lost_key()).then_some(Self(published))
    }

    /// The token itself.
    pub fn secret(&self) -> &Secret {
        let tokens = self.0.grant.tokens.as_ref();
        &tokens.expect("an access token is only made of a record that holds tokens").access
    }

    /// The field that carries the token: Authorization, unless the grant says otherwise.
    pub fn field(&self) -> &HeaderName {
        &self.0.field
    }

    /// The value of that field (RFC 6750 2.1), marked sensitive.
    pub fn authorization(&self) -> &HeaderValue {
        self.0.header.as_ref().expect("an access token is only made of a record that has a header")
    }

    /// The proof that goes with this token to `target`, made anew for each request (RFC 9449 7.1);
    /// nothing for a bearer token.
    pub(crate) fn proof(
        &self,
        method: &Method,
        target: &Uri,
        nonce: Option<&str>,
        now: Timestamp,
    ) -> Option<HeaderValue> {
        let key = self.0.proof_key.as_ref()?;
        let of = Proof { method, target, nonce, access_token: Some(self.secret()), now };
        let proof = key.proof(&of).ok()?;
        let mut value = HeaderValue::from_str(proof.expose()).ok()?;
        value.set_sensitive(true);
        Some(value)
    }

    /// Which token set it belongs to; complaints about the token name this.
    pub fn generation(&self) -> Generation {
        self.0.grant.generation
    }

    /// How it is presented.
    pub fn token_type(&self) -> TokenType {
        self.0.grant.tokens.as_ref().map_or(TokenType::Bearer, |tokens| tokens.token_type)
    }

    /// Whose token it is.
    pub fn grant(&self) -> &GrantId {
        &self.0.grant.id
    }

    /// When it ends, where the server said so.
    pub fn expires_at(&self) -> Option<Timestamp> {
        self.0.grant.tokens.as_ref().and_then(|tokens| tokens.expires_at)
    }

    /// When it was asked for.
    pub fn issued_at(&self) -> Timestamp {
        self.0.grant.tokens.as_ref().map_or(Timestamp::default(), |tokens| tokens.issued_at)
    }

    /// Notes that a resource took the token: a later refusal is then news and not a lag.
    pub fn mark_accepted(&self) {
        if !self.0.accepted() {
            self.0.accepted.store(true, Ordering::Relaxed);
        }
    }

    /// Whether a resource took the token.
    pub fn was_accepted(&self) -> bool {
        self.0.accepted()
    }
}

impl fmt::Debug for AccessToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AccessToken({}, generation {})", self.grant(), self.generation())
    }
}

/// A fresh token, borrowed from the published record for as long as the guard lives: nothing is
/// cloned. Hold it for the length of a call, not for that of a task.
pub struct FreshToken(pub(crate) arc_swap::Guard<Option<Arc<Published>>>);

impl FreshToken {
    /// The value of the Authorization field, marked sensitive.
    pub fn authorization(&self) -> &HeaderValue {
        self.published().header.as_ref().expect("only records with a header are fresh")
    }

    /// Which token set it belongs to.
    pub fn generation(&self) -> Generation {
        self.published().grant.generation
    }

    /// The token as a value of its own, for keeping longer.
    pub fn to_owned(&self) -> AccessToken {
        AccessToken(Arc::clone(self.0.as_ref().expect("only records that exist are fresh")))
    }

    fn published(&self) -> &Published {
        self.0.deref().as_deref().expect("only records that exist are fresh")
    }
}
