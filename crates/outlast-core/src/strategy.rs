//! The row each grant type states about itself, and the port that writes its requests.

use crate::clock::Timestamp;
use crate::grant::{Grant, Terms};
use crate::key_request::KeyRequest;
use crate::options::GrantOption;
use crate::secret::Secret;
use crate::token_response::read_token_response;
use crate::wire::{Assertion, Provider, Reply, TokenRequest, TokenResponse};
use std::time::Duration;

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
    /// By a request that is authenticated by the key it is about, and brings another or puts it out of use.
    Ask {
        /// The request.
        request: KeyRequest,
        /// The key.
        key: Secret,
    },
    /// By a request to the token endpoint.
    Post(TokenRequest),
    /// By nothing at all: the token is known.
    Known(TokenResponse),
    /// By running a command that prints the token.
    Run {
        /// Program and arguments; never given to a shell.
        command: Vec<String>,
        /// What it reads on its standard input; secrets never go by argument or environment.
        input: Option<Secret>,
    },
    /// By signing it: the assertion itself is the access token.
    Sign(Assertion),
}

/// What a renewal is written from.
#[derive(Clone, Copy, Debug)]
pub struct Renewing<'a> {
    /// The grant as it is held.
    pub grant: &'a Grant,
    /// What the configuration says of it.
    pub terms: &'a Terms,
    /// The authorization server.
    pub provider: &'a Provider,
    /// The access token of the grant this one is exchanged from, where there is one (RFC 8693).
    pub subject_token: Option<&'a Secret>,
    /// The access token of the grant that acts for it, where there is one (RFC 8693 4.1).
    pub actor_token: Option<&'a Secret>,
}

/// Why no renewal can be written for a grant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unrenewable {
    /// There is no refresh token.
    NoRefreshToken,
    /// Something the configuration should say is missing or cannot be used.
    Misconfigured(&'static str),
    /// Another key may not be made now.
    RotationBlocked(&'static str),
    /// The attempt before this one was interrupted: it may have made a key that nobody knows. Another is made
    /// after this time at the earliest.
    RotationInDoubt(Duration),
}

/// A method of getting tokens. Writes requests and never sends them, so that it can be tested
/// without a network.
pub trait GrantType: Send + Sync {
    /// Its row in the strategy table.
    fn strategy(&self) -> &'static Strategy;
    /// What it is told in the configuration, besides what every grant type is told.
    fn options(&self) -> &'static [GrantOption] {
        &[]
    }
    /// Whether it has an authorization server at all.
    fn has_server(&self) -> bool {
        true
    }
    /// Whether the configuration has to name that server.
    fn needs_server(&self) -> bool {
        self.has_server()
    }
    /// What is wrong with these terms for this grant type, before anything is sent: what is wrong, a
    /// colon, and how to mend it. Secrets may not have been fetched yet; something then stands in
    /// for each.
    fn check(&self, _terms: &Terms) -> Result<(), String> {
        Ok(())
    }
    /// What is wrong with the secrets of these terms, once they are fetched; said as in
    /// [`GrantType::check`].
    fn check_secrets(&self, _terms: &Terms) -> Result<(), String> {
        Ok(())
    }
    /// How the grant is renewed.
    fn renewal(&self, renewing: &Renewing<'_>) -> Result<Redemption, Unrenewable>;
    /// The token set in a reply or in a command's output; nothing if it holds none that may be used.
    fn read(&self, reply: &Reply, _terms: &Terms) -> Option<TokenResponse> {
        read_token_response(reply)
    }
    /// The token set in what its command printed ([`Redemption::Run`]).
    ///
    /// # Errors
    /// In words without secrets, if it printed none that may be used.
    fn read_output(&self, _output: &Secret, _terms: &Terms, _now: Timestamp) -> Result<TokenResponse, String> {
        Err("this grant type reads no command".to_owned())
    }
    /// Whether the configuration holds another token than this grant, so that this one is not served.
    fn is_outdated(&self, _held: &Grant, _terms: &Terms) -> bool {
        false
    }
    /// How long the token that a renewal replaced stays good, where it is then to be retired.
    fn overlap(&self, _terms: &Terms) -> Option<Duration> {
        None
    }
    /// How the token that a renewal replaced is put out of use once its overlap has passed; nothing
    /// if it ends by itself.
    fn retirement(&self, _renewing: &Renewing<'_>, _retired: &Secret) -> Option<Redemption> {
        None
    }
}
