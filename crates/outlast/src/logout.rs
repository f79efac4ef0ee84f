//! Signing out: the tokens are revoked at the server, then forgotten here, and served to nobody who
//! looks at the record from the first moment on (RFC 7009, N24, N25). Another process that holds a fresh
//! token serves it until it looks again, within a second where it refreshes in the background (F85).

use crate::handle::GrantHandle;
use crate::keeper::{Entry, Keeper, LEASE_PATIENCE, ROUNDS_MAX};
use crate::token_error::TokenError;
use outlast_core::freshness::{REVOKE_AGAIN_MIN, revoke_again};
use outlast_core::strategy::{Recovery, Renewal};
use outlast_core::{Code, Generation, Grant, Lease, Provider, Secret, Standing, StoreError, Timestamp, Trouble};
use outlast_oauth::revocation::{RevocationOutcome, TokenKind, judge_revocation, revocation_request};
use std::sync::Arc;
use std::time::Duration;

/// What signing out came to. The tokens are forgotten here in every case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoggedOut {
    /// What became of them at the server.
    pub at_server: AtServer,
    /// Whether a renewal's answer was lost before: the server may hold tokens that we never saw.
    pub in_doubt: bool,
    /// Whether a client that was registered for this grant stays registered.
    pub registration_stays: bool,
    /// Whether the grant needs no person: the next request for it gets a new token by itself.
    pub begins_anew: bool,
}

/// What became of a grant's tokens at the server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AtServer {
    /// The server does not revoke access tokens: the one held ends by itself.
    AccessTokenLivesOn,
    /// Another tool owns the grant: what it holds is none of ours to revoke.
    AnotherTool,
    /// They could not be revoked, and were to be forgotten all the same.
    Forced {
        /// What stood in the way.
        code: Code,
        /// In words without secrets.
        detail: String,
    },
    /// There was nothing to revoke.
    NothingHeld,
    /// The server revokes nothing (RFC 7009), or there is none: they end by themselves.
    NotOffered,
    /// They are revoked.
    Revoked,
}

impl AtServer {
    /// What a person should know of it.
    pub fn describe(&self) -> String {
        match self {
            Self::AccessTokenLivesOn => {
                "the server revoked the grant; it does not revoke access tokens, so the last one ends by itself"
                    .to_owned()
            }
            Self::AnotherTool => {
                "the grant belongs to another tool and was only forgotten here; sign out there to end it".to_owned()
            }
            Self::Forced { code, detail } => format!(
                "the server was not told ({code}: {detail}); the tokens may be good there until they end or are \
                 revoked in its own settings"
            ),
            Self::NotOffered => "the server was not told: it offers no revocation; the tokens are good there until \
                                 they end or are revoked in its own settings"
                .to_owned(),
            Self::NothingHeld => "nothing was held".to_owned(),
            Self::Revoked => "the server revoked the tokens".to_owned(),
        }
    }
}

/// Why the tokens may still be good at the server.
struct Unfinished {
    code: Code,
    detail: String,
    retry_after: Option<Duration>,
}

impl GrantHandle {
    /// Signs out: from now on no process that looks at the record is served a token of this grant, and
    /// one that holds a fresh token serves it until it looks again, within a second where it refreshes in
    /// the background; the refresh token and then the access token are revoked at the server; then they are
    /// forgotten.
    ///
    /// What somebody signed in to meanwhile stays, and is [`TokenError::SignedInSince`].
    ///
    /// If the server cannot do it now, the grant stays `revoking`, and another call or a background
    /// refresher goes on. A grant that needs no person is only emptied: it begins anew when it is next
    /// asked for, until its configuration is removed. With
    /// `force` the tokens are forgotten whatever the server says.
    pub async fn log_out(&self, force: bool) -> Result<LoggedOut, TokenError> {
        self.keeper.log_out(&self.entry, force).await
    }
}

impl Keeper {
    async fn log_out(&self, entry: &Arc<Entry>, force: bool) -> Result<LoggedOut, TokenError> {
        // Before the lease, which a login may hold just now.
        let asked_at = self.parts().store.load(&entry.terms.id).await?.map_or(Generation(0), |held| held.generation);
        for _ in 0..ROUNDS_MAX {
            let lease = self.parts().store.lease(&entry.terms.id, LEASE_PATIENCE).await?;
            let held = self.parts().store.load(&entry.terms.id).await?;
            let held = held.unwrap_or_else(|| Grant::empty(&entry.terms));
            // Whoever waited for the lease, or lost it, may have been stopped for hours: what a person began anew
            // since is not meant.
            if held.history.begins_anew_after(asked_at) {
                self.publish(entry, held);
                return Err(TokenError::SignedInSince { grant: entry.terms.id.clone() });
            }
            match self.log_out_under(entry, &lease, &held, force).await {
                Err(TokenError::Store(error)) if matches!(*error, StoreError::Fenced { .. }) => {}
                settled => return settled,
            }
        }
        Err(StoreError::Busy { grant: entry.terms.id.clone() }.into())
    }

    /// Goes on with a logout that the server could not take, once it is time again; one of a grant that
    /// somebody has signed in to since is over. What went wrong is in the record.
    pub(crate) async fn finish_log_out(&self, entry: &Arc<Entry>) -> Result<(), TokenError> {
        let lease = self.parts().store.lease(&entry.terms.id, LEASE_PATIENCE).await?;
        // Look again: what was read before the lease is a rumour.
        let Some(held) = self.parts().store.load(&entry.terms.id).await? else { return Ok(()) };
        match held.standing {
            Standing::Revoking { retry_at, .. } if retry_at <= self.now() => {
                self.log_out_under(entry, &lease, &held, false).await.map(drop)
            }
            Standing::Revoking { .. }
            | Standing::CoolingDown { .. }
            | Standing::Live
            | Standing::Parked { .. }
            | Standing::Renewing { .. } => {
                self.publish(entry, held);
                Ok(())
            }
        }
    }

    async fn log_out_under(
        &self,
        entry: &Arc<Entry>,
        lease: &Lease,
        held: &Grant,
        force: bool,
    ) -> Result<LoggedOut, TokenError> {
        let in_doubt = held.in_doubt || matches!(held.standing, Standing::Renewing { .. });
        let registration_stays = held.registration.is_some();
        let begins_anew = entry.grant_type.strategy().recovery != Recovery::User;
        let told = |at_server| LoggedOut { at_server, in_doubt, registration_stays, begins_anew };
        if held.tokens.is_none() {
            return Ok(told(AtServer::NothingHeld));
        }
        // Before the server hears of it: whatever happens from here on, nobody is served (N25).
        let since = match held.standing {
            Standing::Revoking { since, .. } => since,
            Standing::CoolingDown { .. } | Standing::Live | Standing::Parked { .. } | Standing::Renewing { .. } => {
                self.now()
            }
        };
        // If this process dies, whoever finds the grant goes on in a while.
        let standing = Standing::Revoking { since, retry_at: self.now().plus(REVOKE_AGAIN_MIN) };
        let revoking = Grant { standing, in_doubt, ..held.clone() };
        self.parts().store.commit(lease, held.generation, &revoking).await?;
        self.publish(entry, revoking.clone());
        let at_server = match self.revoke(entry, lease, &revoking).await {
            Ok(at_server) => at_server,
            Err(unfinished) if force => AtServer::Forced { code: unfinished.code, detail: unfinished.detail },
            Err(unfinished) => return Err(self.not_yet(entry, lease, revoking, since, unfinished).await?),
        };
        self.forget(entry, lease, &revoking).await?;
        Ok(told(at_server))
    }

    /// Writes down why the server has not revoked the tokens, and says it.
    async fn not_yet(
        &self,
        entry: &Arc<Entry>,
        lease: &Lease,
        revoking: Grant,
        since: Timestamp,
        unfinished: Unfinished,
    ) -> Result<TokenError, TokenError> {
        let Unfinished { code, detail, retry_after } = unfinished;
        let (grant, now) = (revoking.id.clone(), self.now());
        let trouble = Trouble { code, at: now, detail: detail.clone() };
        let standing = Standing::Revoking { since, retry_at: now.plus(revoke_again(since, retry_after, now)) };
        let next = Grant { standing, trouble: Some(trouble), ..revoking };
        self.parts().store.commit(lease, next.generation, &next).await?;
        self.publish(entry, next);
        Ok(TokenError::NotRevoked { grant, code, detail, retry_at: retry_after.map(|wait| now.plus(wait)) })
    }

    /// Leaves a record without tokens, and not none at all: its generation tells every process that
    /// what it still knows is of the past, and a copy kept aside would hold tokens that may be good.
    async fn forget(&self, entry: &Arc<Entry>, lease: &Lease, held: &Grant) -> Result<(), StoreError> {
        let needs_person = entry.grant_type.strategy().recovery == Recovery::User;
        let next = self.parts().ours(held.signed_out(&entry.terms, needs_person, self.now()));
        self.parts().store.commit(lease, held.generation, &next).await?;
        self.publish(entry, next);
        Ok(())
    }

    /// Revokes what `held` holds: first the refresh token, which ends the grant (N25).
    async fn revoke(&self, entry: &Entry, lease: &Lease, held: &Grant) -> Result<AtServer, Unfinished> {
        let Some(tokens) = &held.tokens else { return Ok(AtServer::NothingHeld) };
        if entry.grant_type.strategy().renewal == Renewal::Delegate {
            return Ok(AtServer::AnotherTool);
        }
        if !entry.grant_type.has_server() {
            self.retire_last(entry, lease, held).await.map_err(|why| Unfinished {
                code: Code::RotationFailed,
                detail: format!("the key before this one could not be retired: {why}"),
                retry_after: None,
            })?;
            return Ok(AtServer::NotOffered);
        }
        if held.authorization_server != entry.terms.authorization_server {
            // N48: no token goes to a server that did not issue it.
            let detail =
                format!("the tokens are those of {}, which is no longer configured", held.authorization_server);
            return Err(Unfinished { code: Code::AuthorizationServerChanged, detail, retry_after: None });
        }
        let provider = self.provider(entry).await.map_err(|missing| Unfinished {
            code: missing.code,
            detail: missing.detail,
            retry_after: None,
        })?;
        let mut unsupported = Vec::new();
        let refresh = tokens.refresh.as_ref().map(|refresh| (TokenKind::Refresh, refresh));
        for (kind, token) in refresh.into_iter().chain([(TokenKind::Access, &tokens.access)]) {
            let Some(answered) = self.revoke_one(entry, lease, held, provider, (kind, token)).await else {
                return Ok(AtServer::NotOffered);
            };
            match answered {
                RevocationOutcome::Revoked => {}
                RevocationOutcome::Unsupported => unsupported.push(kind),
                RevocationOutcome::Pending { code, detail, retry_after } => {
                    return Err(Unfinished { code, detail, retry_after });
                }
                RevocationOutcome::Refused { code, detail } => {
                    return Err(Unfinished { code, detail, retry_after: None });
                }
            }
        }
        Ok(match (unsupported.as_slice(), &tokens.refresh) {
            ([], _) => AtServer::Revoked,
            ([TokenKind::Access], Some(_)) => AtServer::AccessTokenLivesOn,
            (_, _) => AtServer::NotOffered,
        })
    }

    async fn revoke_one(
        &self,
        entry: &Entry,
        lease: &Lease,
        held: &Grant,
        provider: &Provider,
        (kind, token): (TokenKind, &Secret),
    ) -> Option<RevocationOutcome> {
        let terms = entry.terms.as_registered(held);
        let request = revocation_request(kind, token, held.proof_key.as_ref(), &terms, provider)?;
        let answer = self.parts().endpoint.send(lease, &request).await;
        Some(judge_revocation(&answer, &provider.quirks))
    }
}
