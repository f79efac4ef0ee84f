//! Gets one access token from the library, for commands that end right after.

use crate::env;
use crate::exit::Fault;
use crate::local_sidecar::let_renewals_end;
use crate::process::Stop;
use crate::words;
use outlast::{AccessToken, Ask, By, Clock, Grant, GrantHandle, Rejected, SystemClock, Timestamp, TokenError};
use outlast_daemon::status::GrantStatus;
use std::time::Duration;

/// Longest wait for a renewal that is due while the held token is good.
const DUE_PATIENCE: Duration = Duration::from_secs(5);

/// What a person wants of the token.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Wanted {
    /// The life it should have left.
    pub(crate) min_ttl: Duration,
    /// Whether it has to be a new one, whatever the held one is worth.
    pub(crate) renew: bool,
}

/// The present moment, by the clock that every process on this state folder goes by.
pub(crate) fn now() -> Timestamp {
    clock().now()
}

/// That clock.
pub(crate) fn clock() -> SystemClock {
    env::places().map_or_else(|_| SystemClock::new(), |places| SystemClock::of(&places.home))
}

/// The token that is wanted.
///
/// This process ends with the answer, so nothing may be renewed behind it: a renewal that dies
/// half-way is a spent refresh token. A due token is therefore renewed here and now, and a signal
/// ends the process only between two attempts.
pub(crate) async fn access_token(handle: &GrantHandle, wanted: Wanted) -> Result<AccessToken, Fault> {
    let mut stop = Stop::listen()?;
    let answered = tokio::select! {
        answered = renewed(handle, wanted) => answered,
        signal = stop.asked() => Err(Fault::interrupted(signal)),
    };
    // Not only after a signal: a caller stops waiting before a slow renewal does.
    let_renewals_end(handle.keeper()).await;
    // What ended just now is newer than the answer.
    answered.map(|token| handle.fresh().map_or(token, |fresh| fresh.to_owned()))
}

async fn renewed(handle: &GrantHandle, wanted: Wanted) -> Result<AccessToken, Fault> {
    let held = handle.record().await?;
    if handle.is_due(&held, now()) {
        let patience = patience_while_good(&held, now());
        // Whoever has the lease may be stopped for minutes: that takes no good token away (F11).
        drop(tokio::time::timeout(patience, handle.renew_if_due()).await);
    }
    let rejected = wanted.renew.then_some(Rejected { generation: held.generation, by: By::Person });
    let ask = Ask { min_ttl: wanted.min_ttl, rejected };
    match patiently(handle, ask).await {
        Ok(token) => Ok(token),
        // An early renewal that fails takes no good token away.
        Err(error) if !wanted.renew && is_good(&held, now()) => {
            tracing::warn!(code = %error.code(), "not renewed; the held token is still good");
            Ok(handle.access_token(Ask::default()).await?)
        }
        Err(error) => Err(explained(handle, error).await),
    }
}

/// A failure that only a person can end says when it happened and how that person signs in again.
async fn explained(handle: &GrantHandle, error: TokenError) -> Fault {
    let needs_user = matches!(error, TokenError::NeedsUser { .. });
    let mut fault = Fault::from(error);
    let Some(record) = handle.record().await.ok().filter(|_| needs_user) else { return fault };
    let status = GrantStatus::of(handle, &record, now());
    let trouble = status.last_trouble.filter(|trouble| trouble.code == fault.code.as_str());
    if let Some(trouble) = trouble {
        fault.text = format!("{}. It happened on {}", fault.text, words::rfc3339(Timestamp::from_secs(trouble.at)));
    }
    fault.mend(format!("stop: {}", status.what_to_do))
}

/// Asks again once when the time is up: the renewal is under way still, and it may take longer
/// than one caller is made to wait when another process holds the lease first.
async fn patiently(handle: &GrantHandle, ask: Ask) -> Result<AccessToken, TokenError> {
    match handle.access_token(ask).await {
        Err(TokenError::TimedOut { .. }) => handle.access_token(ask).await,
        answered => answered,
    }
}

/// For how long a renewal is waited for while the held token is good: half of what is left of it, at most
/// [`DUE_PATIENCE`].
fn patience_while_good(held: &Grant, now: Timestamp) -> Duration {
    match held.tokens.as_ref().map(|tokens| tokens.expires_at) {
        Some(Some(end)) if end > now => DUE_PATIENCE.min(now.until(end) / 2),
        Some(None) => DUE_PATIENCE,
        // Nothing is good: the ask that follows waits for the same renewal.
        Some(Some(_)) | None => Duration::ZERO,
    }
}

fn is_good(held: &Grant, now: Timestamp) -> bool {
    held.tokens.as_ref().is_some_and(|tokens| tokens.expires_at.is_none_or(|end| now < end))
}
