//! THE PERSONALITIES: how authorization servers and their resources are known to behave, as a table.

use std::time::Duration;

/// What becomes of a refresh token that is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rotation {
    /// It stays good, and so does its predecessor; the third from last is dropped in silence.
    LastTwo,
    /// It stays.
    Never,
    /// It is replaced at once.
    Strict {
        /// For how long the replaced one is taken all the same.
        grace: Duration,
        /// Whether it then brings another successor, instead of the same one again.
        siblings: bool,
        /// Whether its use after that revokes everything.
        kills_family: bool,
    },
}

/// Which refresh token an answer names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Named {
    /// The one to use next.
    Next,
    /// None at a renewal: the old one goes on.
    NotAtRenewals,
    /// None ever: there is none.
    Nowhere,
}

/// How a life is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Written {
    /// Not at all.
    Absent,
    /// As a text, a number with a fraction, and zero, in turn.
    Oddly,
    /// As a number.
    Plainly,
}

/// What is asked of proofs of possession.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Bound {
    /// Nothing: bearer tokens.
    No,
    /// A proof with each request.
    Proof,
    /// A proof with the latest nonce, which changes with every answer.
    ProofWithNonce,
}

/// How one server behaves.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Personality {
    pub(crate) name: &'static str,
    pub(crate) rotation: Rotation,
    pub(crate) named: Named,
    pub(crate) written: Written,
    /// Life of an access token, whatever is written.
    pub(crate) life: Duration,
    /// Whether errors come with status 200.
    pub(crate) errors_as_success: bool,
    /// Whether answers are forms.
    pub(crate) forms: bool,
    /// Whether less scope is granted than asked for.
    pub(crate) narrow: bool,
    /// Whether every request has to name the resource.
    pub(crate) needs_resource: bool,
    pub(crate) bound: Bound,
    /// How long the resource takes to learn of a new token.
    pub(crate) lag: Duration,
    /// How far its clock is behind.
    pub(crate) behind: Duration,
    /// How many answers in a thousand are lost.
    pub(crate) lost_permille: u64,
    /// How many requests in a thousand are answered 429 with a date.
    pub(crate) limited_permille: u64,
}

const PLAIN: Personality = Personality {
    name: "plain",
    rotation: Rotation::Never,
    named: Named::Next,
    written: Written::Plainly,
    life: Duration::from_secs(3600),
    errors_as_success: false,
    forms: false,
    narrow: false,
    needs_resource: false,
    bound: Bound::No,
    lag: Duration::ZERO,
    behind: Duration::ZERO,
    lost_permille: 0,
    limited_permille: 0,
};

const fn strict(grace_secs: u64, siblings: bool, kills_family: bool) -> Rotation {
    Rotation::Strict { grace: Duration::from_secs(grace_secs), siblings, kills_family }
}

/// Rotates with half a minute of grace, which most of the others are variations of.
const ROTATES: Personality =
    Personality { name: "grace 30 s", rotation: strict(30, true, true), life: Duration::from_secs(900), ..PLAIN };

/// Every personality.
pub(crate) static TABLE: &[Personality] = &[
    PLAIN,
    Personality { name: "no grace, reuse revokes the family", rotation: strict(0, false, true), ..ROTATES },
    Personality { name: "grace 5 s", rotation: strict(5, false, true), ..ROTATES },
    ROTATES,
    Personality { name: "grace 60 s", rotation: strict(60, false, true), ..ROTATES },
    Personality { name: "grace 30 min", rotation: strict(1800, true, true), ..ROTATES },
    Personality { name: "the same refresh token again", life: Duration::from_secs(600), ..PLAIN },
    Personality { name: "no refresh token at renewals", named: Named::NotAtRenewals, ..PLAIN },
    Personality { name: "no refresh token at all", named: Named::Nowhere, ..PLAIN },
    Personality { name: "no expires_in", written: Written::Absent, life: Duration::from_secs(1200), ..ROTATES },
    Personality { name: "odd expires_in", written: Written::Oddly, ..ROTATES },
    Personality { name: "life of 5 s", life: Duration::from_secs(5), ..ROTATES },
    Personality { name: "life of 30 days", life: Duration::from_secs(30 * 86_400), ..ROTATES },
    Personality { name: "errors with status 200", errors_as_success: true, ..ROTATES },
    Personality { name: "forms", forms: true, ..ROTATES },
    Personality { name: "narrower scope", narrow: true, ..ROTATES },
    Personality { name: "requires resource", needs_resource: true, ..ROTATES },
    // RFC 9126 is a matter of logins: a renewal notices nothing of it.
    Personality { name: "requires pushed requests", ..ROTATES },
    Personality { name: "DPoP", bound: Bound::Proof, ..ROTATES },
    Personality { name: "DPoP with a nonce each", bound: Bound::ProofWithNonce, ..ROTATES },
    Personality { name: "resource lags 3 s", lag: Duration::from_secs(3), ..ROTATES },
    Personality { name: "clock 10 min behind", behind: Duration::from_secs(600), limited_permille: 50, ..ROTATES },
    Personality { name: "loses 2 % of its answers", lost_permille: 20, ..ROTATES },
    Personality { name: "429 with a date", limited_permille: 200, ..ROTATES },
    Personality { name: "two live refresh tokens", rotation: Rotation::LastTwo, ..ROTATES },
];
