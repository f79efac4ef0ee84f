//! Under the lease: redeem a person's consent, find out whose it is, store it. The lease is held
//! for that alone and never while a person thinks, so that the held credential is served and renewed
//! meanwhile (R11).

use super::error::LoginError;
use super::{LoggedIn, subject};
use crate::discovery::NotFound;
use crate::keeper::{Entry, Keeper, LEASE_PATIENCE, Parts, ROUNDS_MAX};
use crate::redeem;
use outlast_core::classify::{EndpointKind, Evidence, Verdict};
use outlast_core::grant::Registration;
use outlast_core::outcome::{describe, judge_as};
use outlast_core::sign_in::{SignedIn, sign_in};
use outlast_core::wire::TokenRequest;
use outlast_core::{Code, Grant, Lease, Outcome, Secret, StoreError};
use std::sync::Arc;

/// One request that redeems a consent at the token endpoint: a code, or a device code that is
/// polled for.
#[derive(Clone, Debug)]
pub(crate) struct Consent {
    /// What is sent, once. Tokens are bound to its proof key, where it has one.
    pub(crate) request: TokenRequest,
    /// What kind of answers it gets.
    pub(crate) kind: EndpointKind,
    /// What an ID token has to repeat.
    pub(crate) nonce: Option<Secret>,
    /// Whether another account may take the place of the one that is held.
    pub(crate) switch_account: bool,
    /// The client that was registered for it, if one was.
    pub(crate) registration: Option<Registration>,
}

/// What came of it.
#[derive(Debug)]
pub(crate) enum TakenOver {
    /// It is stored and served.
    LoggedIn(LoggedIn),
    /// The server gave no token: for a device code that may only mean not yet.
    Refused(Verdict, Evidence),
    /// No answer came, or none that can be read.
    Unanswered(NotFound),
}

impl Keeper {
    /// Redeems `consent` and takes over what it brings. On a task of its own: a caller that goes away
    /// between the answer and the disk loses nothing.
    pub(crate) async fn take_over(&self, entry: &Arc<Entry>, consent: Consent) -> Result<TakenOver, LoginError> {
        let (keeper, own) = (self.clone(), Arc::clone(entry));
        let taking = tokio::spawn(async move { keeper.take_over_now(&own, consent).await });
        taking.await.unwrap_or_else(|_lost| {
            let detail = "taking a login over did not end".to_owned();
            Err(LoginError::Server { grant: entry.terms.id.clone(), code: Code::Internal, detail })
        })
    }

    async fn take_over_now(&self, entry: &Arc<Entry>, consent: Consent) -> Result<TakenOver, LoginError> {
        let provider = self.provider(entry).await.map_err(|missing| server(entry, missing))?;
        let parts = self.parts();
        let lease = parts.store.lease(&entry.terms.id, LEASE_PATIENCE).await?;
        let Some(_spent) = self.spending().begin() else {
            return Ok(unanswered(Code::CoolingDown, "this process is being stopped; nothing was sent".to_owned()));
        };
        let held = stored(parts, entry).await?;
        // The probe: a full or read-only disk fails here, before the code is spent (R4).
        parts.store.commit(&lease, held.generation, &held).await?;
        let started_at = self.now();
        let answer = parts.endpoint.send(&lease, &consent.request).await;
        let outcome = judge_as(consent.kind, &answer, &provider.quirks, &|reply| redeem::read(entry, reply));
        let response = match redeem::bound(entry, outcome) {
            Outcome::Renewed(response) => response,
            Outcome::Refused(verdict, evidence) => return Ok(TakenOver::Refused(verdict, evidence)),
            // Said of a refresh token alone; a login has none yet.
            Outcome::Reused(evidence) => return Ok(TakenOver::Refused(Verdict::GrantDead, evidence)),
            Outcome::Discarded { code, detail } => return Ok(unanswered(code, detail)),
            Outcome::Redirected { detail } => return Ok(unanswered(Code::ClientMisconfigured, detail)),
            Outcome::CommandFailed { detail } => return Ok(unanswered(Code::CommandFailed, detail)),
            Outcome::InDoubt { detail } | Outcome::RotationInDoubt { detail, .. } => {
                return Ok(unanswered(Code::ServerMisbehaved, detail));
            }
            Outcome::Unsent(fault) => return Ok(unanswered(fault.code(), describe(fault).to_owned())),
        };
        let held = with_client_of(held, consent.registration.as_ref());
        let terms = entry.terms.as_registered(&held);
        let asked = subject::Asked { entry, terms: &terms, provider, nonce: consent.nonce.as_ref() };
        let subject = subject::find(parts, &asked, &response, self.now()).await?;
        let signed_in = SignedIn {
            response,
            subject,
            proof_key: consent.request.proof_key,
            started_at,
            switch_account: consent.switch_account,
        };
        self.store_login(entry, lease, held, signed_in).await
    }

    async fn store_login(
        &self,
        entry: &Arc<Entry>,
        mut lease: Lease,
        mut held: Grant,
        signed_in: SignedIn,
    ) -> Result<TakenOver, LoginError> {
        let parts = self.parts();
        for _ in 0..ROUNDS_MAX {
            let terms = entry.terms.as_registered(&held);
            let next = sign_in(&held, &terms, signed_in.clone(), self.now()).map_err(|other| {
                LoginError::AccountMismatch { grant: entry.terms.id.clone(), held: other.held, found: other.found }
            })?;
            let next = parts.ours(next);
            match parts.store.commit(&lease, held.generation, &next).await {
                Ok(()) => {
                    tracing::info!(grant = %next.id, generation = %next.generation, "signed in");
                    let brought = logged_in(&next);
                    self.publish(entry, next);
                    return Ok(TakenOver::LoggedIn(brought));
                }
                // Somebody took the lease over: the new tokens are good all the same.
                Err(StoreError::Fenced { .. }) => {
                    lease = parts.store.lease(&entry.terms.id, LEASE_PATIENCE).await?;
                    let client = held.registration;
                    held = with_client_of(stored(parts, entry).await?, client.as_ref());
                }
                Err(error) => return Err(error.into()),
            }
        }
        Err(StoreError::Busy { grant: entry.terms.id.clone() }.into())
    }
}

/// `held` with the client that a consent was given to: the tokens it brings are that one's.
fn with_client_of(held: Grant, client: Option<&Registration>) -> Grant {
    Grant { registration: client.cloned().or(held.registration.clone()), ..held }
}

/// The record as it is on disk, of whichever server: a login is how a grant moves to another.
pub(super) async fn stored(parts: &Parts, entry: &Entry) -> Result<Grant, StoreError> {
    let stored = parts.store.load(&entry.terms.id).await?;
    Ok(stored.unwrap_or_else(|| Grant::empty(&entry.terms)))
}

fn unanswered(code: Code, detail: String) -> TakenOver {
    TakenOver::Unanswered(NotFound { code, detail })
}

/// The error for a server that cannot be used.
pub(super) fn server(entry: &Entry, missing: NotFound) -> LoginError {
    LoginError::Server { grant: entry.terms.id.clone(), code: missing.code, detail: missing.detail }
}

fn logged_in(grant: &Grant) -> LoggedIn {
    let tokens = grant.tokens.as_ref();
    LoggedIn {
        generation: grant.generation,
        subject: grant.subject.clone(),
        subject_name: grant.subject_name.clone(),
        expires_at: tokens.and_then(|tokens| tokens.expires_at),
        renewable: tokens.is_some_and(|tokens| tokens.refresh.is_some()),
        scope: tokens.and_then(|tokens| tokens.scope.clone()),
    }
}

impl LoginError {
    /// What the token endpoint's refusal of a consent means.
    pub(crate) fn of_refusal(entry: &Entry, verdict: &Verdict, evidence: &Evidence) -> Self {
        let grant = entry.terms.id.clone();
        let detail = format!("{}: {}", evidence.place, evidence.found);
        let code = match verdict {
            Verdict::GrantDead => {
                let why = format!("the server does not stand by it ({detail})");
                return Self::Refused { grant, why };
            }
            Verdict::PermissionDenied | Verdict::StepUpRequired(_) => return Self::Denied { grant, said: detail },
            Verdict::ClientMisconfigured | Verdict::InsufficientScope { .. } => Code::ClientMisconfigured,
            Verdict::RateLimited { .. } | Verdict::Transient { .. } => Code::ServerUnreachable,
            Verdict::AccessTokenExpired
            | Verdict::AccessTokenInvalid
            | Verdict::AuthorizationPending
            | Verdict::DpopNonceRequired { .. }
            | Verdict::NotAuth
            | Verdict::SlowDown
            | Verdict::Unknown => Code::ServerMisbehaved,
        };
        Self::Server { grant, code, detail }
    }
}
