//! Why an ask for an access token is not answered with one.

use outlast_core::store::StoreError;
use outlast_core::{Advice, Cause, Code, Copied, GrantId, Timestamp, Trouble};
use std::fmt;
use std::sync::Arc;

/// Why there is no access token. The text is safe for agents to read: it says wait, stop or mend,
/// and never points to another credential.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum TokenError {
    /// The store is a copy, or was put back: whoever refreshes second burns the grant.
    AdoptNeeded {
        /// The grant.
        grant: GrantId,
        /// What happened to the store.
        copied: Copied,
    },
    /// The tokens held were issued by another server than the one configured.
    AuthorizationServerChanged {
        /// The grant.
        grant: GrantId,
        /// Whose tokens are held.
        held: String,
        /// Who is configured.
        configured: String,
    },
    /// The last renewal failed; the next may be tried at `until`.
    CoolingDown {
        /// The grant.
        grant: GrantId,
        /// When.
        until: Timestamp,
        /// What went wrong.
        trouble: Option<Trouble>,
    },
    /// This process is about to end and begins no renewal any more.
    Ending {
        /// The grant.
        grant: GrantId,
    },
    /// No grant of that name.
    GrantUnknown {
        /// The name.
        grant: String,
    },
    /// A broken promise inside Outlast, or its end.
    Internal {
        /// What happened.
        detail: &'static str,
    },
    /// Only a person can go on.
    NeedsUser {
        /// The grant.
        grant: GrantId,
        /// Why.
        cause: Cause,
    },
    /// Somebody signed out, and the server has not revoked the tokens yet.
    NotRevoked {
        /// The grant.
        grant: GrantId,
        /// What stands in the way.
        code: Code,
        /// In words without secrets.
        detail: String,
        /// When the server asks to try again, where it does.
        retry_at: Option<Timestamp>,
    },
    /// The resource refuses tokens that were just renewed.
    RejectedAfterRenewal {
        /// The grant.
        grant: GrantId,
        /// When the next renewal may be tried.
        until: Timestamp,
    },
    /// Somebody signed in while the grant was being signed out of: that login stays.
    SignedInSince {
        /// The grant.
        grant: GrantId,
    },
    /// The store failed.
    Store(Arc<StoreError>),
    /// No answer in time; the renewal goes on behind.
    TimedOut {
        /// The grant.
        grant: GrantId,
    },
}

impl TokenError {
    /// Its code.
    pub fn code(&self) -> Code {
        match self {
            Self::AdoptNeeded { .. } => Code::AdoptNeeded,
            Self::AuthorizationServerChanged { .. } => Code::AuthorizationServerChanged,
            // A mistake in the configuration is not mended by waiting: say so instead of the pause.
            Self::CoolingDown { trouble: Some(trouble), .. } => trouble.code,
            Self::CoolingDown { trouble: None, .. } | Self::Ending { .. } | Self::TimedOut { .. } => Code::CoolingDown,
            Self::GrantUnknown { .. } => Code::GrantUnknown,
            Self::Internal { .. } => Code::Internal,
            Self::NeedsUser { cause, .. } => cause.code(),
            // A mistake is mended, and everything else is waited for.
            Self::NotRevoked { code, .. } if code.advice() == Advice::FixConfig => *code,
            Self::NotRevoked { .. } => Code::RevocationPending,
            Self::RejectedAfterRenewal { .. } => Code::RejectedAfterRenewal,
            Self::SignedInSince { .. } => Code::StoreBusy,
            Self::Store(error) => error.code(),
        }
    }

    /// When it is worth asking again, where known.
    pub fn retry_at(&self) -> Option<Timestamp> {
        match self {
            Self::CoolingDown { until, .. } | Self::RejectedAfterRenewal { until, .. } => Some(*until),
            Self::NotRevoked { retry_at, .. } => *retry_at,
            Self::AdoptNeeded { .. }
            | Self::AuthorizationServerChanged { .. }
            | Self::Ending { .. }
            | Self::GrantUnknown { .. }
            | Self::Internal { .. }
            | Self::NeedsUser { .. }
            | Self::SignedInSince { .. }
            | Self::Store(_)
            | Self::TimedOut { .. } => None,
        }
    }
}

impl From<StoreError> for TokenError {
    fn from(error: StoreError) -> Self {
        Self::Store(Arc::new(error))
    }
}

impl fmt::Display for TokenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AdoptNeeded { grant, copied } => write!(
                f,
                "grant {grant} is not renewed: the store {}. If another copy of it is in use, whoever refreshes second \
                 ends the grant for both. Stop: a person has to decide, and take the grant over here with: \
                 outlast adopt {grant}; do not use another credential",
                copied.describe()
            ),
            Self::AuthorizationServerChanged { grant, held, configured } => write!(
                f,
                "grant {grant} holds tokens of {held}, but {configured} is configured; nothing was sent. \
                 Restore the configuration, or sign in at the new server with: outlast login {grant}"
            ),
            Self::CoolingDown { grant, trouble, .. } => self.not_yet(f, grant, trouble.as_ref()),
            Self::Ending { grant } => write!(
                f,
                "grant {grant} was not renewed, for this process is being stopped; the held credential is kept. \
                 Wait and try again when it runs"
            ),
            Self::GrantUnknown { grant } => write!(f, "no grant named {grant:?} is configured; see: outlast status"),
            Self::Internal { detail } => write!(f, "{detail}; the held credentials are kept. Stop and report it"),
            Self::NeedsUser { grant, cause } => write!(
                f,
                "grant {grant} needs its owner: {}. Stop or wait for the person who owns it; \
                 do not use another credential",
                cause.describe()
            ),
            Self::NotRevoked { grant, detail, .. } => {
                write!(
                    f,
                    "grant {grant} is signed out here, but its tokens may still be good \
                     at the authorization server: {detail}. "
                )?;
                f.write_str(if self.code().advice() == Advice::FixConfig {
                    "Have the configuration mended"
                } else {
                    "Wait"
                })?;
                write!(f, ", then finish with: outlast logout {grant} (or forget them all the same with --force)")
            }
            Self::RejectedAfterRenewal { grant, .. } => write!(
                f,
                "the resource refuses tokens of grant {grant} that were just renewed; renewals are paused. \
                 Stop or wait; do not use another credential"
            ),
            Self::SignedInSince { grant } => write!(
                f,
                "somebody signed in to grant {grant} while it was being signed out of; that login stays. Stop: \
                 whether it is to end as well a person decides; then: outlast logout {grant}"
            ),
            Self::Store(error) => error.fmt(f),
            Self::TimedOut { grant } => {
                write!(f, "grant {grant} was not renewed in time; the renewal goes on. Wait and try again")
            }
        }
    }
}

impl TokenError {
    /// A renewal failed: why, and that the held credential is kept.
    fn not_yet(&self, f: &mut fmt::Formatter<'_>, grant: &GrantId, trouble: Option<&Trouble>) -> fmt::Result {
        write!(f, "grant {grant} could not be renewed")?;
        if let Some(trouble) = trouble {
            write!(f, " ({})", trouble.detail)?;
        }
        f.write_str("; the held credential is kept. ")?;
        f.write_str(match self.code().advice() {
            Advice::AskUser => "Its owner has to sign in with the tool that prints it. Stop or wait for that",
            Advice::FixConfig => "Stop until the configuration is mended",
            Advice::Decide | Advice::ReportBug | Advice::Retry | Advice::Wait => "Wait and try again",
        })?;
        f.write_str("; do not use another credential")
    }
}

impl std::error::Error for TokenError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Store(error) => Some(error.as_ref()),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(code: Code) -> String {
        let trouble = Trouble { code, at: Timestamp::from_secs(1), detail: "as the server said".to_owned() };
        let grant = GrantId::parse("crm").unwrap();
        TokenError::CoolingDown { grant, until: Timestamp::from_secs(2), trouble: Some(trouble) }.to_string()
    }

    #[test]
    fn a_mistake_in_the_configuration_is_not_waited_out() {
        assert!(text(Code::ClientMisconfigured).contains("Stop until the configuration is mended"));
        assert!(text(Code::ServerUnreachable).contains("Wait and try again"));
    }

    #[test]
    fn r24_every_text_says_not_to_use_another_credential() {
        for code in [
            Code::ClientMisconfigured,
            Code::CommandFailed,
            Code::InDoubt,
            Code::ServerMisbehaved,
            Code::ServerUnreachable,
        ] {
            assert!(text(code).ends_with("do not use another credential"), "{code}");
        }
    }
}
