//! Bodies of the form `error=invalid_grant&error_description=…`, which GitHub and OAuth 1 send.

use super::fact::{Facts, Scalar};
use crate::classify::words::pack;

/// Most pairs that are looked at.
const PAIRS_MAX: usize = 64;

/// Whether a body looks like a form: a name without blanks, then `=`.
pub(crate) fn is_form(body: &[u8]) -> bool {
    let name =
        body.iter().take(64).position(|byte| !byte.is_ascii_alphanumeric() && !matches!(byte, b'_' | b'-' | b'.'));
    name.is_some_and(|end| end > 0 && body[end] == b'=') && !body.iter().take(512).any(|byte| *byte == b' ')
}

/// Scans a form; its values go to `facts`, escapes included.
pub(crate) fn scan<'a>(body: &'a [u8], facts: &mut Facts<'a>) {
    for pair in body.split(|byte| *byte == b'&').take(PAIRS_MAX) {
        if let Some(equals) = pair.iter().position(|byte| *byte == b'=') {
            let value = pair[equals + 1..].trim_ascii();
            let value = value.strip_prefix(b"\"").unwrap_or(value);
            let value = value.strip_suffix(b"\"").unwrap_or(value);
            facts.take(pack(&pair[..equals]), 0, 1, Scalar::Text(value));
        }
    }
}
