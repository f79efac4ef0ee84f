//! The row each grant type states about itself, and the port that writes its requests.

use crate::grant::{Grant, Terms};
use crate::wire::{Provider, TokenRequest};

/// How a grant type gets its next access token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Renewal {
    /// By running the command of the tool that owns the grant.
    Delegate,
    /// Not at all.
    Never,
    /// By spending the refresh token (RFC 6749 6).
    Refresh,
    /// By minting anew from what the configuration holds; nothing is spent.
    Remint,
}

/// Whether a renewal may replace the secret it was made with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rotation {
    /// Never: sending the same request twice is harmless.
    None,
    /// The refresh token may be replaced: sending it twice may revoke the whole grant.
    Possible,
}

/// Who can revive a dead grant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Recovery {
    /// Whoever runs Outlast, by mending the configuration.
    Operator,
    /// The tool that owns the grant.
    Owner,
    /// The person who gave it, by signing in.
    User,
}

/// One row of the strategy table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Strategy {
    /// The RFC's name of the grant type, as in the configuration.
    pub grant_type: &'static str,
    /// Where it is defined.
    pub rfc: &'static str,
    /// How it is renewed.
    pub renewal: Renewal,
    /// Whether the renewal spends something.
    pub rotation: Rotation,
    /// Who revives it.
    pub recovery: Recovery,
}

/// How a renewal is carried out.
#[derive(Clone, Debug)]
pub enum Redemption {
    /// By a request to the token endpoint.
    Post(TokenRequest),
    /// By running a command that prints the token.
    Run {
        /// Program and arguments; never given to a shell.
        command: Vec<String>,
    },
}

/// Why no renewal can be written for a grant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unrenewable {
    /// There is no refresh token.
    NoRefreshToken,
}

/// A method of getting tokens. Writes requests and never sends them, so that it can be tested
/// without a network.
pub trait GrantType: Send + Sync {
    /// Its row in the strategy table.
    fn strategy(&self) -> &'static Strategy;
    /// The request that renews `grant`.
    fn renewal(&self, grant: &Grant, terms: &Terms, provider: &Provider) -> Result<Redemption, Unrenewable>;
}
