//! Getting a person's consent: what a login is asked for, what it shows, and what it comes to.

mod code;
mod device;
mod error;
mod loopback;
mod redirect;
mod register;
mod subject;
mod take_over;

pub use error::LoginError;

use crate::handle::GrantHandle;
use outlast_core::strategy::Recovery;
use outlast_core::{BoxFuture, Generation, Secret, Timestamp};
use outlast_oauth::dpop;
use std::time::Duration;

impl GrantHandle {
    /// Asks a person for their consent and takes over what that brings. What is held stays in place
    /// and in use until the new token set is on disk; if the login fails it stays as it is.
    pub async fn login(&self, options: &LoginOptions, prompt: &dyn LoginPrompt) -> Result<LoggedIn, LoginError> {
        match self.login_way(options)? {
            way @ (LoginWay::Browser | LoginWay::Paste) => self.login_by_code(way, options, prompt).await,
            LoginWay::Device => self.login_by_device(options, prompt).await,
        }
    }

    fn login_way(&self, options: &LoginOptions) -> Result<LoginWay, LoginError> {
        let strategy = self.entry.grant_type.strategy();
        match (strategy.recovery, options.way) {
            (Recovery::Operator | Recovery::Owner, _) => Err(self.unavailable("its grant type needs no person")),
            (Recovery::User, Some(way)) => Ok(way),
            (Recovery::User, None) if strategy.grant_type == "device_code" => Ok(LoginWay::Device),
            (Recovery::User, None) => Ok(LoginWay::Browser),
        }
    }

    /// A key for the tokens of this login to be bound to, where they are to be (RFC 9449). A new one for
    /// each login: it takes its place with the tokens, in one write.
    pub(crate) fn new_proof_key(&self) -> Result<Option<Secret>, LoginError> {
        if !self.entry.terms.dpop {
            return Ok(None);
        }
        dpop::generate().map(Some).map_err(|why| self.unavailable(why.to_string()))
    }

    pub(crate) fn unavailable(&self, why: impl Into<String>) -> LoginError {
        LoginError::Unavailable { grant: self.id().clone(), why: why.into() }
    }
}

/// How a person is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LoginWay {
    /// In a browser on this machine, which comes back to a port on loopback (RFC 8252 7.3); raced
    /// with what the person pastes, for browsers that cannot reach it.
    Browser,
    /// With a code on another device (RFC 8628).
    Device,
    /// In a browser anywhere; the person pastes the address it ended at.
    Paste,
}

/// What a login is asked for.
#[derive(Clone, Debug, Default)]
pub struct LoginOptions {
    /// How; what the grant type says if left out.
    pub way: Option<LoginWay>,
    /// Whether another account than the one that is held may take its place (R18).
    pub switch_account: bool,
}

/// What a person has to be shown while a login goes on. Everything in it that came from a server is
/// escaped: it moves no cursor.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum LoginStep {
    /// Enter this code at that address, on any device (RFC 8628 3.3).
    EnterCode {
        /// The code.
        user_code: String,
        /// Where; https, or on loopback.
        verification_uri: String,
        /// The same with the code in it, for a QR code.
        verification_uri_complete: Option<String>,
        /// Until when.
        expires_at: Timestamp,
        /// How often the server is asked whether the person has answered (RFC 8628 3.2); this side does that.
        interval: Duration,
        /// Who asks: the server's host.
        authorization_server: String,
        /// For what.
        scope: Vec<String>,
    },
    /// Open this address in a browser: http or https and nothing else (N53).
    Visit {
        /// The address.
        address: String,
        /// Where the browser comes back to.
        redirect_uri: String,
        /// Whether something listens there; otherwise the address it ended at has to be pasted.
        listening: bool,
        /// Until when.
        expires_at: Timestamp,
        /// Whether it takes the place of an address shown before, which the server has let expire.
        /// A browser that was opened with that one is to be left alone.
        replaces: bool,
    },
    /// The person has not answered yet.
    Waiting {
        /// How long there is left.
        left: Duration,
    },
}

/// Whoever stands between a login and a person.
pub trait LoginPrompt: Send + Sync {
    /// Shows what has to be done.
    fn show(&self, step: LoginStep);
    /// What the person pasted: the whole address the browser ended at. Pending for ever where nothing
    /// can be pasted. Asked again after each answer that was of no use.
    fn pasted(&self) -> BoxFuture<'_, String>;
    /// What was pasted is of no use, and why.
    fn refuse(&self, why: &str);
}

/// What a login brought.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoggedIn {
    /// The token set it became.
    pub generation: Generation,
    /// Whose grant it is, where the server says.
    pub subject: Option<String>,
    /// The name that person is known by.
    pub subject_name: Option<String>,
    /// When the access token ends, where known.
    pub expires_at: Option<Timestamp>,
    /// Whether there is a refresh token; without one the grant ends with the access token.
    pub renewable: bool,
    /// The scope that was granted, where that is not what was asked.
    pub scope: Option<Vec<String>>,
}
