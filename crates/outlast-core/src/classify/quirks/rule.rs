//! The form of a quirk.

use crate::classify::body::{Facts, Flag};
use crate::classify::meaning::Meaning;
use crate::classify::verdict::EndpointKind;
use crate::classify::words::pack;
use http::HeaderMap;

/// A provider and its habits.
#[derive(Debug)]
pub struct Table {
    /// The provider's name, in lower case.
    pub name: &'static str,
    /// Other names it is known by, in lower case with `-` between words.
    pub also_named: &'static [&'static str],
    /// Whether it sends errors with a status that says success.
    pub errors_on_success: bool,
    /// By what its replies are recognised where nobody says whose they are; any of them. Empty
    /// where its codes could be somebody else's.
    pub recognised_by: &'static [Sign],
    /// The rules; the first that fits decides.
    pub rules: &'static [Rule],
}

/// At which endpoints a rule holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Endpoints {
    /// At protected resources.
    Resource,
    /// At the token endpoint, polled for a device code or not.
    Token,
    /// Everywhere.
    Any,
}

/// If all signs are there, the reply means this.
#[derive(Debug)]
pub struct Rule {
    /// Where it holds.
    pub at: Endpoints,
    /// All of these must be there.
    pub signs: &'static [Sign],
    /// What the reply means.
    pub meaning: Meaning,
    /// Where the provider documents it.
    pub source: &'static str,
}

/// Something to look for in a reply. Codes are compared whole and in any case.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sign {
    /// A code or number, under any key that holds codes.
    Code(&'static str),
    /// A code or number under this key, written without separators.
    Under(&'static str, &'static str),
    /// A number under this key between these, both included.
    Between(&'static str, u32, u32),
    /// A phrase in a sentence or code: whole words, any case.
    Says(&'static str),
    /// A sentence that begins with this.
    Begins(&'static str),
    /// A header field that contains this text, or is there at all where the text is empty.
    Field(&'static str, &'static str),
    /// This HTTP status.
    Status(u16),
}

/// A rule for protected resources.
pub(super) const fn resource(signs: &'static [Sign], meaning: Meaning, source: &'static str) -> Rule {
    Rule { at: Endpoints::Resource, signs, meaning, source }
}

/// A rule for token endpoints.
pub(super) const fn token(signs: &'static [Sign], meaning: Meaning, source: &'static str) -> Rule {
    Rule { at: Endpoints::Token, signs, meaning, source }
}

/// A rule that holds everywhere.
pub(super) const fn anywhere(signs: &'static [Sign], meaning: Meaning, source: &'static str) -> Rule {
    Rule { at: Endpoints::Any, signs, meaning, source }
}

impl Endpoints {
    const fn include(self, kind: EndpointKind) -> bool {
        match (self, kind) {
            (Self::Any, _)
            | (Self::Resource, EndpointKind::Resource)
            | (Self::Token, EndpointKind::Token | EndpointKind::Device) => true,
            (Self::Resource, EndpointKind::Token | EndpointKind::Device) | (Self::Token, EndpointKind::Resource) => {
                false
            }
        }
    }
}

impl Table {
    pub(crate) fn is_named(&self, slug: &str) -> bool {
        self.name == slug || self.also_named.contains(&slug)
    }

    pub(crate) fn recognises(&self, headers: &HeaderMap, facts: &Facts<'_>) -> bool {
        // The status is no mark of a provider.
        self.recognised_by.iter().any(|sign| match sign {
            // Looking a field up by name is the dearest sign; most replies have none to look for.
            Sign::Field(..) if !facts.has(Flag::PRIVATE_FIELDS) => false,
            _ => sign.is_in(0, headers, facts),
        })
    }

    pub(crate) fn decide(
        &self,
        kind: EndpointKind,
        status: u16,
        headers: &HeaderMap,
        facts: &Facts<'_>,
    ) -> Option<&Rule> {
        // Where the body does not call itself an error, only the header or an odd status can.
        let silent = kind == EndpointKind::Resource && (200..300).contains(&status) && !facts.has(Flag::ENVELOPE);
        self.rules
            .iter()
            .filter(|rule| !silent || matches!(rule.signs.first(), Some(Sign::Field(..) | Sign::Status(_))))
            .find(|rule| rule.at.include(kind) && rule.signs.iter().all(|sign| sign.is_in(status, headers, facts)))
    }
}

impl Sign {
    fn is_in(&self, status: u16, headers: &HeaderMap, facts: &Facts<'_>) -> bool {
        match *self {
            Self::Code(code) => facts.codes().any(|fact| fact.text.eq_ignore_ascii_case(code.as_bytes())),
            Self::Under(key, code) => {
                let key = pack(key.as_bytes());
                facts.codes().any(|fact| fact.key == key && fact.text.eq_ignore_ascii_case(code.as_bytes()))
            }
            Self::Between(key, low, high) => {
                let key = pack(key.as_bytes());
                facts
                    .codes()
                    .any(|fact| fact.key == key && number(fact.text).is_some_and(|n| (low..=high).contains(&n)))
            }
            Self::Says(phrase) => facts.iter().any(|fact| says(fact.text, phrase.as_bytes())),
            Self::Begins(start) => facts.iter().any(|fact| fact.text.starts_with(start.as_bytes())),
            Self::Field(name, text) => {
                headers.get_all(name).iter().any(|value| text.is_empty() || says(value.as_bytes(), text.as_bytes()))
            }
            Self::Status(wanted) => status == wanted,
        }
    }
}

fn number(text: &[u8]) -> Option<u32> {
    std::str::from_utf8(text).ok()?.parse().ok()
}

/// Most bytes of one text that are searched for a phrase.
const SEARCHED_BYTES_MAX: usize = 1024;

/// Whether `text` holds `phrase` as whole words, in any case.
fn says(text: &[u8], phrase: &[u8]) -> bool {
    let text = text.get(..SEARCHED_BYTES_MAX).unwrap_or(text);
    let Some(first) = phrase.first() else { return false };
    let is_part = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_alphanumeric);
    text.iter().enumerate().any(|(at, byte)| {
        byte.eq_ignore_ascii_case(first)
            && text.get(at..at + phrase.len()).is_some_and(|part| part.eq_ignore_ascii_case(phrase))
            && !(at > 0 && first.is_ascii_alphanumeric() && is_part(text.get(at - 1)))
            && !(phrase.last().is_some_and(u8::is_ascii_alphanumeric) && is_part(text.get(at + phrase.len())))
    })
}

impl std::fmt::Display for Sign {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Code(code) => write!(f, "{code}"),
            Self::Under(key, code) => write!(f, "{key} {code}"),
            Self::Between(key, low, high) => write!(f, "{key} {low} to {high}"),
            Self::Says(phrase) => write!(f, "\"{phrase}\""),
            Self::Begins(start) => write!(f, "\"{start}…\""),
            Self::Field(name, "") => write!(f, "header {name}"),
            Self::Field(name, text) => write!(f, "header {name}: {text}"),
            Self::Status(status) => write!(f, "status {status}"),
        }
    }
}
