//! Why a login brought nothing.

use outlast_core::store::StoreError;
use outlast_core::{Advice, Code, GrantId};
use outlast_oauth::address::escaped;
use std::fmt;
use std::sync::Arc;

/// Why a login brought nothing. Whatever was held before is still held and in use. The text is safe
/// for agents to read, and what came from a server is escaped in it.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum LoginError {
    /// Somebody else signed in than the one whose grant it is.
    AccountMismatch {
        /// The grant.
        grant: GrantId,
        /// Whose it is.
        held: String,
        /// Who came, where the server says.
        found: Option<String>,
    },
    /// The person or the server said no.
    Denied {
        /// The grant.
        grant: GrantId,
        /// In what words: a registered code of the server.
        said: String,
    },
    /// Nobody answered in time.
    Expired {
        /// The grant.
        grant: GrantId,
    },
    /// An answer that does not belong to this login.
    Refused {
        /// The grant.
        grant: GrantId,
        /// What is wrong with it.
        why: String,
    },
    /// The authorization server is ill, or refuses the client.
    Server {
        /// The grant.
        grant: GrantId,
        /// What kind of failure.
        code: Code,
        /// In words without secrets.
        detail: String,
    },
    /// The store failed.
    Store(Arc<StoreError>),
    /// This login is not possible.
    Unavailable {
        /// The grant.
        grant: GrantId,
        /// Why.
        why: String,
    },
}

impl LoginError {
    /// Its code.
    pub fn code(&self) -> Code {
        match self {
            Self::AccountMismatch { .. } => Code::AccountMismatch,
            Self::Denied { .. } => Code::LoginDenied,
            Self::Expired { .. } => Code::LoginExpired,
            Self::Refused { .. } => Code::LoginRefused,
            Self::Server { code, .. } => *code,
            Self::Store(error) => error.code(),
            Self::Unavailable { .. } => Code::LoginUnavailable,
        }
    }
}

impl From<StoreError> for LoginError {
    fn from(error: StoreError) -> Self {
        Self::Store(Arc::new(error))
    }
}

impl fmt::Display for LoginError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AccountMismatch { grant, held, found } => {
                let found = match found {
                    Some(found) => format!("\"{}\" signed in", escaped(found)),
                    None => "the server does not say who signed in".to_owned(),
                };
                write!(
                    f,
                    "grant {grant} belongs to \"{}\", but {found}; nothing was stored. Sign in with the account it \
                     belongs to. Only its owner may decide to change accounts, with: outlast login {grant} \
                     --switch-account",
                    escaped(held)
                )
            }
            Self::Denied { grant, said } => write!(
                f,
                "the login for grant {grant} was denied ({}); what was held is kept. Stop, and ask its owner",
                escaped(said)
            ),
            Self::Expired { grant } => write!(
                f,
                "nobody answered the login for grant {grant} in time; what was held is kept. Ask its owner to sign in \
                 with: outlast login {grant}"
            ),
            Self::Refused { grant, why } => write!(
                f,
                "the answer to the login for grant {grant} is not used: {why}; nothing was stored. Begin anew with: \
                 outlast login {grant}"
            ),
            Self::Server { grant, code, detail } => {
                write!(f, "the login for grant {grant} failed: {detail}; what was held is kept. ")?;
                f.write_str(match code.advice() {
                    Advice::FixConfig => "Stop until the configuration is mended",
                    Advice::Retry | Advice::Wait => "Wait and try again",
                    Advice::AskUser => "Stop, and ask its owner",
                    Advice::Decide => "Stop until a person has decided",
                    Advice::ReportBug => "Stop and report it",
                })
            }
            Self::Store(error) => error.fmt(f),
            Self::Unavailable { grant, why } => write!(f, "grant {grant} cannot be signed in to: {why}"),
        }
    }
}

impl std::error::Error for LoginError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Store(error) => Some(error.as_ref()),
            Self::AccountMismatch { .. }
            | Self::Denied { .. }
            | Self::Expired { .. }
            | Self::Refused { .. }
            | Self::Server { .. }
            | Self::Unavailable { .. } => None,
        }
    }
}
