//! Any `WWW-Authenticate` field is read to its end, and its pieces are parts of it.
#![no_main]

use libfuzzer_sys::fuzz_target;
use outlast_core::classify::challenge::{CHALLENGE_PARAMETERS_MAX, Piece, read_challenges};

fuzz_target!(|field: &[u8]| {
    let mut pieces = 0;
    read_challenges(field, |piece| {
        pieces += 1;
        let longest = match piece {
            Piece::Scheme(text) | Piece::Bare(text) => text.len(),
            Piece::Parameter(name, value) => name.len() + value.len(),
        };
        assert!(longest <= field.len());
    });
    assert!(pieces <= CHALLENGE_PARAMETERS_MAX);
});
