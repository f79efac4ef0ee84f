//! Metadata of an authorization server names addresses that a secret may be sent to.
#![no_main]

#[path = "../../crates/outlast-oauth/tests/hostile/check.rs"]
#[allow(dead_code)]
mod check;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| check::metadata(input));
