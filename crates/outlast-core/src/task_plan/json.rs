//! JSON with places that earlier outputs are put into. Values are put in as values: what a text has in it
//! can never become a part of the structure.

use super::template::{Reference, Template};
use serde_json::Value;

/// A JSON value whose texts may be templates. A text that is one reference and nothing else becomes the
/// value itself, whatever its type.
#[derive(Clone, Debug, PartialEq)]
pub enum JsonTemplate {
    /// A list.
    Array(Vec<JsonTemplate>),
    /// Members by name, in the order of the file.
    Object(Vec<(String, JsonTemplate)>),
    /// A text.
    Text(Template),
    /// A number, a truth value or nothing.
    Value(Value),
}

impl JsonTemplate {
    /// The places to be filled in.
    pub fn references(&self) -> Vec<&Reference> {
        match self {
            Self::Array(members) => members.iter().flat_map(Self::references).collect(),
            Self::Object(members) => members.iter().flat_map(|(_, member)| member.references()).collect(),
            Self::Text(template) => template.references().collect(),
            Self::Value(_) => Vec::new(),
        }
    }
}
