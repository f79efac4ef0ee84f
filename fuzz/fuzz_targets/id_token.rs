//! No ID token is believed of another issuer, audience or nonce.
#![no_main]

#[path = "../../crates/outlast-core/tests/hostile/check.rs"]
#[allow(dead_code)]
mod check;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| check::id_token(input));
