//! Any `WWW-Authenticate` field is read to its end, and its pieces are parts of it.
#![no_main]

#[path = "../../crates/outlast-core/tests/hostile/check.rs"]
#[allow(dead_code)]
mod check;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| check::challenge(input));
