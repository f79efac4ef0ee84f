//! From a reply to the one right recovery.

pub mod verdict;

pub use verdict::{EndpointKind, Evidence, Judgement, StepUp, Verdict};

use http::HeaderMap;

/// What is known of a provider's habits, by the name of its preset; empty for none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Quirks {
    /// Name of the provider whose documented codes are consulted before the generic rules.
    pub provider: String,
}

impl Quirks {
    /// The habits of a provider by the name of its preset.
    pub fn for_provider(name: &str) -> Self {
        Self { provider: name.to_owned() }
    }
}

/// Judges a reply that arrived whole. Total and pure: any bytes get a verdict.
pub fn classify(kind: EndpointKind, status: u16, headers: &HeaderMap, body: &[u8], quirks: &Quirks) -> Judgement {
    let _ = (kind, headers, body, quirks);
    let verdict = match status {
        200..=399 => Verdict::NotAuth,
        401 => Verdict::AccessTokenInvalid,
        _ => Verdict::Unknown,
    };
    Judgement { verdict, evidence: Evidence { place: "status", found: status.to_string() }, resource_metadata: None }
}
