//! Any body gets a verdict at every endpoint, and none kills a grant at a resource.
#![no_main]

#[path = "../../crates/outlast-core/tests/hostile/check.rs"]
#[allow(dead_code)]
mod check;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| check::body(input));
