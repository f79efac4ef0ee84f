//! Any file to import gives tokens that can be sent, or a short refusal.
#![no_main]

#[path = "../../crates/outlast-cli/tests/hostile/check.rs"]
mod check;
#[path = "../../crates/outlast-cli/src/exit.rs"]
#[allow(dead_code)]
mod exit;
#[path = "../../crates/outlast-cli/src/owned_file.rs"]
#[allow(dead_code)]
mod owned_file;
#[path = "../../crates/outlast-cli/src/token_set_file.rs"]
#[allow(dead_code)]
mod token_set_file;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| check::import(input));
