//! How a secret may be written, and where in some bytes it is.

use super::Kind;
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};

/// Longest pattern: a list of numbers, a line each.
pub(super) const LENGTH_MAX: usize = 256;
/// How much is told of what stands before and after a sighting.
const AROUND_BYTES: usize = 40;

/// The beginning of a secret, in one of its forms.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Pattern {
    pub(super) kind: Kind,
    pub(super) form: &'static str,
    bytes: Vec<u8>,
}

/// The first `length` bytes of a secret in all its forms.
pub(super) fn of(kind: Kind, secret: &[u8], length: usize) -> Vec<Pattern> {
    let beginning = &secret[..length];
    let each = |written: &dyn Fn(&u8) -> String, between: &str| {
        beginning.iter().map(written).collect::<Vec<_>>().join(between).into_bytes()
    };
    let mut forms = vec![
        ("as it is", beginning.to_vec()),
        ("as UTF-16", beginning.iter().flat_map(|byte| [*byte, 0]).collect()),
        ("in hexadecimal", each(&|byte| format!("{byte:02x}"), "")),
        ("in hexadecimal", each(&|byte| format!("{byte:02X}"), "")),
        ("percent-encoded", each(&|byte| format!("%{byte:02x}"), "")),
        ("percent-encoded", each(&|byte| format!("%{byte:02X}"), "")),
        ("with JSON's escapes", each(&|byte| format!("\\u{byte:04x}"), "")),
        ("with JSON's escapes", each(&|byte| format!("\\u{byte:04X}"), "")),
        ("as a list of numbers", each(&u8::to_string, ", ")),
        ("as a list of numbers", each(&u8::to_string, ",")),
        ("as a list of numbers", each(&u8::to_string, ",\n    ")),
    ];
    // One byte more, so that the last one is in there with all its bits: by it, kinds are told apart.
    let longer = &secret[..(length + 1).min(secret.len())];
    for engine in [STANDARD, URL_SAFE] {
        forms.extend((0..3).map(|before| ("in base64", in_base64(&engine, before, longer))));
    }
    let mut patterns: Vec<Pattern> = forms.into_iter().map(|(form, bytes)| Pattern { kind, form, bytes }).collect();
    debug_assert!(patterns.iter().all(|pattern| pattern.bytes.len() <= LENGTH_MAX));
    patterns.sort_by(|one, other| one.bytes.cmp(&other.bytes));
    patterns.dedup();
    patterns
}

/// What of the base64 of a text depends on nothing but a part that lies so many bytes (in threes) after its
/// beginning.
fn in_base64(engine: &impl Engine, before: usize, part: &[u8]) -> Vec<u8> {
    let whole = engine.encode([&[0; 2][..before], part].concat()).into_bytes();
    let (first, last) = ((before * 8).div_ceil(6), (before + part.len()) * 8 / 6);
    whole[first..last].to_vec()
}

/// Every pattern that is in there, once at each place.
pub(super) fn seen<'a>(patterns: &'a [Pattern], bytes: &[u8]) -> Vec<(usize, &'a Pattern)> {
    let mut by_first_byte: Vec<Vec<&Pattern>> = vec![Vec::new(); 256];
    for pattern in patterns {
        by_first_byte[usize::from(pattern.bytes[0])].push(pattern);
    }
    let begins = |at: usize| {
        let here = &bytes[at..];
        by_first_byte[usize::from(here[0])].iter().filter(move |pattern| here.starts_with(&pattern.bytes))
    };
    (0..bytes.len()).flat_map(|at| begins(at).map(move |pattern| (at, *pattern))).collect()
}

/// What stands around a place, as text.
pub(super) fn around(bytes: &[u8], at: usize) -> String {
    let (from, to) = (at.saturating_sub(AROUND_BYTES), (at + AROUND_BYTES).min(bytes.len()));
    bytes[from..to].escape_ascii().to_string()
}
