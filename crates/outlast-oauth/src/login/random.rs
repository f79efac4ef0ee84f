//! Values nobody can guess, and what is shown of one of them beforehand.

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use outlast_core::Secret;

/// 256 bits, as RFC 7636 7.1 wants of a verifier.
const RANDOM_BYTES: usize = 32;

/// A new value of 43 characters that may stand in an address.
pub(super) fn draw() -> Result<Secret, getrandom::Error> {
    let mut bytes = [0; RANDOM_BYTES];
    getrandom::fill(&mut bytes)?;
    Ok(Secret::new(URL_SAFE_NO_PAD.encode(bytes)))
}

/// The challenge of a verifier by the method S256 (RFC 7636 4.2).
pub(super) fn challenge(verifier: &Secret) -> String {
    URL_SAFE_NO_PAD.encode(digest(&SHA256, verifier.expose().as_bytes()))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn n15_the_challenge_is_that_of_rfc_7636_appendix_b() {
        let verifier = Secret::new("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk");
        assert_eq!(challenge(&verifier), "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM");
    }

    #[test]
    fn n15_no_two_verifiers_are_alike_and_their_bits_are_even() {
        let drawn: Vec<Secret> = (0..512).map(|_| draw().unwrap()).collect();
        let distinct: BTreeSet<&str> = drawn.iter().map(Secret::expose).collect();
        assert_eq!(distinct.len(), drawn.len());
        let bytes: Vec<u8> = drawn.iter().flat_map(|each| URL_SAFE_NO_PAD.decode(each.expose()).unwrap()).collect();
        assert_eq!(bytes.len(), 512 * RANDOM_BYTES);
        for bit in 0..8 {
            let ones = bytes.iter().filter(|byte| *byte & (1 << bit) != 0).count();
            // Half of 16,384, give or take 8 standard deviations.
            assert!((7_680..8_704).contains(&ones), "bit {bit}: {ones}");
        }
        assert!(drawn.iter().all(|each| (43..=128).contains(&each.expose().len())));
    }
}
