//! Any wait is capped, in any of its forms.
#![no_main]

use libfuzzer_sys::fuzz_target;
use outlast_core::Timestamp;
use outlast_core::classify::retry_after::{
    RETRY_AFTER_MAX, read_http_date, read_milliseconds, read_reset, read_retry_after, read_seconds,
};

fuzz_target!(|value: &[u8]| {
    for now in [None, Some(Timestamp::from_secs(0)), Some(Timestamp::from_secs(1_700_000_000))] {
        for wait in [read_retry_after(value, now), read_reset(value, now)] {
            assert!(wait.is_none_or(|wait| wait <= RETRY_AFTER_MAX));
        }
    }
    for wait in [read_milliseconds(value), read_seconds(value)] {
        assert!(wait.is_none_or(|wait| wait <= RETRY_AFTER_MAX));
    }
    let _ = read_http_date(value);
});
