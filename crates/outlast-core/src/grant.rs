//! What a person or service allowed us to do, and how it stands.

use crate::breaker::Breaker;
use crate::clock::Timestamp;
use crate::error::{Advice, Code};
use crate::history::{Happening, History};
use crate::options::Options;
use crate::secret::Secret;
use crate::token::{Generation, TokenSet};
use crate::wanted;
pub use crate::wanted::Wanted;
use crate::wire::SigningKey;
use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

/// Longest name of a grant, in bytes.
pub const GRANT_NAME_BYTES_MAX: usize = 64;

/// The name of a grant: letters, digits, `-`, `_` and `.`, not starting with `-` or `.`.
///
/// Names become paths, header values and environment variables, so anything else is refused here
/// once instead of being escaped in each of those places.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GrantId(String);

impl GrantId {
    /// Parses a name; the error says what is wrong with it.
    pub fn parse(name: &str) -> Result<Self, &'static str> {
        let ok = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        if name.is_empty() {
            Err("a grant's name is empty")
        } else if name.len() > GRANT_NAME_BYTES_MAX {
            Err("a grant's name is longer than 64 bytes")
        } else if name.starts_with(['-', '.']) {
            Err("a grant's name starts with '-' or '.'")
        } else if !name.chars().all(ok) {
            Err("a grant's name has a character other than letters, digits, '-', '_' and '.'")
        } else {
            Ok(Self(name.to_owned()))
        }
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for GrantId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// How the client proves who it is at the token endpoint (RFC 6749 2.3, OpenID Connect Core 9).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ClientAuth {
    /// `client_secret_basic`: form-encoded, then in the Authorization field (RFC 6749 2.3.1).
    Basic(Secret),
    /// `none`: a public client sends its id alone.
    None,
    /// `client_secret_post`: in the form.
    Post(Secret),
    /// `private_key_jwt`: by a signed assertion (RFC 7523 2.2).
    PrivateKeyJwt(SigningKey),
    /// `tls_client_auth` and `self_signed_tls_client_auth`: by the certificate of the connection;
    /// chain and key in PEM (RFC 8705 2).
    TlsClient(Secret),
}

/// What the configuration says of a grant. Not stored with the tokens: a rotated client secret
/// takes effect at once, and a secret from the environment never reaches the disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Terms {
    /// The grant's name.
    pub id: GrantId,
    /// RFC name of the grant type, a row of the strategy table.
    pub grant_type: String,
    /// Which authorization server issued the tokens: its issuer or token endpoint. Tokens of one
    /// server are never sent to another.
    pub authorization_server: String,
    /// The client's identifier there.
    pub client_id: String,
    /// How the client authenticates.
    pub client_auth: ClientAuth,
    /// The scope asked for, and asked for again at every renewal.
    pub scope: Vec<String>,
    /// RFC 8707 resource indicator, sent at every renewal too.
    pub resource: Option<String>,
    /// What the grant type is told besides.
    pub options: Options,
    /// Whether tokens are bound to a key of the grant's own (RFC 9449).
    pub dpop: bool,
    /// Longest time between two renewals, whatever the life of the access token: the grant would
    /// end if it were idle for longer, or its key is to be rotated.
    pub renew_within: Option<Duration>,
    /// The life of an access token where the server does not tell.
    pub token_life: Option<Duration>,
}

impl Terms {
    /// Terms of that name, type and server, with everything else left out.
    pub fn new(id: GrantId, grant_type: impl Into<String>, authorization_server: impl Into<String>) -> Self {
        Self {
            id,
            grant_type: grant_type.into(),
            authorization_server: authorization_server.into(),
            client_id: String::new(),
            client_auth: ClientAuth::None,
            scope: Vec::new(),
            resource: None,
            options: Options::default(),
            dpop: false,
            renew_within: None,
            token_life: None,
        }
    }

    /// These terms with the client that was registered for the grant, where the configuration
    /// names none (RFC 7591). A registration at another server does not count (N48).
    pub fn as_registered(&self, grant: &Grant) -> Cow<'_, Self> {
        let registered = grant
            .registration
            .as_ref()
            .filter(|client| self.client_id.is_empty() && client.authorization_server == self.authorization_server);
        match registered {
            None => Cow::Borrowed(self),
            Some(client) => Cow::Owned(Self {
                client_id: client.client_id.clone(),
                client_auth: client.client_auth.clone(),
                ..self.clone()
            }),
        }
    }

    /// The scopes asked for, one by one.
    pub fn scope_words(&self) -> impl Iterator<Item = &str> {
        self.scope.iter().flat_map(|entry| entry.split_whitespace())
    }

    /// Tells these terms from others, client secret included; kept nowhere but inside the seal.
    pub fn fingerprint(&self) -> u64 {
        let (method, secret) = match &self.client_auth {
            ClientAuth::Basic(secret) => ("basic", secret.expose()),
            ClientAuth::None => ("none", ""),
            ClientAuth::Post(secret) => ("post", secret.expose()),
            ClientAuth::PrivateKeyJwt(key) => ("private_key_jwt", key.material.expose()),
            ClientAuth::TlsClient(certificate) => ("tls", certificate.expose()),
        };
        let (algorithm, key_id) = match &self.client_auth {
            ClientAuth::PrivateKeyJwt(key) => (key.algorithm.as_deref(), key.key_id.as_deref()),
            ClientAuth::Basic(_) | ClientAuth::None | ClientAuth::Post(_) | ClientAuth::TlsClient(_) => (None, None),
        };
        let method = &[method, algorithm.unwrap_or_default(), key_id.unwrap_or_default()].join("\u{1}");
        let resource = self.resource.as_deref().unwrap_or_default();
        let scope = self.scope.join(" ");
        let options = self.options.spelled();
        let server = &self.authorization_server;
        let parts = [&self.grant_type, server, &self.client_id, method, secret, &scope, resource, options.expose()];
        crate::freshness::hash(parts.join("\u{0}").as_bytes())
    }
}

/// Why a grant waits for a person.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Cause {
    /// The server refuses the grant: expired, revoked or unknown.
    Dead,
    /// A renewal's answer was lost and the server refuses the token it was sent with.
    LostRotation,
    /// Somebody signed out of it; whether the server has revoked it yet is another matter.
    LoggedOut,
    /// There never was a token set, and the grant type needs a person to get one.
    NeverGranted,
    /// The access token has ended and there is no refresh token to renew it with.
    NotRenewable,
    /// The key that its tokens are bound to is gone, and without it they are worth nothing (RFC 9449).
    ProofKeyLost,
    /// The server wants the person to prove more (RFC 9470 and kin).
    StepUp,
    /// The server says that the refresh token was used before, and no renewal of ours was in doubt (F41).
    TheftSuspected,
}

impl Cause {
    /// The code that tells of it.
    pub const fn code(self) -> Code {
        match self {
            Self::LostRotation => Code::LostRotation,
            Self::TheftSuspected => Code::TheftSuspected,
            Self::Dead
            | Self::LoggedOut
            | Self::NeverGranted
            | Self::NotRenewable
            | Self::ProofKeyLost
            | Self::StepUp => Code::NeedsUser,
        }
    }

    /// What happened, as part of a sentence about the grant.
    pub const fn describe(self) -> &'static str {
        match self {
            Self::Dead => "the authorization server refuses it: it is expired or revoked",
            Self::LostRotation => "the answer to a renewal was lost and the server refuses the token it was sent with",
            Self::LoggedOut => "somebody has signed out of it",
            Self::NeverGranted => "nobody has signed in for it yet",
            Self::NotRenewable => "its access token has ended and there is no refresh token to renew it with",
            Self::ProofKeyLost => "the key that its tokens are bound to is lost, so they are of no use to anybody",
            Self::StepUp => "the authorization server wants the person to sign in again",
            Self::TheftSuspected => {
                "the authorization server says that its refresh token was used before, and Outlast did not use it: another \
                 program renews this grant too, or somebody has a copy of it"
            }
        }
    }
}

/// How a grant stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// A renewal failed; none is tried before `until`, by any process.
    CoolingDown {
        /// When the next attempt may be made.
        until: Timestamp,
    },
    /// Nothing stands in the way of serving and renewing.
    Live,
    /// Only a person can revive it.
    Parked {
        /// Why.
        cause: Cause,
        /// Since when.
        since: Timestamp,
    },
    /// A refresh token is being spent, or was when its holder died: what became of it is in doubt
    /// until a definite answer.
    Renewing {
        /// When the attempt was begun.
        since: Timestamp,
        /// How many attempts have been begun since the last definite answer; from 1.
        attempt: u8,
    },
    /// Somebody signed out, and the server has not said yet that the tokens are revoked: they may
    /// still be good, and are served to nobody (RFC 7009 2.2.1).
    Revoking {
        /// Since when.
        since: Timestamp,
        /// When the server may be asked again by itself.
        retry_at: Timestamp,
    },
}

/// A client that was registered for a grant (RFC 7591), at one authorization server and no other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Registration {
    /// The server it was registered at.
    pub authorization_server: String,
    /// The identifier it was given.
    pub client_id: String,
    /// How it authenticates.
    pub client_auth: ClientAuth,
    /// When its secret ends, where it does (RFC 7591 3.2.1).
    pub secret_ends_at: Option<Timestamp>,
}

/// A token that a renewal replaced and that is good for a while yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Retiring {
    /// The token.
    pub access: Secret,
    /// When it is put out of use.
    pub retire_at: Timestamp,
}

/// The last thing that went wrong with a grant, for `status`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trouble {
    /// What kind.
    pub code: Code,
    /// When.
    pub at: Timestamp,
    /// In words that hold no secret.
    pub detail: String,
}

/// A grant as it is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    /// Its name.
    pub id: GrantId,
    /// RFC name of the grant type it was made with.
    pub grant_type: String,
    /// The authorization server its tokens come from, as in [`Terms::authorization_server`].
    pub authorization_server: String,
    /// The client the tokens were issued to.
    pub client_id: String,
    /// Whose grant it is, where known; pinned, so that no other account can take its place.
    pub subject: Option<String>,
    /// The issuer whose ID token named the subject; renewals are held to it (OpenID Connect Core 12.2).
    pub subject_issuer: Option<String>,
    /// The name that person is known by, for people to read.
    pub subject_name: Option<String>,
    /// Names the token set.
    pub generation: Generation,
    /// What it holds; a grant that can mint without a person may hold nothing yet.
    pub tokens: Option<TokenSet>,
    /// How it stands.
    pub standing: Standing,
    /// Failed attempts since the last success; outside [`Standing`], which every attempt replaces.
    pub failures: u8,
    /// Whether a refresh token was sent whose fate is not known: its refusal then means that the
    /// answer which replaced it was lost.
    pub in_doubt: bool,
    /// Renewals that a refusal by the resource asked for, and what became of them.
    pub breaker: Breaker,
    /// When the grant itself ends, where known.
    pub ends_at: Option<Timestamp>,
    /// When the last renewal succeeded.
    pub renewed_at: Option<Timestamp>,
    /// The last thing that went wrong.
    pub trouble: Option<Trouble>,
    /// Fingerprint of the terms the last attempt was made under: a cool-down for a mistake in the
    /// configuration ends when the configuration changes.
    pub terms_fingerprint: u64,
    /// The private key that tokens are bound to, as a JWK; lost with it, they are worth nothing
    /// (RFC 9449).
    pub proof_key: Option<Secret>,
    /// The client that was registered for this grant.
    pub registration: Option<Registration>,
    /// Fingerprint of the configured key that what is held goes back to, though rotated since.
    pub key_fingerprint: Option<u64>,
    /// The token before this one, while it is good.
    pub retiring: Option<Retiring>,
    /// What the next login has to bring.
    pub wanted: Wanted,
    /// What became of it so far, for people.
    pub history: History,
}

impl Grant {
    /// A grant under these terms that holds nothing yet.
    pub fn empty(terms: &Terms) -> Self {
        Self {
            id: terms.id.clone(),
            grant_type: terms.grant_type.clone(),
            authorization_server: terms.authorization_server.clone(),
            client_id: terms.client_id.clone(),
            subject: None,
            subject_issuer: None,
            subject_name: None,
            generation: Generation(0),
            tokens: None,
            standing: Standing::Live,
            failures: 0,
            in_doubt: false,
            breaker: Breaker::default(),
            ends_at: None,
            renewed_at: None,
            trouble: None,
            terms_fingerprint: 0,
            proof_key: None,
            registration: None,
            key_fingerprint: None,
            retiring: None,
            wanted: Wanted::default(),
            history: History::default(),
        }
    }

    /// This grant as it stands under these terms: a pause for a mistake in the configuration ends
    /// when the configuration changes.
    #[must_use]
    pub fn under(self, terms: &Terms) -> Self {
        let mended = matches!(self.standing, Standing::CoolingDown { .. })
            && self.terms_fingerprint != terms.fingerprint()
            && self.trouble.as_ref().is_some_and(|trouble| trouble.code.advice() == Advice::FixConfig);
        if mended { Self { standing: Standing::Live, failures: 0, ..self } } else { self }
    }

    /// This grant after the configuration named another token: what stood in the way of renewing the
    /// old one is over with it, a demand to sign out is not.
    #[must_use]
    pub fn without_tokens(self) -> Self {
        let standing = match self.standing {
            Standing::CoolingDown { .. } | Standing::Renewing { .. } => Standing::Live,
            kept @ (Standing::Live | Standing::Parked { .. } | Standing::Revoking { .. }) => kept,
        };
        Self { tokens: None, standing, failures: 0, in_doubt: false, ..self }
    }

    /// This grant with a token set that a person or an import brought: one generation on, live,
    /// and cleared of old troubles. Scopes that were challenged for are asked for again at every
    /// later login; a demand on the sign-in itself has been met by this one.
    #[must_use]
    pub fn granted(&self, terms: &Terms, tokens: TokenSet) -> Self {
        Self {
            generation: self.generation.next(),
            wanted: self.wanted.signed_in(tokens.issued_at),
            tokens: Some(tokens),
            subject: self.subject.clone(),
            subject_issuer: self.subject_issuer.clone(),
            subject_name: self.subject_name.clone(),
            registration: self.registration.clone(),
            history: self.history.clone(),
            ..Self::empty(terms)
        }
    }

    /// This grant with `happening` in its history, as what made it what it is.
    #[must_use]
    pub fn noting(self, happening: Happening, now: Timestamp) -> Self {
        Self { history: self.history.with(happening, self.generation, None, now), ..self }
    }

    /// This grant after somebody signed out of it: one generation on, so that no process goes on
    /// with what it knew, and nothing left of tokens, account or key. A registered client is the
    /// program's and not the person's (RFC 7592): it stays. A grant that needs nobody begins anew.
    #[must_use]
    pub fn signed_out(&self, terms: &Terms, needs_person: bool, now: Timestamp) -> Self {
        let standing =
            if needs_person { Standing::Parked { cause: Cause::LoggedOut, since: now } } else { Standing::Live };
        Self {
            generation: self.generation.next(),
            standing,
            registration: self.registration.clone(),
            history: self.history.clone(),
            ..Self::empty(terms)
        }
        .noting(Happening::SignedOut, now)
    }

    /// The configured scopes that the held token is known to lack (F46).
    pub fn scope_not_granted(&self, terms: &Terms) -> Vec<String> {
        let Some(granted) = self.tokens.as_ref().and_then(|tokens| tokens.scope.as_ref()) else { return Vec::new() };
        wanted::lacking(terms.scope_words(), granted)
    }

    /// The challenged scopes that the held token is not known to have.
    pub fn scope_wanted(&self, terms: &Terms) -> Vec<String> {
        let configured: Vec<String> = terms.scope_words().map(str::to_owned).collect();
        let granted = self.tokens.as_ref().and_then(|tokens| tokens.scope.as_ref()).unwrap_or(&configured);
        wanted::lacking(self.wanted.scope.iter().map(String::as_str), granted)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn f64_names_that_could_escape_a_path_or_a_header_are_refused() {
        for name in ["", "../x", "a/b", "a b", "a\r\nb", "a\0", "-rf", ".hidden", "é", &"x".repeat(65)] {
            assert!(GrantId::parse(name).is_err(), "{name:?}");
        }
    }

    #[test]
    fn ordinary_names_are_taken() {
        for name in ["crm", "gh-app", "notion_mcp", "a.b", "0", &"x".repeat(64)] {
            assert_eq!(GrantId::parse(name).unwrap().as_str(), name);
        }
    }
}
