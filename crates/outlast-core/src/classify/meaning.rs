//! What a rule concludes; a [`Verdict`](super::Verdict) without what it carries.

/// What a rule concludes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Meaning {
    /// See [`Verdict::AccessTokenExpired`](super::Verdict::AccessTokenExpired).
    AccessTokenExpired,
    /// See [`Verdict::AccessTokenInvalid`](super::Verdict::AccessTokenInvalid).
    AccessTokenInvalid,
    /// See [`Verdict::AuthorizationPending`](super::Verdict::AuthorizationPending).
    AuthorizationPending,
    /// See [`Verdict::ClientMisconfigured`](super::Verdict::ClientMisconfigured).
    ClientMisconfigured,
    /// See [`Verdict::DpopNonceRequired`](super::Verdict::DpopNonceRequired).
    DpopNonceRequired,
    /// See [`Verdict::GrantDead`](super::Verdict::GrantDead).
    GrantDead,
    /// See [`Verdict::InsufficientScope`](super::Verdict::InsufficientScope).
    InsufficientScope,
    /// See [`Verdict::NotAuth`](super::Verdict::NotAuth).
    NotAuth,
    /// See [`Verdict::PermissionDenied`](super::Verdict::PermissionDenied).
    PermissionDenied,
    /// See [`Verdict::RateLimited`](super::Verdict::RateLimited).
    RateLimited,
    /// See [`Verdict::SlowDown`](super::Verdict::SlowDown).
    SlowDown,
    /// See [`Verdict::StepUpRequired`](super::Verdict::StepUpRequired).
    StepUpRequired,
    /// See [`Verdict::Transient`](super::Verdict::Transient).
    Transient,
    /// See [`Verdict::Unknown`](super::Verdict::Unknown).
    Unknown,
}
