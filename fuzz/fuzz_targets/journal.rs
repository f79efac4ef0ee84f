//! Any frame of a task's journal is written back as it was read, or refused.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| outlast_store::hostile::journal(input));
