//! Any configuration is read within its limits or refused without its secrets.
#![no_main]

#[path = "../../crates/outlast-daemon/tests/hostile/check.rs"]
#[allow(dead_code)]
mod check;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| check::configuration(input));
