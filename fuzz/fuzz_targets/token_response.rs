//! Tokens of any token response can be sent.
#![no_main]

#[path = "../../crates/outlast-core/tests/hostile/check.rs"]
#[allow(dead_code)]
mod check;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| check::token_response(input));
