//! Taking tokens out of use at the server (RFC 7009): the request, and what its answer means.

use crate::request::authenticated;
use outlast_core::classify::{EndpointKind, Quirks, Verdict, classify};
use outlast_core::outcome::describe;
use outlast_core::wire::{Answer, Fault, Reply, TokenRequest};
use outlast_core::{Code, Provider, Secret, Terms};
use serde_json::Value;
use std::time::Duration;

/// Which of a grant's tokens (RFC 7009 2.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenKind {
    /// The access token.
    Access,
    /// The refresh token.
    Refresh,
}

impl TokenKind {
    /// The hint that tells the server where to look.
    pub(crate) const fn hint(self) -> &'static str {
        match self {
            Self::Access => "access_token",
            Self::Refresh => "refresh_token",
        }
    }
}

/// What a revocation came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RevocationOutcome {
    /// The token may still be good: ask again later.
    Pending {
        /// What kind of trouble.
        code: Code,
        /// In words without secrets.
        detail: String,
        /// How long the server asks to wait, where it does (RFC 7009 2.2.1).
        retry_after: Option<Duration>,
    },
    /// The server refuses the request itself: asking again brings the same.
    Refused {
        /// What kind of mistake.
        code: Code,
        /// In words without secrets.
        detail: String,
    },
    /// It is out of use, or the server knows no such token, which is the same (RFC 7009 2.2).
    Revoked,
    /// The server does not revoke tokens of this kind: it ends by itself (RFC 7009 2.2.1).
    Unsupported,
}

/// The request that revokes `token`; nothing where the server revokes none. `proof_key` is the key
/// the grant's tokens are bound to, where they are.
pub fn revocation_request(
    kind: TokenKind,
    token: &Secret,
    proof_key: Option<&Secret>,
    terms: &Terms,
    provider: &Provider,
) -> Option<TokenRequest> {
    let endpoint = provider.revocation_endpoint.as_deref()?;
    let form = vec![("token", token.clone()), ("token_type_hint", Secret::new(kind.hint()))];
    let mut request = authenticated(provider.form(endpoint, form), terms, provider);
    request.proof_key = proof_key.cloned();
    Some(request)
}

/// What the answer to a revocation means. Only the server's own word takes a token for revoked.
pub fn judge_revocation(answer: &Answer, quirks: &Quirks) -> RevocationOutcome {
    let unreachable = |fault| RevocationOutcome::Pending {
        code: Code::ServerUnreachable,
        detail: describe(fault).to_owned(),
        retry_after: None,
    };
    match answer {
        Answer::Complete(reply) => judge_reply(reply, quirks),
        Answer::Unsent(fault @ (Fault::Insecure | Fault::OutOfReach)) => {
            RevocationOutcome::Refused { code: fault.code(), detail: describe(*fault).to_owned() }
        }
        // A revocation that was carried out and whose answer was lost can be sent again for nothing.
        Answer::Lost(fault) | Answer::Unsent(fault) => unreachable(*fault),
    }
}

fn judge_reply(reply: &Reply, quirks: &Quirks) -> RevocationOutcome {
    let error = error_code(&reply.body);
    let success = (200..300).contains(&reply.status);
    if success && error.is_none() {
        // RFC 7009 2.2: the content is of no matter. A page comes from a portal on the way, though.
        return if reply.body.trim_ascii_start().starts_with(b"<") {
            misbehaved(reply.status)
        } else {
            RevocationOutcome::Revoked
        };
    }
    if error.as_deref() == Some("unsupported_token_type") {
        return RevocationOutcome::Unsupported;
    }
    let judgement = classify(EndpointKind::Token, reply.status, &reply.headers, &reply.body, quirks);
    let evidence = judgement.evidence;
    let detail = if evidence.found.is_empty() {
        format!("the server answered {}", reply.status)
    } else {
        format!("{}: {}", evidence.place, evidence.found)
    };
    match judgement.verdict {
        // Some servers call a token that they no longer know invalid.
        Verdict::GrantDead => RevocationOutcome::Revoked,
        Verdict::ClientMisconfigured
        | Verdict::InsufficientScope { .. }
        | Verdict::PermissionDenied
        | Verdict::StepUpRequired(_) => RevocationOutcome::Refused { code: Code::ClientMisconfigured, detail },
        Verdict::RateLimited { retry_after } | Verdict::Transient { retry_after } => {
            RevocationOutcome::Pending { code: Code::ServerUnreachable, detail, retry_after }
        }
        Verdict::AccessTokenExpired
        | Verdict::AccessTokenInvalid
        | Verdict::AuthorizationPending
        | Verdict::DpopNonceRequired { .. }
        | Verdict::NotAuth
        | Verdict::SlowDown
        | Verdict::Unknown => misbehaved(reply.status),
    }
}

fn misbehaved(status: u16) -> RevocationOutcome {
    let detail = format!("the answer, with status {status}, is none that RFC 7009 knows");
    RevocationOutcome::Pending { code: Code::ServerMisbehaved, detail, retry_after: None }
}

fn error_code(body: &[u8]) -> Option<String> {
    let value: Value = serde_json::from_slice(body).ok()?;
    value.get("error")?.as_str().map(str::to_owned)
}
