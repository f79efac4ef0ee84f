//! Any task plan is run to its end or refused in short.
#![no_main]

#[path = "../../crates/outlast-daemon/tests/hostile/check.rs"]
#[allow(dead_code)]
mod check;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| check::plan(input));
