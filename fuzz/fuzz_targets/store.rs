//! However a store is damaged, what is read of it is what was written, or nothing.
#![no_main]

#[path = "../../crates/outlast-store/tests/hostile/check.rs"]
#[allow(dead_code)]
mod check;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| check::store(input));
