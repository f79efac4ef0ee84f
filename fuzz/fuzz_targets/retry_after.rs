//! Any wait is capped, in any of its forms.
#![no_main]

#[path = "../../crates/outlast-core/tests/hostile/check.rs"]
#[allow(dead_code)]
mod check;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| check::retry_after(input));
