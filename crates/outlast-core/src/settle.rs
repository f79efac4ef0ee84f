//! What an attempt leaves behind: the second of the two decisions, and the note made before it.

use crate::classify::{Evidence, Verdict};
use crate::clock::Timestamp;
use crate::error::Code;
use crate::freshness::back_off;
use crate::grant::{Cause, Grant, Standing, Terms, Trouble};
use crate::history::{Happening, History};
use crate::id_token::read_id_token;
use crate::outcome::{Outcome, describe};
use crate::plan::{Ask, By, nearly_due};
use crate::rotation::ROTATION_PAUSE;
use crate::secret::Secret;
use crate::strategy::{Renewal, Rotation, Strategy};
use crate::token::TokenSet;
use crate::wire::{Fault, TokenResponse};
use std::time::Duration;

/// How long a refusal that only a change of the configuration can mend is not tried again (F37).
pub const MISCONFIGURED_PAUSE: Duration = Duration::from_secs(15 * 60);
/// How often in a row a refusal that may not be the server's own is taken to pass (F38).
pub const PASSING_REFUSALS_MAX: u8 = 5;
/// Longest pause a server can ask for (F31).
pub const RETRY_AFTER_MAX: Duration = Duration::from_secs(3600);

/// The record as it must stand on disk before the first byte of a renewal is sent (D1): whoever
/// finds it knows that a refresh token may be spent.
#[must_use]
pub fn begin(grant: &Grant, terms: &Terms, ask: Ask, now: Timestamp) -> Grant {
    let (attempt, crashed) = match grant.standing {
        Standing::Renewing { attempt, .. } => (attempt.saturating_add(1), true),
        Standing::CoolingDown { .. } | Standing::Live | Standing::Parked { .. } | Standing::Revoking { .. } => {
            (1, false)
        }
    };
    let breaker = match ask.rejected.map(|rejected| rejected.by) {
        // The same renewal, tried again: it is counted.
        _ if crashed => grant.breaker.clone(),
        Some(By::Resource { accepted }) if !nearly_due(grant, now) => grant.breaker.forced_at(accepted, now),
        Some(By::Resource { .. } | By::Person) | None => grant.breaker.renewed_in_time(),
    };
    let key_fingerprint = match grant.tokens {
        Some(_) => grant.key_fingerprint,
        None => terms.options.secret("key").map(Secret::fingerprint),
    };
    Grant {
        key_fingerprint,
        standing: Standing::Renewing { since: now, attempt },
        in_doubt: grant.in_doubt || crashed,
        breaker,
        terms_fingerprint: terms.fingerprint(),
        history: noted(grant, crashed, ask, now),
        ..grant.clone()
    }
}

/// What an attempt finds that is worth telling.
fn noted(grant: &Grant, crashed: bool, ask: Ask, now: Timestamp) -> History {
    let by_resource = matches!(ask.rejected.map(|rejected| rejected.by), Some(By::Resource { .. }));
    // Where the answer was lost, that is told already.
    let found = [(crashed && !grant.in_doubt, Happening::CrashFound), (by_resource, Happening::Forced)];
    let happened = found.into_iter().filter(|(happened, _)| *happened);
    happened.fold(grant.history.clone(), |history, (_, happening)| history.with(happening, grant.generation, None, now))
}

/// The record after an attempt. Never erases a held token set.
#[must_use]
pub fn settle(grant: &Grant, strategy: &Strategy, outcome: Outcome, now: Timestamp) -> Grant {
    match outcome {
        // Only a rotation mints by a command, and each attempt may leave a key behind.
        Outcome::CommandFailed { detail } if strategy.renewal == Renewal::Remint => {
            Grant { in_doubt: false, ..pause(grant, ROTATION_PAUSE, Code::RotationFailed, detail, now) }
        }
        Outcome::CommandFailed { detail } => passing(grant, None, Code::CommandFailed, detail, now),
        Outcome::Discarded { code, detail } => discarded(grant, strategy, code, detail, now),
        Outcome::InDoubt { detail } => in_doubt(grant, strategy, detail, now),
        // Told as the mistake it is, so that no caller waits for it to pass; it may be a portal on the way or
        // a server that is being moved all the same, and so it is looked at again as after any failure (F38).
        Outcome::Redirected { detail } => passing(grant, None, Code::ClientMisconfigured, detail, now),
        Outcome::Refused(verdict, evidence) => {
            let found = format!("{}: {}", evidence.place, evidence.found);
            match by_passer_by(&verdict, &evidence) {
                true => not_the_server(grant, found, now),
                false => refused(grant, strategy, &verdict, found, now),
            }
        }
        Outcome::Reused(evidence) => {
            let found = format!("{}: {}", evidence.place, evidence.found);
            match strategy.renewal {
                // F41, F02: where an answer of ours was lost, we are the one who used it.
                Renewal::Refresh if !grant.in_doubt => park(grant, Cause::TheftSuspected, found, now),
                Renewal::Delegate | Renewal::Never | Renewal::Refresh | Renewal::Remint => {
                    refused(grant, strategy, &Verdict::GrantDead, found, now)
                }
            }
        }
        Outcome::Renewed(response) => match another(grant, &response) {
            None => renewed(grant, response, now),
            Some(why) => discarded(grant, strategy, Code::ServerMisbehaved, why.to_owned(), now),
        },
        Outcome::RotationInDoubt { detail, pause: wait } => {
            let next = pause(grant, wait.max(ROTATION_PAUSE), Code::RotationFailed, detail, now);
            Grant { in_doubt: true, ..next }
        }
        Outcome::Unsent(Fault::Unsigned) => {
            pause(grant, MISCONFIGURED_PAUSE, Code::ClientMisconfigured, describe(Fault::Unsigned).to_owned(), now)
        }
        Outcome::Unsent(fault @ (Fault::Insecure | Fault::OutOfReach)) => {
            pause(grant, MISCONFIGURED_PAUSE, Code::InsecureAddress, describe(fault).to_owned(), now)
        }
        Outcome::Unsent(fault) => passing(grant, None, Code::ServerUnreachable, describe(fault).to_owned(), now),
    }
}

/// Whether nothing but a status such as 404 says that the client is misconfigured: then it may be the
/// word of a firewall or of a server that is being moved. 401 is the server's own (RFC 6749 5.2).
fn by_passer_by(verdict: &Verdict, evidence: &Evidence) -> bool {
    *verdict == Verdict::ClientMisconfigured && evidence.place == "status" && evidence.found != "401"
}

/// Tried again as after any failure that passes; when it goes on, the configuration is to blame.
fn not_the_server(grant: &Grant, found: String, now: Timestamp) -> Grant {
    let again = grant.failures >= PASSING_REFUSALS_MAX;
    let code = if again { Code::ClientMisconfigured } else { Code::ServerMisbehaved };
    passing(grant, None, code, found, now)
}

/// What is held stays. The server may have replaced its refresh token all the same: a refusal of that
/// is then a lost rotation, and no sign that the grant was revoked.
fn discarded(grant: &Grant, strategy: &Strategy, code: Code, detail: String, now: Timestamp) -> Grant {
    let in_doubt = grant.in_doubt || strategy.rotation == Rotation::Possible;
    Grant { in_doubt, ..pause(grant, MISCONFIGURED_PAUSE, code, detail, now) }
}

/// Whether a renewal's ID token is that of another issuer, person or client than the login's (OpenID
/// Connect Core 12.2, N42); in words.
fn another(grant: &Grant, response: &TokenResponse) -> Option<&'static str> {
    // Only a person whom an ID token named can be compared with one. Where none did, by a login without
    // `openid` or an import, a renewal's says nothing: neither is it a reason to refuse, for the server took
    // our refresh token for it, nor is anybody pinned by it, for nobody was there to say who they are.
    let issuer = grant.subject_issuer.as_ref()?;
    let claims = read_id_token(response.id_token.as_ref()?)?;
    if claims.issuer != *issuer {
        Some("the renewal's ID token is of another issuer than the login's; the answer is not used")
    } else if grant.subject.as_ref().is_some_and(|subject| *subject != claims.subject) {
        Some("the renewal's ID token names another person than the login's; the answer is not used")
    } else if !grant.client_id.is_empty() && !claims.is_for(&grant.client_id) {
        Some("the renewal's ID token was made for another client; the answer is not used")
    } else {
        None
    }
}

fn renewed(grant: &Grant, response: TokenResponse, now: Timestamp) -> Grant {
    // The life counts from the start of the request, which the note of intent recorded.
    let started = match grant.standing {
        Standing::Renewing { since, .. } => since,
        Standing::CoolingDown { .. } | Standing::Live | Standing::Parked { .. } | Standing::Revoking { .. } => now,
    };
    let ends_at = response.refresh_expires_in.map(|life| started.plus(life)).or(grant.ends_at);
    let tokens = match &grant.tokens {
        // A key that is served again has not become younger: its rotation is not put off.
        Some(held) if held.access == response.access && held.life().is_none() && response.expires_in.is_none() => {
            held.renewed_by(response, held.issued_at)
        }
        Some(held) => held.renewed_by(response, started),
        None => TokenSet::first(response, started),
    };
    let generation = grant.generation.next();
    let happening = if grant.in_doubt { Happening::AnswerHealed } else { Happening::Renewed };
    Grant {
        generation,
        history: grant.history.with(happening, generation, took(grant, now), now),
        tokens: Some(tokens),
        standing: Standing::Live,
        failures: 0,
        in_doubt: false,
        ends_at,
        renewed_at: Some(now),
        ..grant.clone()
    }
}

fn in_doubt(grant: &Grant, strategy: &Strategy, detail: String, now: Timestamp) -> Grant {
    match strategy.rotation {
        // Nothing is spent by minting anew: an answer that was lost is an outage like any other.
        Rotation::None => passing(grant, None, Code::ServerUnreachable, detail, now),
        Rotation::Possible => {
            let attempt = match grant.standing {
                Standing::Renewing { attempt, .. } => attempt,
                Standing::CoolingDown { .. } | Standing::Live | Standing::Parked { .. } | Standing::Revoking { .. } => {
                    1
                }
            };
            let standing = Standing::Renewing { since: now, attempt };
            // The renewal goes on, and stays counted if a refusal forced it.
            let breaker = grant.breaker.clone();
            Grant {
                standing,
                in_doubt: true,
                breaker,
                ..failed(grant, Happening::Failed(Code::InDoubt), Code::InDoubt, detail, now)
            }
        }
    }
}

fn refused(grant: &Grant, strategy: &Strategy, verdict: &Verdict, found: String, now: Timestamp) -> Grant {
    match verdict {
        Verdict::GrantDead if strategy.renewal == Renewal::Refresh => {
            let cause = if grant.in_doubt { Cause::LostRotation } else { Cause::Dead };
            park(grant, cause, found, now)
        }
        // F42: what the person has to prove is carried to the login.
        Verdict::StepUpRequired(step_up) => {
            Grant { wanted: grant.wanted.with_step_up(step_up), ..park(grant, Cause::StepUp, found, now) }
        }
        Verdict::ClientMisconfigured
        | Verdict::GrantDead
        | Verdict::InsufficientScope { .. }
        | Verdict::PermissionDenied => pause(grant, MISCONFIGURED_PAUSE, Code::ClientMisconfigured, found, now),
        Verdict::RateLimited { retry_after } | Verdict::Transient { retry_after } => {
            passing(grant, *retry_after, Code::ServerUnreachable, found, now)
        }
        // Nothing a token endpoint should say to a renewal: keep everything and try again later.
        Verdict::AccessTokenExpired
        | Verdict::AccessTokenInvalid
        | Verdict::AuthorizationPending
        | Verdict::DpopNonceRequired { .. }
        | Verdict::NotAuth
        | Verdict::SlowDown
        | Verdict::Unknown => passing(grant, None, Code::ServerMisbehaved, found, now),
    }
}

fn passing(grant: &Grant, retry_after: Option<Duration>, code: Code, detail: String, now: Timestamp) -> Grant {
    let own = back_off(&grant.id, grant.failures.saturating_add(1));
    pause(grant, retry_after.unwrap_or(own).min(RETRY_AFTER_MAX).max(own), code, detail, now)
}

fn pause(grant: &Grant, pause: Duration, code: Code, detail: String, now: Timestamp) -> Grant {
    Grant {
        standing: Standing::CoolingDown { until: now.plus(pause) },
        ..failed(grant, Happening::Failed(code), code, detail, now)
    }
}

fn park(grant: &Grant, cause: Cause, detail: String, now: Timestamp) -> Grant {
    Grant {
        standing: Standing::Parked { cause, since: now },
        ..failed(grant, Happening::Parked(cause), cause.code(), detail, now)
    }
}

fn failed(grant: &Grant, happening: Happening, code: Code, detail: String, now: Timestamp) -> Grant {
    let breaker = match grant.standing {
        Standing::Renewing { since, .. } => {
            grant.breaker.failed(since, grant.tokens.as_ref().map(|tokens| tokens.issued_at), now)
        }
        Standing::CoolingDown { .. } | Standing::Live | Standing::Parked { .. } | Standing::Revoking { .. } => {
            grant.breaker.clone()
        }
    };
    // What was taken out by its look may have left a held token that looks like a word.
    let detail = match &grant.tokens {
        Some(held) => held.refresh.iter().chain([&held.access]).fold(detail, |text, held| held.taken_out_of(text)),
        None => detail,
    };
    Grant {
        failures: grant.failures.saturating_add(1),
        breaker,
        trouble: Some(Trouble { code, at: now, detail }),
        history: grant.history.with(happening, grant.generation, took(grant, now), now),
        ..grant.clone()
    }
}

/// How long the attempt took that the note of intent began.
fn took(grant: &Grant, now: Timestamp) -> Option<Duration> {
    match grant.standing {
        Standing::Renewing { since, .. } => Some(now.since(since)),
        Standing::CoolingDown { .. } | Standing::Live | Standing::Parked { .. } | Standing::Revoking { .. } => None,
    }
}
