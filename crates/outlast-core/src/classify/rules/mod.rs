//! The generic rules: from what a reply states to what it means.

mod resource;
mod said;
mod token;

pub(crate) use token::may_kill;

use super::body::{Fact, Facts, Format};
use super::codes::meaning_of_code;
use super::fields::Fields;
use super::meaning::Meaning;
use super::quirks::Rule;
use super::verdict::EndpointKind;

/// A reply, taken apart.
pub(crate) struct Taken<'a> {
    pub(crate) kind: EndpointKind,
    pub(crate) status: u16,
    pub(crate) fields: Fields<'a>,
    pub(crate) facts: Facts<'a>,
    pub(crate) format: Format,
}

/// A meaning and the fact that it rests on; the status alone where there is none.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Decision<'a> {
    pub(crate) meaning: Meaning,
    pub(crate) ground: Ground<'a>,
}

/// What a decision rests on.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Ground<'a> {
    /// A code or sentence.
    Fact(Fact<'a>),
    /// A header field of this name.
    Field(&'static str),
    /// What a provider documents.
    Rule(&'static Rule),
    /// The status, where nothing else speaks.
    Status,
}

impl<'a> Decision<'a> {
    pub(crate) const fn by_status(meaning: Meaning) -> Self {
        Self { meaning, ground: Ground::Status }
    }

    pub(crate) const fn by_fact(meaning: Meaning, fact: &Fact<'a>) -> Self {
        Self { meaning, ground: Ground::Fact(*fact) }
    }

    const fn by_field(meaning: Meaning, name: &'static str) -> Self {
        Self { meaning, ground: Ground::Field(name) }
    }
}

/// Judges by the generic rules.
pub(crate) fn decide<'a>(taken: &Taken<'a>) -> Decision<'a> {
    match taken.kind {
        EndpointKind::Device | EndpointKind::Token => token::decide(taken),
        EndpointKind::Resource => resource::decide(taken),
    }
}

/// The first code the vocabulary knows: challenges before the body, `error` before its kin.
fn known_code<'a>(taken: &Taken<'a>, kind: EndpointKind) -> Option<(Meaning, Fact<'a>)> {
    taken.facts.codes().find_map(|fact| Some((meaning_of_code(kind, fact.text)?, *fact)))
}
