//! Any record inside its seal is written back as it was read, or refused and not quoted.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| outlast_store::hostile::record(input));
