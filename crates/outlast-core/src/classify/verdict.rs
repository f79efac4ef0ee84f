//! What a reply can mean; each variant obliges whoever receives it to one recovery.

use std::time::Duration;

/// Where a reply came from: the same words mean different things at different endpoints.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EndpointKind {
    /// The token endpoint while a device code is polled (RFC 8628 3.4).
    Device,
    /// A protected resource.
    Resource,
    /// The token endpoint.
    Token,
}

/// What the person must prove, where the server says (RFC 9470 3, OpenID Connect Core 3.1.2.1).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StepUp {
    /// Authentication context classes asked for.
    pub acr_values: Option<String>,
    /// Largest age of the sign-in.
    pub max_age: Option<Duration>,
    /// A claims request, to be passed on as it is.
    pub claims: Option<String>,
}

/// The meaning of a reply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The access token has run out: renew and send again.
    AccessTokenExpired,
    /// The access token is refused and it is not said to be its age: renew once and send again.
    AccessTokenInvalid,
    /// The person has not answered yet (RFC 8628 3.5): poll on.
    AuthorizationPending,
    /// Client id, secret, redirect, grant type or API key are wrong: mend the configuration.
    ClientMisconfigured,
    /// A DPoP proof with this nonce is wanted (RFC 9449 8 and 9): send again with it.
    DpopNonceRequired {
        /// The nonce.
        nonce: Option<String>,
    },
    /// The grant is dead: only a login revives it.
    GrantDead,
    /// The token lacks scopes: authorize again with them.
    InsufficientScope {
        /// The scopes asked for, where given.
        scopes: Vec<String>,
    },
    /// Success, or an error that has nothing to do with authorization.
    NotAuth,
    /// The token is fine, the answer is no: stop.
    PermissionDenied,
    /// Too many requests: wait.
    RateLimited {
        /// How long, where given.
        retry_after: Option<Duration>,
    },
    /// Poll more slowly (RFC 8628 3.5).
    SlowDown,
    /// The person must prove more: sign in interactively.
    StepUpRequired(StepUp),
    /// The server, or the way to it, is ill: back off and try again.
    Transient {
        /// How long, where given.
        retry_after: Option<Duration>,
    },
    /// It cannot be told: keep everything, change nothing, pass it on.
    Unknown,
}

impl Verdict {
    /// The stable name of the class, as `outlast explain` prints it.
    pub const fn class(&self) -> &'static str {
        match self {
            Self::AccessTokenExpired => "access_token_expired",
            Self::AccessTokenInvalid => "access_token_invalid",
            Self::AuthorizationPending => "authorization_pending",
            Self::ClientMisconfigured => "client_misconfigured",
            Self::DpopNonceRequired { .. } => "dpop_nonce_required",
            Self::GrantDead => "refresh_token_expired_or_revoked",
            Self::InsufficientScope { .. } => "insufficient_scope",
            Self::NotAuth => "not_auth",
            Self::PermissionDenied => "permission_denied",
            Self::RateLimited { .. } => "rate_limited",
            Self::SlowDown => "slow_down",
            Self::StepUpRequired(_) => "step_up_required",
            Self::Transient { .. } => "transient",
            Self::Unknown => "unknown",
        }
    }

    /// The stable name of the one right recovery.
    pub const fn recovery(&self) -> &'static str {
        match self {
            Self::AccessTokenExpired => "refresh_and_retry",
            Self::AccessTokenInvalid => "refresh_and_retry_once",
            Self::AuthorizationPending | Self::SlowDown => "keep_polling",
            Self::ClientMisconfigured => "fix_configuration",
            Self::DpopNonceRequired { .. } => "retry_with_nonce",
            Self::GrantDead => "reauthenticate",
            Self::InsufficientScope { .. } => "reauthorize_with_scopes",
            Self::NotAuth => "none",
            Self::PermissionDenied => "stop",
            Self::RateLimited { .. } => "wait",
            Self::StepUpRequired(_) => "interactive_step_up",
            Self::Transient { .. } => "backoff_retry",
            Self::Unknown => "unknown",
        }
    }

    /// Whether a renewal is the recovery.
    pub const fn asks_for_renewal(&self) -> bool {
        matches!(self, Self::AccessTokenExpired | Self::AccessTokenInvalid)
    }
}

/// Which part of a reply decided, for logs and `explain`. Holds names and codes of the field's
/// vocabulary, never a token.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Evidence {
    /// Where it was found: `status`, `header WWW-Authenticate error`, `body error`…
    pub place: &'static str,
    /// What stood there, shortened and redacted; empty where the place says it all.
    pub found: String,
}

/// A verdict and what it rests on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Judgement {
    /// The meaning.
    pub verdict: Verdict,
    /// What it rests on.
    pub evidence: Evidence,
    /// How long the server asks to wait, where it does and the verdict is one that waits; at most
    /// an hour. For the device flow it is the new interval (RFC 8628 3.5).
    pub retry_after: Option<Duration>,
    /// Where the resource's metadata is, where the challenge says (RFC 9728 5.1).
    pub resource_metadata: Option<String>,
}
