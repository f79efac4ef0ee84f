//! Metadata of a resource is that of this resource.
#![no_main]

#[path = "../../crates/outlast-oauth/tests/hostile/check.rs"]
#[allow(dead_code)]
mod check;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| check::resource_metadata(input));
